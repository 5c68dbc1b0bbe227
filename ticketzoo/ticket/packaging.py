"""From what the seeds of a recipe found to what a ticket stores and states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import RECIPE_FILE, RESULTS_FILE, mask_sha256_of
from ticketzoo.ticket.digests import state_sha256
from ticketzoo.ticket.masks import kept, sparsity, total
from ticketzoo.ticket.packed import pack_levels, pack_rewind, unpack_rewind
from ticketzoo.ticket.stored import Stored, StoredReplicate


@dataclass(frozen=True)
class Found:
    """What one seed found: bool masks by level and parameter name, and the rewind state, dense, with its buffers."""

    seed: int
    levels: Mapping[int, Mapping[str, Tensor]]
    rewind_state: Mapping[str, Tensor]


def store(
    replicates: Sequence[Found], package_from: int, recipe_text: str | None, results_text: str | None
) -> tuple[Stored, dict[str, Any]]:
    """Copy the levels from `package_from` on and the weights that its masks keep.

    Returns them with what ticket.json states about them: `parameters`, `levels`, `replicates` and `mask_sha256`.
    Raises TicketError for no replicates, masks that aren't nested, levels or counts that differ between replicates.
    """
    found = [_from_level(one, package_from) for one in replicates]
    if not found:
        raise TicketError("a ticket needs at least one replicate")
    levels = _level_entries(found)
    shapes = {name: tuple(mask.shape) for name, mask in found[0].levels[levels[0]["level"]].items()}
    stored: dict[int, StoredReplicate] = {}
    stated: list[dict[str, Any]] = []
    for one in found:
        packed = pack_levels(one.levels, shapes)
        rewind = pack_rewind(one.rewind_state, packed.masks(packed.densest))
        weights = unpack_rewind(rewind, packed, packed.densest)
        stored[one.seed] = StoredReplicate(_Constant(packed), _Constant(rewind))
        stated.append({"seed": one.seed, "mask_sha256": packed.sha256(), "rewind_sha256": state_sha256(weights)})
    documents = {RECIPE_FILE: recipe_text, RESULTS_FILE: results_text}
    return Stored(stored, _Documents(documents)), {
        "parameters": [{"name": name, "shape": list(shape)} for name, shape in shapes.items()],
        "levels": levels,
        "replicates": stated,
        "mask_sha256": mask_sha256_of([(one["seed"], one["mask_sha256"]) for one in stated]),
    }


def _from_level(found: Found, package_from: int) -> Found:
    levels = {level: found.levels[level] for level in sorted(found.levels) if level >= package_from}
    if not levels:
        raise TicketError(f"seed {found.seed} has no level from {package_from} on to package")
    return Found(found.seed, levels, found.rewind_state)


def _level_entries(found: Sequence[Found]) -> list[dict[str, Any]]:
    """`level`, `sparsity` and `kept` of each level, which must be the same in all replicates."""
    first = found[0]
    for one in found[1:]:
        if one.levels.keys() != first.levels.keys():
            raise TicketError(
                f"seed {one.seed} has levels {list(one.levels)}, but seed {first.seed} has {list(first.levels)}"
            )
        for level, masks in one.levels.items():
            here, there = kept(masks), kept(first.levels[level])
            if (here, total(masks)) != (there, total(first.levels[level])):
                raise TicketError(
                    f"level {level} keeps {here} of {total(masks)} weights for seed {one.seed}, "
                    f"but {there} of {total(first.levels[level])} for seed {first.seed}"
                )
    return [{"level": level, "sparsity": sparsity(masks), "kept": kept(masks)} for level, masks in first.levels.items()]


@dataclass(frozen=True)
class _Constant:
    value: Any

    def __call__(self, *_: object) -> Any:
        return self.value


@dataclass(frozen=True)
class _Documents:
    texts: Mapping[str, str | None]

    def __call__(self, name: str) -> bytes | None:
        text = self.texts[name]
        return None if text is None else text.encode()
