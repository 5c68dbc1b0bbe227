"""The content of a ticket's files: read when it is asked for, checked when it is read, and read once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

from ticketzoo.errors import TicketError
from ticketzoo.masks.digests import digest_of_digests
from ticketzoo.models.pretrained import base_state
from ticketzoo.models.state import State
from ticketzoo.ticket.base import base_weights
from ticketzoo.ticket.build import most_parameters
from ticketzoo.ticket.by_level import ByLevel, Held, KeptPlaces, Places, places
from ticketzoo.ticket.config import (
    MASKS_FILE,
    RECIPE_FILE,
    RESULTS_FILE,
    REWIND_FILE,
    VALUES_FILE,
    BaseRewind,
    Replicate,
    SeedRewind,
    TicketConfig,
)
from ticketzoo.ticket.draw import drawn_state
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import replicate_path
from ticketzoo.ticket.levels import PackedLevels
from ticketzoo.ticket.masks_file import read_masks
from ticketzoo.ticket.recipe_file import MAX_RECIPE_BYTES, read_recipe
from ticketzoo.ticket.rewind import PackedState, pack_state
from ticketzoo.ticket.rows import MAX_RESULTS_BYTES, Row, read_rows
from ticketzoo.ticket.state_file import CheckedLevels, StateFile

MOST_BYTES = {RECIPE_FILE: MAX_RECIPE_BYTES, RESULTS_FILE: MAX_RESULTS_BYTES}
"""Bounds of a ticket's documents, by name."""

States: TypeAlias = ByLevel[PackedState]
"""Packed weights by level; those that all levels share under None."""


@dataclass(frozen=True)
class StoredReplicate:
    """Masks and weights of one seed."""

    read_levels: Callable[[], PackedLevels]
    read_rewind: Callable[[PackedLevels], States]
    read_values: Callable[[PackedLevels], States]

    @cached_property
    def levels(self) -> PackedLevels:
        """The masks of every packaged level."""
        return self.read_levels()

    @cached_property
    def rewind(self) -> States:
        """The weights to train from."""
        return self.read_rewind(self.levels)

    @cached_property
    def values(self) -> States:
        """The trained values, by level; empty where there are none."""
        return self.read_values(self.levels)


@dataclass(frozen=True)
class Stored:
    """Everything a ticket holds beside its config: replicates by seed, and its documents by path.

    `files` are those it is read from; None for a ticket in memory.
    """

    replicates: Mapping[int, StoredReplicate]
    read_document: Callable[[str], bytes | None]
    files: Files | None = None
    read_base: Callable[[], State] | None = None
    """Gives the base model's weights, whole, named as the masks; None where the replicates have their own."""

    @property
    def recipe_text(self) -> str | None:
        """The recipe that made the ticket, as YAML; None when it has none."""
        return self._recipe[0]

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The recipe's content, as it was read; empty where there is none."""
        return self._recipe[1]

    @cached_property
    def _recipe(self) -> tuple[str | None, dict[str, Any]]:
        content = self.read_document(RECIPE_FILE)
        return (None, {}) if content is None else read_recipe(content, self.where(RECIPE_FILE))

    @cached_property
    def results(self) -> list[Row]:
        """Every measured number, a dict each."""
        return read_rows(self.read_document(RESULTS_FILE) or b"", self.where(RESULTS_FILE))

    def where(self, name: str) -> str:
        """Return a file in messages."""
        return self.files.where(name) if self.files else name


@dataclass(frozen=True)
class _Once:
    """Gives what `read` returns, read when it is first asked for. Unlike `functools.cache` it can be pickled."""

    read: Callable[[], State]

    @cached_property
    def state(self) -> State:
        return self.read()

    def __call__(self) -> State:
        return self.state


def sha256_of(states: States) -> str:
    """Return the digest of weights, of each level or of all."""
    return _joined({level: state.sha256() for level, state in states.walk()})


def _joined(digests: Mapping[int | None, str]) -> str:
    if None in digests:
        return digests[None]
    return digest_of_digests((f"level-{level}", digest) for level, digest in digests.items())


def stored_in(files: Files, config: TicketConfig, *, masks_only: bool = False, base: Path | None = None) -> Stored:
    """Return what the ticket in `files` holds; whatever it gives is checked against `config`, or raises TicketError.

    With `masks_only` the weights need not be there, and asking for them raises TicketError. `base` is a folder
    to read base weights from, instead of the Hub.
    """
    read_base = None
    read_rewind = partial(_read_rewind, files, config)
    read_values = partial(_read_values, files, config)
    if isinstance(config.rewind, BaseRewind):
        read_base = _Once(partial(_read_base, files, config, config.rewind, base))
        read_rewind = partial(_pack_base, read_base, config)
    elif base is not None:
        raise TicketError(f"'{config.name}': has rewind weights of its own, none of a base model: leave out base")
    elif isinstance(config.rewind, SeedRewind):
        read_rewind = partial(_draw, files, config, config.rewind)
    if masks_only:
        read_base, read_rewind, read_values = None, partial(_refuse, config), partial(_refuse, config)
    replicates = {
        replicate.seed: StoredReplicate(
            partial(_read_levels, files, config, replicate, masks_only),
            partial(read_rewind, replicate),
            partial(read_values, replicate),
        )
        for replicate in config.replicates
    }
    return Stored(replicates, partial(_read_document, files, config), files, read_base)


