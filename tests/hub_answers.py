"""Limits for tests, and the one line in which a call may fail."""

from collections.abc import Callable
from typing import Any

import pytest

from ticketzoo.errors import TicketzooError
from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.limits import HubLimits


def limit(monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
    """Put limits in force until the test ends."""
    given = HubLimits(**{"waits": (0.01, 0.02, 0.04), "grace": 0.05, **limits})
    monkeypatch.setattr(hub_limits, "in_force", lambda: given)


def refused(act: Callable[[], object], *words: str) -> str:
    """The one line in which `act` fails; it holds all of `words`."""
    with pytest.raises(TicketzooError) as failed:
        act()
    line = str(failed.value)
    assert "\n" not in line and "\x1b" not in line
    assert failed.value.__cause__ is None
    for word in words:
        assert word in line, line
    return line
