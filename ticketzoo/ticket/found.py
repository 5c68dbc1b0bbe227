"""From what the seeds of a recipe found to what a ticket stores and states."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import sparsity_of
from ticketzoo.models.pretrained import base_state
from ticketzoo.models.state import State
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.by_level import ByLevel, KeptPlaces, LevelStates, Places, places
from ticketzoo.ticket.config import (
    EXTRA,
    RECIPE_FILE,
    RESULTS_FILE,
    REWINDS,
    Filters,
    TicketConfig,
    check_config,
    mask_sha256_of,
)
from ticketzoo.ticket.draw import drawn_state
from ticketzoo.ticket.fields import Architecture
from ticketzoo.ticket.folder import entry_of
from ticketzoo.ticket.levels import PackedLevels, pack_levels
from ticketzoo.ticket.recipe_file import read_recipe
from ticketzoo.ticket.rewind import pack_state, step_by_replicate
from ticketzoo.ticket.rows import check_row, read_rows
from ticketzoo.ticket.state_file import FORMS, are_signed
from ticketzoo.ticket.stored import States, Stored, StoredReplicate, sha256_of
from ticketzoo.ticket.structure import filters_of


@dataclass(frozen=True)
class Found:
    """The findings of one seed.

    Attributes:
        seed: of the replicate.
        levels: bool masks by level and parameter name.
        rewind_state: the state to train from, dense, with buffers; None where a base model's weights, `rewind_levels`
            or `draw_seed` say what it is.
        rewind_levels: instead, for levels that start from weights of their own, the state of each; one is asked for at
            a time, so that a mapping that reads them needs memory for one.
        draw_seed: instead, the seed from which `ticketzoo.models` draws the initialisation: it is not stored.
        values: trained weights by level, dense; beside those of all masked parameters any other tensors.
        environments: what its levels were trained with; see `ticketzoo.ticket.fields.Environment`.
    """

    seed: int
    levels: Mapping[int, Mapping[str, Tensor]]
    rewind_state: Mapping[str, Tensor] | None = None
    rewind_levels: Mapping[int, Mapping[str, Tensor]] | None = None
    draw_seed: int | None = None
    values: Mapping[int, Mapping[str, Tensor]] | None = None
    environments: Sequence[Mapping[str, Any]] = ()


def pack(
    content: dict[str, Any],
    replicates: Sequence[Found],
    *,
    package_from: int = 0,
    base: BaseWeights | None = None,
    documents: Mapping[str, bytes],
) -> tuple[TicketConfig, Stored]:
    """Copy what replicates found into a ticket, and complete what ticket.json states.

    Args:
        content: of ticket.json, but for `levels`, `replicates`, `values`, digests and `pruning.parameters`.
        replicates: the findings of each seed.
        package_from: the densest level to package.
        base: weights of a model on the Hub that all replicates rewind to.
        documents: content of further files, by path below the ticket's folder.

    Raises:
        TicketError: no replicates, weights that do not fit their masks, levels that differ between replicates, and
            fields that ticket.json may not hold.
    """
    from ticketzoo import __version__

    if not replicates:
        raise TicketError("a ticket needs at least one replicate")
    content = {"name": content["name"], "library_version": __version__, **content}
    weights = None
    content["rewind"] = step_by_replicate(content["rewind"])
    if base is not None:
        weights = base_state(content["architecture"], base.state)
        content = content | {"rewind": {**base.stated, "step": content["rewind"]["step"]}}
    stored: dict[int, StoredReplicate] = {}
    for found in replicates:
        if found.seed in stored:
            raise TicketError(f"seed {found.seed} has two replicates")
        levels = _pack_levels(found, package_from)
        rewind = _pack_rewind(found, content, levels, weights)
        stored[found.seed] = StoredReplicate(_Constant(levels), _Constant(rewind), _Constant(_values(found, levels)))
    entries = list(_level_entries({seed: one.levels for seed, one in stored.items()}))
    stated = list(_stated(stored, content))
    for one, found in zip(stated, replicates, strict=True):
        one["environments"] = [dict(environment) for environment in found.environments]
    content = content | {"levels": entries, "replicates": stated}
    first = next(iter(stored.values()))
    parameters = [{"name": name, "shape": list(shape)} for name, shape in first.levels.shapes.items()]
    content["pruning"] = {**content["pruning"], "parameters": parameters}
    content["rewind"] = _stated_rewind(content["rewind"], replicates, first)
    if first.values:
        content["values"] = {"levels": list(first.values)}
    if any(list(one.values) != list(first.values) for one in stored.values()):
        raise TicketError("the seeds do not have trained values of the same levels")
    content["files"] = {path: entry_of(held).model_dump() for path, held in documents.items() if path.startswith(EXTRA)}
    content["mask_sha256"] = mask_sha256_of([(one["seed"], one["mask_sha256"]) for one in content["replicates"]])
    at_least = max(one.levels.first_format for one in stored.values())
    config = check_config(content | {"format": 2}, f"ticket '{content['name']}'").in_its_format(at_least)
    return config, Stored(stored, _Documents(documents), read_base=None if weights is None else _Constant(weights))


def fits_signed(replicates: Sequence[Found], package_from: int) -> bool:
    """Tell whether the states to use as they are can be packed as signs and magnitudes."""
    for found in replicates:
        states: Mapping[Any, Mapping[str, Tensor]] = found.rewind_levels or {None: found.rewind_state or {}}
        levels = _pack_levels(found, package_from)
        for level, (bits, _) in places(levels, "zero", own=found.rewind_levels is not None).walk():
            tensors = pack_state(states[level], bits, levels.shapes, "the rewind weights").tensors
            if not all(are_signed(tensors[name]) for name in levels.shapes):
                return False
    return True


def documents_of(
    recipe_text: str | None, results: Iterable[Mapping[str, Any]], further: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the content of a ticket's documents, by path below its folder.

    Raises:
        TicketError: a recipe or results that a ticket cannot hold.
    """
    documents = {f"{EXTRA}/{name}": content for name, content in further.items()}
    if recipe_text is not None:
        read_recipe(documents.setdefault(RECIPE_FILE, recipe_text.encode()), RECIPE_FILE)
    rows = list(results)
    try:
        for number, row in enumerate(rows, 1):
            check_row(row, f"results: row {number}", complete=False)
        lines = "".join(json.dumps(dict(row), allow_nan=False) + "\n" for row in rows)
    except (TypeError, ValueError) as error:
        raise TicketError(f"results: not JSON: {error}") from None
    read_rows(lines.encode(), "results")
    return documents | ({RESULTS_FILE: lines.encode()} if lines else {})


