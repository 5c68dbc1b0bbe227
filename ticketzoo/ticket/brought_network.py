"""The network of a ticket that was made over somebody's model, built from what the ticket or a base says of it."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from torch import nn

from ticketzoo.bridges.checkpoint import read_settings
from ticketzoo.errors import ModelError
from ticketzoo.models.by_settings import build_by_settings
from ticketzoo.models.create import create_from_architecture
from ticketzoo.models.known_as import ROWS, Shapes, shapes_of, sized_like
from ticketzoo.ticket.config import EXTRA
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.origin import CONFIG, NETWORK
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal


def brought_network(ticket: Contents, seed: int, base: str | Path | None = None) -> nn.Module:
    """Return the network, its fresh weights drawn from `seed`, on the CPU in training mode.

    Args:
        ticket: of library `custom`, which lists the network's parameters.
        seed: of fresh weights.
        base: `torchvision/NAME`, `timm/NAME` or a folder with config.json; by default what the ticket was made of.

    Raises:
        ModelError: nothing says what the network is, or that has other parameters; a ticket of another library.
    """
    if ticket.config.architecture.parameters is None:
        raise ModelError(f"'{ticket.name}': says itself what its network is: build() without base")
    shapes: Shapes = {one.name: tuple(one.shape) for one in ticket.config.architecture.parameters}
    read = _reader(ticket)
    if base is not None:
        return _of_base(str(base), ticket.config.architecture.name, shapes, seed)
    if network := read(NETWORK):
        most = sum(map(prod, shapes.values()))
        made = create_from_architecture(network, seed, at_most=most)
        if shapes_of(made) != shapes:
            raise ModelError(f"'{ticket.name}': {NETWORK} names a network of other parameters: ticket.apply(model)")
        return made
    if settings := read(CONFIG):
        return build_by_settings(settings, ticket.config.architecture.name, shapes, seed)
    name = for_terminal(ticket.config.architecture.name)
    how = "build it yourself, then ticket.apply(model)"
    more = "or say what it is: build(base='torchvision/NAME', 'timm/NAME' or a folder with config.json)"
    raise ModelError(f"'{name}' is a network of the ticket's author: {how}; {more}")


def _reader(ticket: Contents) -> Callable[[str], dict[str, Any] | None]:
    def read(name: str) -> dict[str, Any] | None:
        if f"{EXTRA}/{name}" not in ticket.config.files:
            return None
        content: Any = parse_json(ticket.read_file(name), f"'{ticket.name}': {name}")
        if not isinstance(content, dict):
            raise ModelError(f"'{ticket.name}': {name} is not a JSON object")
        return content

    return read


def _of_base(base: str, kind: str, shapes: Shapes, seed: int) -> nn.Module:
    library, _, name = base.partition("/")
    if (Path(base).expanduser() / CONFIG).is_file():
        settings = read_settings(Path(base).expanduser() / CONFIG)
        stated = settings.get("architectures")
        known = stated[0] if isinstance(stated, list) and stated and isinstance(stated[0], str) else kind
        return build_by_settings(settings, known, shapes, seed)
    if library not in ROWS or not name:
        raise ModelError(f"base '{base}': is no folder with {CONFIG}, no torchvision/NAME and no timm/NAME")
    if (architecture := sized_like(library, name, shapes)) is None:
        raise ModelError(f"base '{base}': has other parameters than the ticket's network")
    return create_from_architecture(architecture, seed)
