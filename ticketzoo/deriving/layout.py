"""Two networks of one family and two depths: which tensor of one is which of the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from ticketzoo.deriving.units import Copied
from ticketzoo.errors import TicketError
from ticketzoo.models import bare_names, create_from_architecture, model_state
from ticketzoo.models.create import full_name
from ticketzoo.models.stages import Stages, stages_of
from ticketzoo.ticket.config import CUSTOM, TicketConfig
from ticketzoo.util.text import for_terminal

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Layout:
    """The tensor of the source that each tensor of the target is.

    Attributes:
        sources: names in the source, by those in the target and in their order.
    """

    sources: Mapping[str, str]

    def of(self, named: Mapping[str, ValueT]) -> dict[str, ValueT]:
        """Return what is given under names of the source under those of the target, once for each copy."""
        return {name: named[there] for name, there in self.sources.items() if there in named}


class Pair:
    """The network of a ticket, and one of its family of another depth.

    Attributes:
        names: of the two, as recipes ask for them.
        stages: of the two.
    """

    names: tuple[str, str]
    stages: tuple[Stages, Stages]

    def __init__(self, config: TicketConfig, architecture: Mapping[str, Any]) -> None:
        """Build both, on the CPU, for their names and shapes.

        Args:
            config: of the ticket.
            architecture: of the other network, as `ticketzoo.models.architecture_of` gives it.

        Raises:
            ModelError: a network that cannot be built, or that repeats nothing.
            TicketError: networks of two families, or one that its author alone can build.
        """
        ticket, mine = f"'{for_terminal(config.name)}'", config.architecture
        if CUSTOM in (mine.library, architecture["library"]):
            raise TicketError(f"{ticket} is of a network of its author's own: nothing tells which units it repeats")
        own = {"library": mine.library, "name": mine.name, "kwargs": mine.kwargs}
        self.names = (full_name(mine.library, mine.name), full_name(architecture["library"], architecture["name"]))
        first, second = (create_from_architecture(dict(one), seed=0) for one in (own, architecture))
        stages = (stages_of(first), stages_of(second)) if type(first) is type(second) else ([], [[]])
        if len(stages[0]) != len(stages[1]):
            other = f"{self.names[1]} as it is asked for" if self.names[0] == self.names[1] else self.names[1]
            what = f"{ticket} is a ticket of {self.names[0]}, and {other} does not have its stages and widths"
            raise TicketError(
                f"{what}: choose a network of the same family and widths, with more or fewer units a stage"
            )
        self.stages = stages
        self._shapes = (_shapes(first), _shapes(second))
        if alien := [name for name in config.shapes if name not in self._shapes[0]]:
            raise TicketError(f"{ticket} masks '{for_terminal(alien[0])}', which {self.names[0]} does not have")

    def layout(self, copied: Copied) -> Layout:
        """Return the layout of these copies.

        Raises:
            TicketError: a tensor that the source does not have, or has in another shape.
        """
        modules = {
            name: self.stages[0][stage][[0, *copied[stage]][number]]
            for stage, names in enumerate(self.stages[1])
            for number, name in enumerate(names)
        }
        there, wanted = self._shapes
        sources = {name: _renamed(name, modules) for name in wanted}
        for name, source in sources.items():
            if there.get(source) != wanted[name]:
                shape = list(there[source]) if source in there else "not there"
                one = f"'{for_terminal(source)}' of {self.names[0]} is {shape}"
                other = f"'{for_terminal(name)}' of {self.names[1]} {list(wanted[name])}"
                raise TicketError(f"{one}, and {other}: only the number of units may differ")
        return Layout(sources)


def _renamed(name: str, modules: Mapping[str, str]) -> str:
    """Return the name of a tensor with the module that it is in, if it is one of these, exchanged for another."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        if (module := ".".join(parts[:end])) in modules:
            return ".".join([modules[module], *parts[end:]])
    return name


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in bare_names(model_state(model), model).items()}
