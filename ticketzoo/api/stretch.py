"""Stretch or squeeze a ticket to a network of another depth, in a folder of its own."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ticketzoo.deriving.stretch import stretched
from ticketzoo.errors import TicketError
from ticketzoo.models.architecture import ARCHITECTURES
from ticketzoo.models.create import architecture_of, check_known, full_name
from ticketzoo.models.pretrained import pretrained_reference
from ticketzoo.recipe.reading import apply_override
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import Architecture
from ticketzoo.util.text import for_terminal
from ticketzoo.zoo.derived import save_derived
from ticketzoo.zoo.load import load_ticket

HEAD = ("head", "num_labels")
"""Arguments beside its config.json that a model of `transformers` in a folder takes."""


def stretch_into(
    ticket: str | Path,
    to: str,
    out: Path,
    *,
    copies: str = "append",
    settings: Sequence[str] = (),
    name: str | None = None,
    registry: str | Path | None = None,
    base: str | Path | None = None,
) -> tuple[Ticket, Ticket]:
    """Save what a ticket makes of another network of its family, with its card; see `ticketzoo stretch`.

    A folder that holds this very ticket already is left as it is.

    Args:
        ticket: a name, folder or Hub id.
        to: the network, as recipes name it; its arguments are those of the ticket's network.
        out: the folder.
        copies: `append` or `interpolate`, or by unit, such as `1:1,3;2:2,4`; see `ticketzoo.deriving.units`.
        settings: arguments of the network that differ, such as `hidden=[300,300,100]`.
        name: of the new ticket, by default that of the folder.
        registry: folder in which names are looked up.
        base: folder with a copy of the base model that the ticket refers to.

    Returns:
        the ticket, and the one that it was made of.

    Raises:
        TicketError, ModelError, RecipeError: networks of two families or widths, a map that misses a unit, a folder
            that holds anything else.
        RegistryError: there is no such ticket, or its base cannot be fetched.
    """
    source = load_ticket(ticket, registry=registry, base=base)
    target = target_of(source.config.architecture, to, settings)
    made = stretched(source, target, copies, name=name or out.name)
    save_derived(made, out)
    return made, source


def target_of(source: Architecture, to: str, settings: Sequence[str]) -> dict[str, Any]:
    """Return the architecture `to`, as recipes name it, with those arguments of `source` that it takes.

    Args:
        source: of the ticket.
        to: such as `resnet-32`, `transformers/bert` or `transformers/./FOLDER`.
        settings: arguments that differ, `key=value` with dots between keys.

    Raises:
        ModelError, RecipeError, RegistryError: an unknown network or argument.
    """
    check_known(to)
    kwargs: dict[str, Any] = copy.deepcopy(dict(source.kwargs))
    if to in ARCHITECTURES:
        kwargs = {key: value for key, value in kwargs.items() if key in ARCHITECTURES[to].arguments.model_fields}
    elif to != full_name(source.library, source.name):
        if pretrained_reference(to) is None:
            mine = full_name(source.library, source.name)
            raise TicketError(f"a ticket of {mine} has no units for {for_terminal(to)}: choose a network of its family")
        kwargs = {key: value for key, value in kwargs.items() if key in HEAD}
    for setting in settings:
        apply_override(kwargs, setting)
    return architecture_of(to, kwargs)
