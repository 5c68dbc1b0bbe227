"""A zoo of lottery tickets: find sparse trainable subnetworks, package them, retrain them elsewhere, with controls."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ticketzoo.api.compare import compare as compare
    from ticketzoo.api.find import find as find
    from ticketzoo.api.run import judge as judge
    from ticketzoo.api.run import stability as stability
    from ticketzoo.api.run import transfer as transfer
    from ticketzoo.api.show import plot as plot
    from ticketzoo.api.show import table as table
    from ticketzoo.api.zoo import pull as pull
    from ticketzoo.api.zoo import push as push
    from ticketzoo.api.zoo import search as search
    from ticketzoo.api.zoo import verify as verify
    from ticketzoo.errors import TicketzooError as TicketzooError
    from ticketzoo.masks.checks import check as check
    from ticketzoo.models.create import create_model as create_model
    from ticketzoo.ticket.callback import TicketCallback as TicketCallback
    from ticketzoo.ticket.ticket import Ticket as Ticket
    from ticketzoo.zoo.load import load_ticket as load_ticket

_PLACES = {
    "Ticket": "ticket.ticket",
    "TicketCallback": "ticket.callback",
    "TicketzooError": "errors",
    "check": "masks.checks",
    "compare": "api.compare",
    "create_model": "models.create",
    "find": "api.find",
    "judge": "api.run",
    "load_ticket": "zoo.load",
    "plot": "api.show",
    "pull": "api.zoo",
    "push": "api.zoo",
    "search": "api.zoo",
    "stability": "api.run",
    "table": "api.show",
    "transfer": "api.run",
    "verify": "api.zoo",
}
"""The public names, and the modules that hold them: imported when asked for, since some need transformers."""

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name in _PLACES:
        return getattr(import_module(f"ticketzoo.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'ticketzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
