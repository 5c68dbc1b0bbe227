"""The content of ticket.json, and the bounds within which it is believed.

Everything is typed and checked; keys this version does not know are kept when a ticket is saved again, and never acted
on. Nothing here is a path, a module or code: files are named by the seeds of replicates and by plain names alone.
"""

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StringConstraints, ValidationError, model_validator

from ticketzoo.errors import TicketError
from ticketzoo.masks.digests import digest_of_digests
from ticketzoo.masks.masks import sparsity_of
from ticketzoo.ticket.fields import CUSTOM as CUSTOM
from ticketzoo.ticket.fields import Architecture as Architecture
from ticketzoo.ticket.fields import Derived as Derived
from ticketzoo.ticket.fields import FileEntry as FileEntry
from ticketzoo.ticket.fields import Filters as Filters
from ticketzoo.ticket.fields import LevelEntry as LevelEntry
from ticketzoo.ticket.fields import Pruning as Pruning
from ticketzoo.ticket.fields import Replicate as Replicate
from ticketzoo.ticket.fields import Source as Source
from ticketzoo.ticket.fields import Transfers as Transfers
from ticketzoo.ticket.fields import Values as Values
from ticketzoo.ticket.parts import (
    FIRST,
    FIRST_ENTRY,
    MAX_WEIGHTS,
    Part,
    Sha256,
    TaskName,
    Text,
    TicketName,
    of_format_2,
)
from ticketzoo.ticket.rewinds import REWINDS as REWINDS
from ticketzoo.ticket.rewinds import BaseRewind as BaseRewind
from ticketzoo.ticket.rewinds import PackedRewind as PackedRewind
from ticketzoo.ticket.rewinds import Rewind, SeedRewind
from ticketzoo.ticket.rewinds import StoredRewind as StoredRewind
from ticketzoo.ticket.structure import check_stated
from ticketzoo.ticket.verdict import Verdict
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal

FORMATS = (1, 2)
"""Numbers of the formats that are read. A ticket is written as the first that can hold it."""
MAX_CONFIG_BYTES = 16 * 2**20

MASKS_FILE, REWIND_FILE, VALUES_FILE = "masks.safetensors", "rewind.safetensors", "values.safetensors"
RECIPE_FILE, RESULTS_FILE = "recipe.yaml", "results.jsonl"
EXTRA = "extra"
"""Folder of a ticket's further files."""

FurtherFile: TypeAlias = Annotated[
    str, StringConstraints(pattern=rf"^{EXTRA}/[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$", max_length=128)
]


class TicketConfig(Part):
    """The content of ticket.json.

    Of format 2:

    - `masked`: `zero` where weights that a mask excludes are 0.0; `frozen` where they stay at their start values.
    - `use`: `train`, or `as-is` for a ticket that is evaluated and not trained.
    - `values`: the levels with trained values of the kept weights.
    - `derived`: how the ticket was made from others.
    """

    format: Literal[1, 2] = 1
    name: TicketName
    library_version: Text
    architecture: Architecture
    task: TaskName
    source: Source
    pruning: Pruning
    masked: Literal["zero", "frozen"] = of_format_2("zero")
    use: Literal["train", "as-is"] = of_format_2("train")
    rewind: Rewind
    values: Values | None = of_format_2()
    derived: Derived | None = of_format_2()
    levels: Annotated[list[LevelEntry], FIRST] = Field(min_length=1, max_length=1000)
    replicates: Annotated[list[Replicate], FIRST] = Field(min_length=1, max_length=1000)
    mask_sha256: Sha256
    files: Annotated[dict[Literal["recipe.yaml", "results.jsonl"] | FurtherFile, FileEntry], FIRST_ENTRY] = Field(
        default={}
    )
    transfers: Transfers = Field(default=[], max_length=100, exclude_if=lambda given: not given)
    verdict: Verdict | None = None
    license: Text | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every prunable parameter, by name."""
        return {parameter.name: tuple(parameter.shape) for parameter in self.pruning.parameters}

    @property
    def prunable_weights(self) -> int:
        """The number of weights that the masks cover."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def devices(self) -> str:
        """The devices that its replicates were trained on, if it says so, with commas between them."""
        return ", ".join(sorted({where.device for one in self.replicates for where in one.environments}))

    def index_of(self, seed: int) -> int:
        """Return the place of the replicate of `seed` among the replicates."""
        return [replicate.seed for replicate in self.replicates].index(seed)

    @model_validator(mode="after")
    def _is_consistent(self) -> "TicketConfig":
        _refuse_repeats("pruning.parameters: name", [parameter.name for parameter in self.pruning.parameters])
        if both := [name for name in self.pruning.not_trained if name in self.shapes]:
            raise ValueError(f"pruning.not_trained: {both[0]} is among pruning.parameters")
        _refuse_repeats("replicates: seed", [replicate.seed for replicate in self.replicates])
        if self.prunable_weights > MAX_WEIGHTS:
            raise ValueError(f"pruning.parameters: {self.prunable_weights} weights, more than {MAX_WEIGHTS}")
        _check_levels(self)
        _check_weights(self)
        if self.format == 1 and (keys := list(_of_format_2(self))):
            raise ValueError(f"format 1 has no {', '.join(keys[:5])}: a ticket with that says format 2")
        expected = mask_sha256_of([(replicate.seed, replicate.mask_sha256) for replicate in self.replicates])
        if self.mask_sha256 != expected:
            raise ValueError(f"mask_sha256: {self.mask_sha256}, but the replicates' digests give {expected}")
        return self

    def to_json(self) -> str:
        """Return the text of ticket.json."""
        return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"

    def in_its_format(self, at_least: int = 1) -> "TicketConfig":
        """Return the same, as the first format that can hold it, and its masks, which need `at_least` this one."""
        return self.model_copy(update={"format": max(2 if any(_of_format_2(self)) else 1, at_least)})


