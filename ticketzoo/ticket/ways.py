"""Ways to make masks of the masks of several tickets, weight by weight."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks
from ticketzoo.util.registry import Registry
from ticketzoo.util.text import for_terminal


@dataclass(frozen=True)
class Way:
    """A row of `WAYS`.

    Attributes:
        name: as `derived.method` of ticket.json has it.
        make: gives a mask of two; of more, from the left.
        sign: the operator of Python between two tickets.
        short: its name on the command line.
        words: what a card calls it.
        cite: where it comes from.
    """

    name: str
    make: Callable[[Tensor, Tensor], Tensor]
    sign: str
    short: str
    words: str
    cite: str = ""

    def masks(self, of_each: Sequence[Mapping[str, Tensor]]) -> Masks:
        """Return the masks that those of several tickets make, all of the same parameters."""
        first, *others = of_each
        return {name: reduce(self.make, (one[name] for one in others), mask) for name, mask in first.items()}


WAYS: Registry[Way] = Registry("way to combine tickets", Way, error=TicketError)


@WAYS.add("intersection", sign="&", short="and", words="the weights that all of several tickets keep")
def _both(first: Tensor, second: Tensor) -> Tensor:
    return first & second


@WAYS.add("union", sign="|", short="or", words="the weights that any of several tickets keeps")
def _either(first: Tensor, second: Tensor) -> Tensor:
    return first | second


@WAYS.add("difference", sign="-", short="minus", words="the weights that a ticket keeps and none of others does")
def _first_alone(first: Tensor, second: Tensor) -> Tensor:
    return first & ~second


def way_called(name: str) -> Way:
    """Return the way of that short name, or the one that files have. Raises TicketError for any other."""
    found = next((way for way in WAYS.values() if name in (way.short, way.name)), None)
    if found is None:
        known = ", ".join(way.short for way in WAYS.values())
        raise TicketError(f"unknown way to combine tickets {for_terminal(repr(name))[:100]}; known are {known}")
    return found
