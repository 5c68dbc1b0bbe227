"""From what the seeds of a recipe found to what a ticket stores and states."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.masks.masks import sparsity_of
from ticketzoo.ticket.config import RECIPE_FILE, RESULTS_FILE, TicketConfig, check_config, mask_sha256_of
from ticketzoo.ticket.encoding import masks_to_bytes, rewind_to_bytes
from ticketzoo.ticket.folder import CONFIG_FILE, entry_of, is_ours, masks_path, replacing, rewind_path, write_file
from ticketzoo.ticket.levels import PackedLevels, pack_levels
from ticketzoo.ticket.rewind import pack_rewind, unpack_rewind
from ticketzoo.ticket.stored import Stored, StoredReplicate


@dataclass(frozen=True)
class Found:
    """The findings of one seed: bool masks by level and parameter name, and the rewind state, dense, with buffers.

    A ticket that rewinds to the weights of a model on the Hub has no `rewind_state`.
    """

    seed: int
    levels: Mapping[int, Mapping[str, Tensor]]
    rewind_state: Mapping[str, Tensor] | None = None


def store(
    replicates: Sequence[Found],
    package_from: int,
    recipe_text: str | None,
    results: Iterable[Mapping[str, Any]],
    base: dict[str, Tensor] | None = None,
) -> tuple[Stored, dict[str, Any]]:
    """Copy the levels from `package_from` on and the weights that its masks keep, of each replicate or of `base`.

    `base` are the weights that all replicates rewind to, named as the masks.

    Returns them with what ticket.json states about them: `parameters`, `levels`, `replicates` and `mask_sha256`.

    Raises:
        TicketError: no replicates, masks that aren't nested, levels or counts that differ between replicates.
    """
    if not replicates:
        raise TicketError("a ticket needs at least one replicate")
    stored: dict[int, StoredReplicate] = {}
    stated: list[dict[str, Any]] = []
    levels: dict[int, PackedLevels] = {}
    for found in replicates:
        if found.seed in stored:
            raise TicketError(f"seed {found.seed} has two replicates")
        packed = levels[found.seed] = _pack_levels(found, package_from)
        rewind = pack_rewind(_rewind_state(found, base), packed.masks(packed.densest))
        stored[found.seed] = StoredReplicate(_Constant(packed), _Constant(rewind))
        digest = None if base is not None else state_sha256(unpack_rewind(rewind, packed, packed.densest))
        stated.append({"seed": found.seed, "mask_sha256": packed.sha256(), "rewind_sha256": digest})
    documents = {RECIPE_FILE: recipe_text, RESULTS_FILE: _lines(results) or None}
    return Stored(stored, _Documents(documents), read_base=None if base is None else _Constant(base)), {
        "parameters": [{"name": name, "shape": list(shape)} for name, shape in packed.shapes.items()],
        "levels": _level_entries(levels),
        "replicates": stated,
        "mask_sha256": mask_sha256_of([(one["seed"], one["mask_sha256"]) for one in stated]),
    }


def _rewind_state(found: Found, base: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
    if (found.rewind_state is None) == (base is None):
        raise TicketError(f"seed {found.seed}: give a rewind state, or base weights for all seeds, and not both")
    return base if base is not None else found.rewind_state  # type: ignore[return-value]


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    try:
        return "".join(json.dumps(dict(row), allow_nan=False) + "\n" for row in rows)
    except (TypeError, ValueError) as error:
        raise TicketError(f"results: not JSON: {error}") from None


def _pack_levels(found: Found, package_from: int) -> PackedLevels:
    packaged = [level for level in sorted(found.levels) if level >= package_from]
    if not packaged:
        raise TicketError(f"seed {found.seed} has no masks of level {package_from} or sparser to package")
    return pack_levels((level, found.levels[level]) for level in packaged)


def _level_entries(levels: Mapping[int, PackedLevels]) -> list[dict[str, Any]]:
    """Return `level`, `sparsity` and `kept` of each level, which must be the same for all seeds."""
    (first_seed, first), *others = levels.items()
    kept = {level: sum(first.kept(level).values()) for level in first.levels}
    for seed, packed in others:
        if packed.shapes != first.shapes or packed.levels.keys() != kept.keys():
            raise TicketError(f"seeds {first_seed} and {seed} do not have the same levels of the same parameters")
        for level, count in kept.items():
            if (here := sum(packed.kept(level).values())) != count:
                differ = f"{count} weights for seed {first_seed}, but {here} for seed {seed}"
                raise TicketError(f"level {level} keeps {differ}; a ticket's replicates have equal counts")
    total = first.weights
    return [{"level": level, "sparsity": sparsity_of(count, total), "kept": count} for level, count in kept.items()]


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


def save(config: TicketConfig, stored: Stored, folder: Path, extras: Mapping[str, bytes]) -> Path:
    """Write the ticket so that `folder` ever holds all of the old one or all of the new. Returns `folder`."""
    for name in extras:
        if not re.fullmatch(r"\w[\w.-]*", name) or is_ours(name):
            raise TicketError(f"{folder}: '{name}' cannot be the name of an extra file of a ticket")
    content = config.model_dump(mode="json")
    with replacing(folder) as new:
        for replicate in content["replicates"]:
            replicate["files"] = _write_replicate(new, config, stored, replicate["seed"])
        content["files"] = _write_documents(new, stored)
        for name, data in extras.items():
            write_file(new / name, data)
        write_file(new / CONFIG_FILE, check_config(content, str(folder)).to_json().encode())
    return folder


def _write_replicate(folder: Path, config: TicketConfig, stored: Stored, seed: int) -> dict[str, Any]:
    replicate = stored.replicates[seed]
    entries = {masks_path(seed): _write(folder, masks_path(seed), masks_to_bytes(replicate.levels))}
    if config.rewind.kind == "packed":
        entries[rewind_path(seed)] = _write(folder, rewind_path(seed), rewind_to_bytes(replicate.rewind))
    return entries


def _write_documents(folder: Path, stored: Stored) -> dict[str, Any]:
    contents = {name: stored.read_document(name) for name in (RECIPE_FILE, RESULTS_FILE)}
    return {name: _write(folder, name, content) for name, content in contents.items() if content is not None}


def _write(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    write_file(folder / name, content)
    return entry_of(content).model_dump()
