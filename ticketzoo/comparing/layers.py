"""The layers of a ticket, one by one: how dense their masks are, and which units they cut off."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ticketzoo.comparing.stages import Stage
from ticketzoo.ticket.contents import Contents


class Layer(NamedTuple):
    """A layer's mask in one replicate.

    Attributes:
        ticket: its name.
        seed: of the replicate.
        level: of the masks.
        sparsity: of all layers at this level.
        parameter: the mask's name.
        weights: that it covers.
        kept: that it keeps.
        outputs: units that it computes, its rows.
        no_input: of these, those of which it keeps no weight: they read nothing.
        inputs: units that it reads, its columns; kernels count as one.
        no_output: of these, those of which it keeps no weight: nothing here reads them.
    """

    ticket: str
    seed: int
    level: int
    sparsity: float
    parameter: str
    weights: int
    kept: int
    outputs: int
    no_input: int
    inputs: int
    no_output: int

    @property
    def density(self) -> float:
        """The fraction of its weights that the mask keeps."""
        return self.kept / self.weights

    def row(self) -> dict[str, Any]:
        """Return all of it by column."""
        return {**self._asdict(), "density": self.density}


def layers_of(tickets: Sequence[Contents], stages: Sequence[Stage], names: Sequence[str]) -> Iterator[Layer]:
    """Yield the layers of every replicate at every stage. names: of the tickets, by place."""
    for stage in stages:
        for place, level in stage.levels.items():
            for seed in tickets[place].seeds:
                view = tickets[place].at(level=level, seed=seed)
                for name, mask in view.masks.items():
                    facts = (names[place], seed, level, view.sparsity, name)
                    yield Layer(*facts, mask.numel(), int(mask.sum()), *dead_units(mask))


def dead_units(mask: Tensor) -> tuple[int, int, int, int]:
    """Return the rows of a mask, those that keep nothing, its columns, and those that keep nothing.

    Rows are the units that the layer computes; columns, with all places of a kernel, the units that it reads.
    """
    if mask.ndim < 2:
        return mask.numel(), int((~mask).sum()), 0, 0
    cells = mask.flatten(2).any(2) if mask.ndim > 2 else mask
    return len(cells), int((~cells.any(1)).sum()), cells.shape[1], int((~cells.any(0)).sum())
