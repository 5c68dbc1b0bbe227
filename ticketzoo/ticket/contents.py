"""The content of a ticket at one level of one replicate. Every tensor it hands out is the caller's to change."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks, sparsity_of
from ticketzoo.models.state import State
from ticketzoo.ticket.base import shared_base
from ticketzoo.ticket.by_level import places
from ticketzoo.ticket.config import EXTRA, LevelEntry, TicketConfig
from ticketzoo.ticket.empty import empty_layers
from ticketzoo.ticket.levels import MaskBits, unpack
from ticketzoo.ticket.show import ticket_html
from ticketzoo.ticket.stored import Stored, StoredReplicate
from ticketzoo.ticket.verdict import GOOD
from ticketzoo.util.arguments import checked
from ticketzoo.util.text import for_terminal

ContentsT = TypeVar("ContentsT", bound="Contents")

NEAR = 0.05
"""How far the nearest packaged level may be from the sparsity asked for."""


@dataclass(frozen=True, eq=False, repr=False)
class Contents:
    """One level of one replicate of a packaged ticket; `at` gives another view without reading files again.

    Attributes:
        config: all that ticket.json says.
        level: how many pruning rounds made the masks.
        seed: of the replicate.
    """

    config: TicketConfig
    level: int
    seed: int
    _stored: Stored

    @classmethod
    def _view(
        cls: type[ContentsT],
        config: TicketConfig,
        stored: Stored,
        *,
        level: int | None = None,
        sparsity: float | None = None,
        seed: int | None = None,
    ) -> ContentsT:
        view = cls(config, _choose_level(config, level, sparsity), _choose_seed(config, seed), stored)
        assert view._replicate.levels  # read and checked now
        return view

    @checked
    def at(
        self: ContentsT, *, level: int | None = None, sparsity: float | None = None, seed: int | None = None
    ) -> ContentsT:
        """Return the same ticket at another level or sparsity, of another seed; what isn't given stays.

        Raises:
            TicketError: there is no such level, sparsity or seed.
        """
        if level is None and sparsity is None:
            level = self.level
        seed = self.seed if seed is None else seed
        return self._view(self.config, self._stored, level=level, sparsity=sparsity, seed=seed)

    @property
    def name(self) -> str:
        """Such as `lenet-300-100.mnist-imp`."""
        return self.config.name

    @property
    def kind(self) -> str:
        """`zero`, `frozen` or, where the mask comes with new values over frozen weights, `delta`."""
        return "delta" if self.config.masked == "frozen" and self.config.values else self.config.masked

    @property
    def levels(self) -> list[LevelEntry]:
        """The packaged levels, densest first."""
        return self.config.levels

    @property
    def seeds(self) -> list[int]:
        """The seeds of the replicates, in the recipe's order."""
        return [replicate.seed for replicate in self.config.replicates]

    @property
    def sparsity(self) -> float:
        """Fraction of the prunable weights that this replicate's masks remove at this level, in [0, 1)."""
        levels = self._replicate.levels
        return sparsity_of(sum(levels.kept(self.level).values()), levels.weights)

    @property
    def masks(self) -> Masks:
        """Bool tensors, True = kept, by parameter name; unpacked anew from a bit per weight whenever asked for."""
        return unpack(self._bits, self._replicate.levels.shapes)

    @property
    def empty_layers(self) -> list[str]:
        """A line for each parameter of which a replicate keeps next to nothing at some packaged level."""
        return empty_layers(self._stored, self.config)

    @property
    def rewind_state(self) -> State:
        """Every parameter and buffer to train from, dense, in the stored dtypes, unpacked whenever asked for.

        Pruned weights are 0.0, or, of a ticket with `masked: frozen`, at their start values.

        Raises:
            TicketError: a damaged file.
        """
        rewind = self._replicate.rewind
        if self.level in rewind:
            return rewind[self.level].dense()
        return rewind[None].dense(None if self.config.masked == "frozen" else self._bits)

    @property
    def known_state(self) -> State:
        """Every parameter and buffer to train from, with all rewind weights that the ticket knows.

        Where masks are nested, the `rewind_state` of the densest level.

        Raises:
            TicketError: a damaged file.
        """
        rewind = self._replicate.rewind
        return rewind[self.level if self.level in rewind else None].dense()

    @property
    def known_rewind(self) -> Masks:
        """The places (True) of which `known_state` holds the values: where masks are nested, those of the densest."""
        levels = self._replicate.levels
        known = places(levels, self.config.masked, own=self.config.rewind.levels is not None)
        return unpack(known[self.level if self.level in known else None].bits, levels.shapes)

    @property
    def trained_state(self) -> State | None:
        """Every parameter and buffer with the trained values of this level; None where the ticket has none.

        Raises:
            TicketError: a damaged file.
        """
        values = self._replicate.values
        return values[self.level].over(self.rewind_state) if self.level in values else None

    @property
    def base_state(self) -> State | None:
        """A copy of the base model's weights, dense and whole; None where the ticket holds its rewind weights itself.

        Raises:
            RegistryError: they cannot be fetched.
            TicketError: they are not those of the ticket.
        """
        state = shared_base(self)
        return None if state is None else {name: tensor.clone() for name, tensor in state.items()}

    @property
    def results(self) -> list[dict[str, Any]]:
        """Every measured number: a row of results.jsonl each.

        Raises:
            TicketError: a damaged file, or rows that a ticket cannot have; the message names the row.
        """
        return [dict(row) for row in self._stored.results]

    @property
    def recipe_text(self) -> str | None:
        """The recipe that made the ticket, as YAML.

        Raises:
            TicketError: a damaged file, or one that is no recipe: not YAML, or out of bounds.
        """
        return self._stored.recipe_text

    @checked
    def read_file(self, name: str) -> bytes:
        """Return the content of a further file of the ticket, such as `scores.safetensors`.

        Raises:
            TicketError: there is none of that name, or it is damaged.
        """
        content = self._stored.read_document(f"{EXTRA}/{name}")
        if content is None:
            names = ", ".join(path.removeprefix(f"{EXTRA}/") for path in self.config.files if path.startswith(EXTRA))
            raise TicketError(f"'{self.name}' has no file '{for_terminal(name)[:200]}'; it has {names or 'none'}")
        return content

    @property
    def _replicate(self) -> StoredReplicate:
        return self._stored.replicates[self.seed]

    @cached_property
    def _bits(self) -> MaskBits:
        return self._replicate.levels.bits(self.level)

    def __repr__(self) -> str:
        return f"Ticket('{self.name}', level={self.level}, sparsity={self.sparsity:.4f}, seed={self.seed})"

    def _repr_html_(self) -> str:
        return ticket_html(self.config, f"level {self.level}, sparsity {self.sparsity:.4f}, seed {self.seed}")

    @property
    def _at_level(self) -> str:
        return f"'{self.name}' at level {self.level}"