def _pack_levels(found: Found, package_from: int) -> PackedLevels:
    packaged = [level for level in sorted(found.levels) if level >= package_from]
    if not packaged:
        raise TicketError(f"seed {found.seed} has no masks of level {package_from} or sparser to package")
    return pack_levels((level, found.levels[level]) for level in packaged)


def _pack_rewind(found: Found, content: Mapping[str, Any], levels: PackedLevels, base: State | None) -> States:
    """Return the packed weights that all levels start from (None), or those of each level."""
    given = [base, found.rewind_state, found.rewind_levels, found.draw_seed]
    if sum(one is not None for one in given) != 1:
        ways = "a rewind state, a state for each level, the seed of an initialisation, or base weights for all seeds"
        raise TicketError(f"seed {found.seed}: give one of {ways}")
    if (found.draw_seed is None) == (content["rewind"]["kind"] == "seed"):
        raise TicketError(f"seed {found.seed}: rewind_kind='seed' goes with a draw_seed for every replicate")
    states: Mapping[Any, Mapping[str, Tensor]] = found.rewind_levels or {}
    if found.draw_seed is not None:
        states = {None: drawn_state(Architecture.model_validate(content["architecture"]), found.draw_seed)}
    elif found.rewind_levels is None:
        states = {None: base if base is not None else found.rewind_state}  # type: ignore[dict-item]
    known = places(levels, content.get("masked", "zero"), own=found.rewind_levels is not None)
    there = set(states)
    if missing := [level for level in known if level not in there]:
        raise TicketError(f"seed {found.seed}: level {missing[0]} has no rewind state")
    return _pack_states(states, known, levels, "the rewind weights", content["rewind"]["kind"])


def _values(found: Found, levels: PackedLevels) -> States:
    values = found.values or {}
    if unknown := [level for level in values if level not in levels]:
        raise TicketError(f"seed {found.seed}: values of level {unknown[0]}, which is not packaged")
    return _pack_states(values, KeptPlaces(levels, sorted(values)), levels, "the trained values", "packed")


def _pack_states(
    states: Mapping[Any, Mapping[str, Tensor]], known: ByLevel[Places], levels: PackedLevels, what: str, form: str
) -> States:
    """Pack one state after the other; refuse what the form cannot hold."""
    tensors: dict[int | None, State] = {}
    for level, (bits, _) in known.walk():
        tensors[level] = pack_state(states[level], bits, levels.shapes, what).tensors
        if form in FORMS:
            for name in levels.shapes:
                FORMS[form].make(name, tensors[level][name])
    return LevelStates(levels.shapes, known, tensors)


def _stated(stored: Mapping[int, StoredReplicate], content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    structure = content["pruning"].get("structure")
    layers = Filters.model_validate(structure).layers if isinstance(structure, Mapping) else {}
    for seed, replicate in stored.items():
        has_digest = REWINDS[content["rewind"]["kind"]].has_digest
        one: dict[str, Any] = {"seed": seed, "mask_sha256": replicate.levels.sha256()}
        one["rewind_sha256"] = sha256_of(replicate.rewind) if has_digest else None
        if replicate.values:
            one["values_sha256"] = sha256_of(replicate.values)
        if layers:
            one["filters"] = {str(level): filters_of(masks, layers) for level, masks in replicate.levels.items()}
        yield one


def _stated_rewind(rewind: dict[str, Any], replicates: Sequence[Found], first: StoredReplicate) -> dict[str, Any]:
    if replicates[0].draw_seed is not None:
        return {"kind": "seed", "seeds": [found.draw_seed for found in replicates]}
    own = None not in first.rewind
    return {**rewind, "levels": list(first.rewind)} if own else rewind


def _level_entries(levels: Mapping[int, PackedLevels]) -> Iterator[dict[str, Any]]:
    """Yield what ticket.json says of each level, which must be the same for all seeds."""
    (first_seed, first), *others = levels.items()
    for seed, packed in others:
        if packed.shapes != first.shapes or list(packed) != list(first):
            raise TicketError(f"seeds {first_seed} and {seed} do not have the same levels of the same parameters")
    for level in first:
        kept = [sum(packed.kept(level).values()) for packed in levels.values()]
        nested = all(packed.nested(level) for packed in levels.values())
        entry = {"level": level, "sparsity": sparsity_of(sum(kept), first.weights * len(kept))}
        yield {**entry, "kept": kept[0] if len(set(kept)) == 1 else kept, "nested": nested}


@dataclass(frozen=True)
class _Constant:
    value: Any

    def __call__(self, *_: object) -> Any:
        return self.value


@dataclass(frozen=True)
class _Documents:
    contents: Mapping[str, bytes]

    def __call__(self, name: str) -> bytes | None:
        return self.contents.get(name)
