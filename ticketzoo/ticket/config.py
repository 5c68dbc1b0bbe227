"""The content of ticket.json, and the bounds within which it is believed.

Everything is typed and checked; keys this version does not know are kept when a ticket is saved again, and never acted
on. Nothing here is a path, a module or code: files are named by the seeds of replicates alone.
"""

import json
import math
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints, ValidationError, model_validator

from ticketzoo.errors import TicketError
from ticketzoo.masks.digests import digest_of_digests
from ticketzoo.masks.masks import sparsity_of
from ticketzoo.ticket.parts import (
    MAX_WEIGHTS,
    Count,
    Level,
    Part,
    Seed,
    Sha256,
    Sparsity,
    TaskName,
    TensorName,
    Text,
    TicketName,
)
from ticketzoo.ticket.verdict import Verdict
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal

FORMAT: Literal[1] = 1
MAX_CONFIG_BYTES = 16 * 2**20

MASKS_FILE, REWIND_FILE = "masks.safetensors", "rewind.safetensors"
RECIPE_FILE, RESULTS_FILE = "recipe.yaml", "results.jsonl"


class Architecture(Part):
    """The network, by a name in `ticketzoo.models` and the arguments that build it."""

    library: Text
    name: Text
    kwargs: dict[str, JsonValue] = Field(default={})


class Source(Part):
    """The data set a ticket was found on: its id, its revision and a fingerprint of the examples."""

    dataset: Text
    revision: Text | None = None
    fingerprint: Text | None = None


class Prunable(Part):
    """A parameter that the masks cover."""

    name: TensorName
    shape: list[Annotated[int, Field(ge=1, le=MAX_WEIGHTS)]] = Field(max_length=8)


class Pruning(Part):
    """The way the ticket was found.

    `rate` is the fraction removed a round, for all or by pattern of parameter names: of the survivors, or with
    `rate_of: original` of all prunable weights.
    """

    method: Text
    scope: Text
    rate: Sparsity | dict[str, Sparsity] | None = None
    rate_of: Text = "survivors"
    parameters: list[Prunable] = Field(min_length=1, max_length=65_536)


class PackedRewind(Part):
    """The weights to train from are in the ticket.

    Its numbers on its source were measured by training them on so:

    - `weights`: they are those of iteration `step` (0 = initialisation); learning rate and data go on from `step`.
    - `late-reset`: they are those of iteration `step`; learning rate and data begin at 0.
    - `learning-rate`: they are trained weights, from the end of the training that the mask was made from; learning
      rate and data go on from `step`. Retrained on a target they bring along what was learned on the source.
    """

    kind: Literal["packed"] = "packed"
    step: Count
    rewinding: Text = "weights"


class BaseRewind(Part):
    """The weights to train from are those of a Hub model at a commit; `sha256` is over its tensors."""

    kind: Literal["base"]
    step: Count = 0
    repo_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+([._/-][A-Za-z0-9]+)*$", max_length=200)]
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    sha256: Sha256


class LevelEntry(Part):
    """A packaged level: after `level` rounds of pruning, `kept` prunable weights remain in every replicate."""

    level: Level
    sparsity: Sparsity
    kept: Annotated[int, Field(ge=1, le=MAX_WEIGHTS)]


class FileEntry(Part):
    """Size and digest of one file."""

    bytes: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Sha256


class Replicate(Part):
    """The same recipe from another seed: digests of its masks and rewind weights, and its files by derived path."""

    seed: Seed
    mask_sha256: Sha256
    rewind_sha256: Sha256 | None = None
    files: dict[str, FileEntry] = Field(default={})


class TicketConfig(Part):
    """The content of ticket.json."""

    format: Literal[1] = FORMAT
    name: TicketName
    library_version: Text
    architecture: Architecture
    task: TaskName
    source: Source
    pruning: Pruning
    rewind: PackedRewind | BaseRewind = Field(discriminator="kind")
    levels: list[LevelEntry] = Field(min_length=1, max_length=1000)
    replicates: list[Replicate] = Field(min_length=1, max_length=1000)
    mask_sha256: Sha256
    files: dict[Literal["recipe.yaml", "results.jsonl"], FileEntry] = Field(default={})
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

    @model_validator(mode="after")
    def _is_consistent(self) -> "TicketConfig":
        _refuse_repeats("pruning.parameters: name", [parameter.name for parameter in self.pruning.parameters])
        _refuse_repeats("replicates: seed", [replicate.seed for replicate in self.replicates])
        if self.prunable_weights > MAX_WEIGHTS:
            raise ValueError(f"pruning.parameters: {self.prunable_weights} weights, more than {MAX_WEIGHTS}")
        self._check_levels()
        for replicate in self.replicates:
            if (replicate.rewind_sha256 is None) != (self.rewind.kind == "base"):
                raise ValueError(f"replicates: seed {replicate.seed} must have rewind_sha256 if rewind.kind is packed")
        expected = mask_sha256_of([(replicate.seed, replicate.mask_sha256) for replicate in self.replicates])
        if self.mask_sha256 != expected:
            raise ValueError(f"mask_sha256: {self.mask_sha256}, but the replicates' digests give {expected}")
        return self

    def _check_levels(self) -> None:
        kept = total = self.prunable_weights
        previous = -1
        for entry in self.levels:
            if entry.level <= previous:
                raise ValueError(f"levels: level {entry.level} comes after level {previous}")
            if entry.kept > kept:
                raise ValueError(f"levels: level {entry.level} keeps {entry.kept} weights, more than the {kept} before")
            if entry.sparsity != sparsity_of(entry.kept, total):
                is_so = f"{entry.kept} of {total} kept is {sparsity_of(entry.kept, total)}"
                raise ValueError(f"levels: level {entry.level} says sparsity {entry.sparsity}, but {is_so}")
            kept, previous = entry.kept, entry.level

    def to_json(self) -> str:
        """Return the text of ticket.json."""
        return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"


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
    if number > FORMAT:
        raise TicketError(f"{where}: format {number} was made by a newer ticketzoo (this one reads {FORMAT}): upgrade")
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
        key = for_terminal(".".join(str(part) for part in first["loc"]))
        raise TicketError(f"{where}: {key}{': ' * bool(key)}{_message(first)}") from None


def _message(error: Any) -> str:
    return for_terminal(error["msg"].removeprefix("Value error, "))[:1000]


def _refuse_repeats(what: str, values: list[Any]) -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value} appears twice")
        seen.add(value)
