"""Calls through the Hub's own client: within limits, repeated where that may help, in one line when they fail."""

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoResult
from typing import TYPE_CHECKING, TypeVar

from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.bounds import Call, TooSlow, limit_client
from ticketzoo.hub.errors import HubUnreachable, network_errors, refusal

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

THREAD = "hub call"
"""The name of the threads in which the client works."""

_log = logging.getLogger("ticketzoo")


def client(token: str | bool | None = None) -> "HfApi":
    """Return the Hub's client; without `token` it uses the one of the environment or of `hf auth login`."""
    from huggingface_hub import HfApi

    from ticketzoo import __version__

    return HfApi(token=token, library_name="ticketzoo", library_version=__version__)


def is_offline() -> bool:
    """Tell whether `HF_HUB_OFFLINE` forbids the network."""
    from huggingface_hub.constants import is_offline_mode

    return is_offline_mode()


def call_hub(
    function: Callable[[], T],
    where: str,
    *,
    token: object = None,
    repeat: bool = True,
    at_most: int | None = None,
    sent: int | None = None,
) -> T:
    """Return what `function`, which asks the Hub about `where`, returns.

    Timeouts, dropped connections, 429 and 5xx are waited out, up to three times, as long as `Retry-After` asks or 1, 2
    and 4 seconds, while the limits in force leave time; nothing else is tried again, a server whose name is not found
    neither, and with `repeat=False` nothing at all.

    Args:
        function: the call.
        where: its subject, as messages name it.
        token: to remove from messages.
        repeat: whether it may be repeated.
        at_most: bytes of the file that is fetched; None where none is.
        sent: bytes of the files that are sent; None where none are.

    Raises:
        HubUnreachable: there is no connection, or the server cannot answer.
        RegistryError: anything else that went wrong.
    """
    limits = hub_limits.in_force()
    waits = list(limits.waits) if repeat else []
    until = time.monotonic() + limits.time_for(at_most or sent or 0)
    silence = limits.seconds / 3 if repeat else limits.seconds
    asked = 0.0
    while True:
        call = Call(until, silence, limits.answer_bytes if at_most is None else at_most)
        try:
            return _within(call, function, limits.grace)
        except network_errors() as error:
            told = refusal(error, where, token)
        if not isinstance(told, HubUnreachable):
            raise told
        asked += told.seconds
        repeated = len(limits.waits) - len(waits)
        spent = told.most_repeats is not None and repeated >= told.most_repeats
        if spent or not waits or asked > limits.longest_wait:
            raise told
        pause = max(waits.pop(0), told.seconds)
        until += told.seconds
        if time.monotonic() + pause > until:
            raise told
        if told.seconds:
            _log.warning("%s: the Hub asks to wait: trying again in %.0f seconds", where, pause)
        time.sleep(pause)


def _within(call: Call, function: Callable[[], T], grace: float) -> T:
    """Return what `function` returns before the call's time is up.

    It runs in a thread of its own: what no hook sees (names looked up, headers that trickle, Xet) ends for the caller,
    too, when the time is up. That thread is left to end by itself, and the hooks stop whatever it still asks for.

    Raises:
        TooSlow: the time is up.
    """
    limit_client()
    future: Future[T] = Future()

    def work() -> None:
        with call.under_way():
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name=THREAD, daemon=True)
    thread.start()
    try:
        return future.result(max(0.0, call.until - time.monotonic()))
    except BaseException as error:
        if future.done():
            raise
        call.give_up()
        thread.join(grace)  # in which the client removes what it has half written
        if isinstance(error, NoResult):
            raise TooSlow from None
        raise