def _read_levels(files: Files, config: TicketConfig, replicate: Replicate, masks_only: bool) -> PackedLevels:
    name = replicate_path(replicate.seed, MASKS_FILE)
    files.require({name: replicate.files[name]} if masks_only else replicate.files)
    path, where = files.checked(name, replicate.files[name]), files.where(name)
    index = config.index_of(replicate.seed)
    levels = read_masks(path, where, config.shapes, config.levels, index=index, number=config.format)
    if (digest := levels.sha256()) != replicate.mask_sha256:
        raise TicketError(f"{where}: the masks have digest {digest}, but ticket.json says {replicate.mask_sha256}")
    return levels


def _refuse(config: TicketConfig, replicate: Replicate, levels: PackedLevels) -> States:
    raise TicketError(f"'{config.name}': only its masks were loaded: load it without masks_only to have weights")


def _read_base(files: Files, config: TicketConfig, rewind: BaseRewind, folder: Path | None) -> State:
    found = base_weights(rewind, files.hub_options, folder)
    return base_state(config.architecture.model_dump(), found.state)


def _pack_base(read: Callable[[], State], config: TicketConfig, replicate: Replicate, levels: PackedLevels) -> States:
    known = places(levels, config.masked, own=False)[None].bits
    return Held({None: pack_state(read(), known, levels.shapes, "the base weights")})


def _draw(files: Files, config: TicketConfig, rewind: SeedRewind, replicate: Replicate, levels: PackedLevels) -> States:
    seed = rewind.seeds[config.index_of(replicate.seed)]
    drawn = drawn_state(config.architecture, seed, at_most=most_parameters(config, {}))
    known = places(levels, config.masked, own=False)[None].bits
    states = Held({None: pack_state(drawn, known, levels.shapes, f"the weights drawn from seed {seed}")})
    why = "this version of torch draws other numbers, or the ticket was altered"
    _check_digest(
        sha256_of(states), replicate.rewind_sha256, f"{files.where('ticket.json')}: seed {replicate.seed}", why
    )
    return states


def _read_rewind(files: Files, config: TicketConfig, replicate: Replicate, levels: PackedLevels) -> States:
    name = replicate_path(replicate.seed, REWIND_FILE)
    known = places(levels, config.masked, own=config.rewind.levels is not None)
    return _read(files, name, replicate, known, levels, config.rewind.kind, replicate.rewind_sha256)


def _read_values(files: Files, config: TicketConfig, replicate: Replicate, levels: PackedLevels) -> States:
    if config.values is None:
        return Held({})
    name = replicate_path(replicate.seed, VALUES_FILE)
    known = KeptPlaces(levels, config.values.levels)
    return _read(files, name, replicate, known, levels, "packed", replicate.values_sha256)


def _read(
    files: Files,
    name: str,
    replicate: Replicate,
    known: ByLevel[Places],
    levels: PackedLevels,
    form: str,
    declared: str | None,
) -> States:
    """Return the weights in a file, with the digest that is declared: those of levels are read again when asked for."""
    path, where = files.checked(name, replicate.files[name]), files.where(name)
    file = StateFile(path, where, levels.shapes, known, form)
    if None in known:
        held = Held(dict(file.walk()))
        _check_digest(sha256_of(held), declared, where)
        return held
    digests = {level: state.sha256() for level, state in file.walk()}
    _check_digest(_joined(digests), declared, where)
    return CheckedLevels(file, digests)


def _check_digest(digest: str, declared: str | None, where: str, why: str = "") -> None:
    if digest != declared:
        what = "trained values" if where.endswith("values.safetensors") else "rewind weights"
        hint = f": {why}" if why else ""
        raise TicketError(f"{where}: the {what} have digest {digest}, but ticket.json says {declared}{hint}")


def _read_document(files: Files, config: TicketConfig, name: str) -> bytes | None:
    entries = {str(known): entry for known, entry in config.files.items()}
    if name not in entries:
        return None
    size, most = entries[name].bytes, MOST_BYTES.get(name)
    if most is not None and size > most:
        raise TicketError(f"{files.where(name)}: {size:,} bytes, more than the {most:,} that a ticket may have of it")
    return files.checked(name, entries[name]).read_bytes()