def _of_format_2(config: TicketConfig) -> Iterator[str]:
    """Yield every key, or kind of value, that a ticket has and format 1 has not."""
    parts: list[tuple[str, Part]] = [("", config), ("pruning.", config.pruning), ("rewind.", config.rewind)]
    parts += [("architecture.", config.architecture)]
    parts += [(f"levels.{number}.", entry) for number, entry in enumerate(config.levels)]
    parts += [(f"replicates.{number}.", one) for number, one in enumerate(config.replicates)]
    for path, part in parts:
        for name, field in type(part).model_fields.items():
            if field.json_schema_extra == {"format": 2} and getattr(part, name) != field.default:
                yield path + name
    if REWINDS[config.rewind.kind].first_format > 1:
        yield f"rewind.kind {config.rewind.kind}"
    for number, entry in enumerate(config.levels):
        if isinstance(entry.kept, list):
            yield f"levels.{number}.kept by replicate"
    yield from (f"files.{for_terminal(name)}" for name in config.files if name not in (RECIPE_FILE, RESULTS_FILE))


def _check_levels(config: TicketConfig) -> None:
    total, count = config.prunable_weights, len(config.replicates)
    before, previous = [total] * count, -1
    for entry in config.levels:
        if entry.level <= previous:
            raise ValueError(f"levels: level {entry.level} comes after level {previous}")
        kept = entry.kept_by(count)
        limits = before if entry.nested else [total] * count
        for most, here in zip(limits, kept, strict=True):
            if here > most:
                raise ValueError(f"levels: level {entry.level} keeps {here} weights, more than the {most} before")
        if entry.sparsity != sparsity_of(sum(kept), total * count):
            is_so = f"{entry.kept} of {total} kept is {sparsity_of(sum(kept), total * count)}"
            raise ValueError(f"levels: level {entry.level} says sparsity {entry.sparsity}, but {is_so}")
        before, previous = kept, entry.level


def _check_weights(config: TicketConfig) -> None:
    """Refuse weights, trained values and parameters that contradict each other."""
    packaged = [entry.level for entry in config.levels]
    kind = REWINDS[config.rewind.kind]
    for replicate in config.replicates:
        where = f"replicates: seed {replicate.seed}"
        if (replicate.rewind_sha256 is not None) != kind.has_digest:
            with_one = " or ".join(one.name for one in REWINDS.values() if one.has_digest)
            raise ValueError(f"{where} must have rewind_sha256 if rewind.kind is {with_one}, and only then")
        if (replicate.values_sha256 is None) != (config.values is None):
            raise ValueError(f"{where} must have values_sha256 if there are values, and only then")
        if replicate.filters is not None or isinstance(config.pruning.structure, Filters):
            check_stated(replicate, config.pruning, packaged, config.shapes)
    if config.rewind.levels is not None and config.rewind.levels != packaged:
        raise ValueError(f"rewind.levels: {config.rewind.levels}, but the packaged levels are {packaged}")
    steps = config.rewind.steps if isinstance(config.rewind, StoredRewind) else None
    if steps is not None and (len(steps) != len(config.replicates) or steps[0] != config.rewind.step):
        raise ValueError("rewind.steps: must be one of each replicate, the first of them rewind.step")
    if isinstance(config.rewind, SeedRewind) and len(config.rewind.seeds) != len(config.replicates):
        raise ValueError(f"rewind.seeds: {len(config.rewind.seeds)} for {len(config.replicates)} replicates")
    if config.values and config.values.levels != [level for level in packaged if level in config.values.levels]:
        raise ValueError(f"values.levels: {config.values.levels}, must rise and be of the packaged levels {packaged}")
    if config.architecture.parameters is not None:
        shapes = {parameter.name: parameter.shape for parameter in config.architecture.parameters}
        _refuse_repeats("architecture.parameters: name", [one.name for one in config.architecture.parameters])
        for parameter in config.pruning.parameters:
            if shapes.get(parameter.name) != parameter.shape:
                raise ValueError(f"architecture.parameters: none is '{parameter.name}' of shape {parameter.shape}")


def mask_sha256_of(seeds: list[tuple[int, str]]) -> str:
    """Return the digest over the mask digests of all replicates, in order."""
    return digest_of_digests((f"seed-{seed}", digest) for seed, digest in seeds)


def parse_config(text: bytes, where: str) -> TicketConfig:
    """Read the text of ticket.json.

    Raises:
        TicketError: a key is not as the format demands; the message names it and `where`.
    """
    content = parse_json(text, where)
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or number < 1:
        raise TicketError(f"{where}: not a ticket: it states no format number")
    if number not in FORMATS:
        newest = f"this one reads up to {FORMATS[-1]}"
        raise TicketError(f"{where}: format {number} was made by a newer ticketzoo ({newest}): upgrade")
    return check_config(content, where)


def check_config(content: dict[str, Any], where: str) -> TicketConfig:
    """Type and check the content of ticket.json.

    Raises:
        TicketError: a key is not as it must be; the message names it and `where`.
    """
    try:
        return TicketConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = for_terminal(".".join(str(part) for part in first["loc"]))[:100]
        raise TicketError(f"{where}: {key}{': ' * bool(key)}{_message(first)}") from None


def _message(error: Any) -> str:
    return for_terminal(error["msg"].removeprefix("Value error, "))[:1000]


def _refuse_repeats(what: str, values: list[Any]) -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value} appears twice")
        seen.add(value)