def _choose_level(config: TicketConfig, level: int | None, sparsity: float | None) -> int:
    """Return the packaged level asked for, nearest to the sparsity asked for, or by default the sparsest good one.

    Good are the labels `GOOD`, such as winning or matching; where there is none, the sparsest level of all.

    Raises:
        TicketError: no such level is packaged, or none within 0.05 of that sparsity; the message lists the levels.
    """
    if level is not None and sparsity is not None:
        raise TicketError(f"'{config.name}': give a level or a sparsity, not both")
    if level is not None:
        if level not in {entry.level for entry in config.levels}:
            raise TicketError(f"'{config.name}' has no level {level}: choose from {_listed(config)}")
        return level
    if sparsity is not None:
        nearest = min(config.levels, key=lambda entry: abs(entry.sparsity - sparsity))
        if not abs(nearest.sparsity - sparsity) <= NEAR:
            within = f"no level within {NEAR} of sparsity {sparsity}"
            raise TicketError(f"'{config.name}' has {within}: choose from {_listed(config)}")
        return nearest.level
    good = {entry.level for entry in (config.verdict.levels if config.verdict else []) if entry.label in GOOD}
    packaged = [entry.level for entry in config.levels]
    return max(good.intersection(packaged), default=packaged[-1])


def _choose_seed(config: TicketConfig, seed: int | None) -> int:
    """Return the seed of a replicate; the first by default.

    Raises:
        TicketError: there is no such seed; the message lists the seeds.
    """
    seeds = [replicate.seed for replicate in config.replicates]
    if seed is not None and seed not in seeds:
        raise TicketError(f"'{config.name}' has no replicate of seed {seed}: choose from {', '.join(map(str, seeds))}")
    return seeds[0] if seed is None else seed


def _listed(config: TicketConfig) -> str:
    return ", ".join(f"{entry.level} (sparsity {entry.sparsity:.3f})" for entry in config.levels)
