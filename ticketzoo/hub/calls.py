"""Calls through the Hub's own client: with a time limit, repeated where that may help, in one line when they fail."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ticketzoo.hub.errors import HubUnreachable, network_errors, refusal

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

TIMEOUT = float(os.environ.get("TICKETZOO_HUB_TIMEOUT", "60"))
"""Seconds that a server may stay silent."""

WAITS = (1.0, 2.0, 4.0)
"""Seconds before each repetition of a call that failed for a passing reason."""

LONGEST_WAIT = 60.0
"""Seconds of `Retry-After` that are waited out; a server that asks for more is not asked again."""


def client(token: str | bool | None = None) -> "HfApi":
    """Return the Hub's client; without `token` it uses the one of the environment or of `hf auth login`."""
    from huggingface_hub import HfApi

    from ticketzoo import __version__

    return HfApi(token=token, library_name="ticketzoo", library_version=__version__)


def is_offline() -> bool:
    """Tell whether `HF_HUB_OFFLINE` forbids the network."""
    from huggingface_hub.constants import is_offline_mode

    return is_offline_mode()


def call_hub(function: Callable[[], T], where: str, *, token: object = None, repeat: bool = True) -> T:
    """Return what `function`, which asks the Hub about `where`, returns.

    Timeouts, dropped connections, 429 and 5xx are waited out, up to three times, as long as `Retry-After` asks or 1, 2
    and 4 seconds; nothing else is tried again, and with `repeat=False` nothing at all.

    Raises:
        HubUnreachable: there is no connection, or the server cannot answer.
        RegistryError: anything else that went wrong.
    """
    waits = list(WAITS) if repeat else []
    while True:
        try:
            with _time_limit():
                return function()
        except network_errors() as error:
            told = refusal(error, where, token)
            if not isinstance(told, HubUnreachable) or not waits or told.seconds > LONGEST_WAIT:
                raise told from None
            time.sleep(max(waits.pop(0), told.seconds))


class _TimeLimit:
    """The number of calls under way, and the time limit that the client had before the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = 0
        self.session: Any = None
        self.before: Any = None


_limit = _TimeLimit()


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Make requests time out within the block, unless whoever made the client's session has given it limits."""
    from huggingface_hub.utils import get_session

    with _limit.lock:
        _limit.calls += 1
        if _limit.calls == 1:
            _limit.session = get_session()
            _limit.before = _limit.session.timeout
            if not any(_limit.before.as_dict().values()):
                _limit.session.timeout = TIMEOUT
    try:
        yield
    finally:
        with _limit.lock:
            _limit.calls -= 1
            if _limit.calls == 0:
                _limit.session.timeout = _limit.before
                _limit.session = None
