"""The client's session, kept within the limits of the call it is used in; outside our calls it is as it was.

Every request, redirects and the client's own repetitions included, passes two hooks, which leave alone all that is not
asked for in a call of ours. Headers from which the client makes paths are checked before it sees them, bodies are
counted and timed while they arrive, and a failure is given back at once: `calls.call_hub` waits and repeats.
"""

import contextlib
import contextvars
import logging
import re
import socket
import threading
import time
import weakref
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from huggingface_hub.utils import httpx

IN_PASSING = (408, 429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""

_ERROR_BYTES = 2**16
_HEADERS = {
    "X-Repo-Commit": re.compile(r"[0-9a-f]{40}"),
    "X-Linked-ETag": re.compile(r'(W/)?"?[0-9A-Za-z][\w.-]{0,127}"?', re.ASCII),
}
_log = logging.getLogger("ticketzoo.hub")


class NotAHub(Exception):
    """The server gave an answer that no Hub gives."""


class TooLong(Exception):
    """More bytes arrive than the answer may have."""


class TooSlow(Exception):
    """The call has taken as long as it may."""


class Dropped(ConnectionError):
    """The connection ended before there was an answer."""


@dataclass(eq=False)
class Call:
    """A call under way.

    Attributes:
        until: time on the monotonic clock at which it is given up.
        silence: seconds that the server may say nothing.
        at_most: bytes that an answer may have.
    """

    until: float
    silence: float
    at_most: int
    unanswered: set[tuple[str, str]] = field(default_factory=set)
    connections: list[Any] = field(default_factory=list)

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Let the hooks keep the requests of this thread to this call."""
        current.set(self)
        try:
            yield
        finally:
            left.update({id(one): one for one in self.connections})

    def give_up(self) -> None:
        """End the call where it is: nothing more is asked, and who waits for bytes of it sees the connection end."""
        self.until = 0.0
        for connection in [*self.connections, *_unused_of_before()]:
            with contextlib.suppress(OSError, AttributeError):
                connection.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def note(self, event: str, about: Mapping[str, Any]) -> None:
        """Note a connection that is made for the call. Raises Dropped where none can be made."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self.connections.append(about["return_value"])
        failed = about.get("exception") if event.endswith((".connect_tcp.failed", ".start_tls.failed")) else None
        if type(failed).__name__ == "ConnectError":  # at which the client would close the session, also the user's
            raise Dropped(str(failed)) from None

    def seconds_left(self) -> float:
        """Return the seconds left. Raises TooSlow when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TooSlow
        return left


current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("current", default=None)
left: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
"""Connections of calls that have ended. A later one may use one, which no hook sees before there is an answer."""
others: "weakref.WeakKeyDictionary[threading.Thread, weakref.ref[Any]]" = weakref.WeakKeyDictionary()
"""The last request of each thread that is not of our calls and has no answer yet: it may use any of `left`."""
answers: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
"""The last answer that is not to our calls on each connection, by the connection's id."""


def _unused_of_before() -> list[Any]:
    """Return the connections of calls that have ended, without those that somebody else's request may be using.

    A thread that gives up a call waits for no answer itself. One that is kept, or an error, is in nobody's way.
    """
    for reference in others.keyrefs():
        thread = reference()
        request = others.get(thread) if thread is not None else None
        if thread not in (None, threading.current_thread()) and thread.is_alive() and request and request():
            return []
    kept = [(reference.key, reference()) for reference in answers.valuerefs()]  # others may add some meanwhile
    reading = {id_ for id_, answer in kept if answer is not None and not answer.is_closed}
    return [one for reference in left.valuerefs() if (one := reference()) is not None and id(one) not in reading]


def before_request(request: "httpx.Request") -> None:
    """Give a request of our calls its time limits; refuse one that the client repeats by itself."""
    call = current.get()
    if call is None:
        others[threading.current_thread()] = weakref.ref(request)
        return
    most = min(call.silence, call.seconds_left())
    key = (request.method, str(request.url))
    if key in call.unanswered:
        raise Dropped("the connection ended before there was an answer")
    call.unanswered.add(key)
    request.headers["Accept-Encoding"] = "identity"
    given = request.extensions.get("timeout", {})
    limited = {name: min(most, most if (own := given.get(name)) is None else own) for name in _TIMEOUTS}
    request.extensions = {**request.extensions, "timeout": limited, "trace": call.note}


_TIMEOUTS = ("connect", "read", "write", "pool")


def after_response(response: "httpx.Response") -> None:
    """Check the headers of an answer to our calls, bound its body, and raise at once for a passing failure."""
    from huggingface_hub.utils import hf_raise_for_status

    call, connection = current.get(), response.extensions.get("network_stream")
    if call is None:
        others.pop(threading.current_thread(), None)
        answers[id(connection)] = response
        return
    call.unanswered.discard((response.request.method, str(response.request.url)))
    if connection is not None:
        left.pop(id(connection), None)
        call.connections.append(connection)
    most = call.at_most if response.is_success else max(call.at_most, _ERROR_BYTES)
    response.stream = _bounded(response.stream, call, most, _decoder(response))
    _check_headers(response)
    response.headers.pop("X-Xet-Hash", None)  # then the client fetches over HTTP, where these hooks see what arrives
    if response.status_code in IN_PASSING:
        hf_raise_for_status(response)


def _check_headers(response: "httpx.Response") -> None:
    """Raise NotAHub for a header that the client would make a path of, and that is not a plain name."""
    names = {**_HEADERS, "ETag": _HEADERS["X-Linked-ETag"]} if response.request.method == "HEAD" else _HEADERS
    for name, pattern in names.items():
        value = response.headers.get(name)
        if value is not None and not pattern.fullmatch(value):
            raise NotAHub(f"its {name} is {value[:100]!r}")


def _decoder(response: "httpx.Response") -> Any:
    """Return what decompresses the body, although none of that was asked for; None for a plain body."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return None
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise NotAHub(f"its body is compressed as {encoding[:40]!r}, which was not asked for")
    for name in ("Content-Encoding", "Content-Length"):
        response.headers.pop(name, None)
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def _bounded(stream: Any, call: Call, at_most: int, decoder: Any) -> Any:
    from huggingface_hub.utils import httpx

    class BoundedStream(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            count = 0
            for piece in _pieces(stream, decoder):
                call.seconds_left()
                count += len(piece)
                if count > at_most:
                    raise TooLong(f"more than {at_most} bytes arrive, all that it may have")
                yield piece

        def close(self) -> None:
            stream.close()

    return BoundedStream()


def _pieces(stream: Any, decoder: Any) -> Iterator[bytes]:
    """Return the body in pieces, decompressed little by little."""
    begun = False
    try:
        for chunk in stream:
            begun = True
            yield b"" if decoder else chunk
            while decoder and chunk:
                yield decoder.decompress(chunk, 2**16)
                chunk = decoder.unconsumed_tail
            if decoder and decoder.unused_data:
                raise NotAHub("its compressed body goes on behind its end")
        if decoder:
            yield decoder.flush()
            if begun and not decoder.eof:
                raise Dropped("the connection ended within a compressed body")
    except zlib.error:
        raise NotAHub("its compressed body cannot be read") from None


def _is_ours_to_say(record: logging.LogRecord) -> bool:
    """Tell whether a line of the client's log may be shown: not in our calls, unless debugging was asked for."""
    asked_for = _log.isEnabledFor(logging.DEBUG) or logging.getLogger("huggingface_hub").isEnabledFor(logging.INFO)
    return current.get() is None or record.levelno >= logging.ERROR or asked_for


_installing = threading.Lock()


def limit_client() -> None:
    """Have the session that the client uses now keep to the limits of our calls, and its log be quiet in them."""
    from huggingface_hub.utils import get_session

    with _installing:
        hooks = get_session().event_hooks
        for event, ours in (("request", before_request), ("response", after_response)):
            if ours not in hooks[event]:
                hooks[event].append(ours)
    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_is_ours_to_say)
