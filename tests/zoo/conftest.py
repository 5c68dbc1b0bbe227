from collections.abc import Iterator

import pytest
from hub_server.fixtures import LocalHub
from toy_zoo import ZOO, make_ticket

from ticketzoo import Ticket
from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.limits import HubLimits


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    monkeypatch.setattr(hub_limits, "in_force", lambda: HubLimits(waits=(0.01, 0.02, 0.04)))


@pytest.fixture
def pushed(hub: LocalHub) -> Iterator[Ticket]:
    """A ticket that alice, who is logged in, has published."""
    hub.login("alice")
    ticket = make_ticket()
    ticket.push_to_hub(ZOO)
    hub.requests.clear()
    yield ticket
