"""Misbehaviour on demand: each fault strikes the next requests that match its method and path, a number of times.

Paths are globs over the decoded path, such as `*/resolve/*` or `*masks.safetensors`. The bytes of an LFS file are
served by the file host, under a path that ends in the file's name, so a glob over the name strikes there too.
"""

import fnmatch
import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from .messages import Refusal, Reply, entry_not_found

Kind = Literal[
    "answer", "missing", "flip", "slow", "cut", "cut upload", "lose answer", "hang", "change", "endless", "trickle"
]


@dataclass
class Fault:
    kind: Kind
    method: str
    path: str
    times: int | None  # None: always
    reply: Reply | None = None
    after: int = 0
    seconds: float = 0.0
    reset: bool = False
    alter: Callable[[Reply], Reply] | None = None
    fired: int = 0

    def matches(self, method: str, path: str) -> bool:
        fresh = self.times is None or self.fired < self.times
        return fresh and fnmatch.fnmatchcase(method, self.method) and fnmatch.fnmatchcase(path, self.path)

    def change(self, reply: Reply) -> Reply:
        """The reply as this fault leaves it (faults of the connection leave it alone)."""
        if self.kind == "missing":
            return entry_not_found(commit=reply.headers.get("X-Repo-Commit")).reply
        if self.alter:
            return self.alter(reply)
        if self.kind == "flip" and reply.body:
            body = bytearray(reply.body)
            body[self.after] ^= 0xFF
            return Reply(reply.status, bytes(body), reply.headers)
        return reply


@dataclass
class Faults:
    """The faults of a server, tried in the order they were added; at most one strikes a request."""

    added: list[Fault] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, method: str, path: str, status: int, times: int | None = 1, retry_after: int | None = None) -> Fault:
        """Answer with an error status and do nothing."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        words = {429: "Too Many Requests", 500: "Internal Error", 503: "Service Unavailable"}
        reply = Refusal(status, words.get(status, "Error"), headers=headers).reply
        return self._add(Fault("answer", method, path, times, reply=reply))

    def missing(self, path: str, times: int | None = None) -> Fault:
        """Say that a file is not there, though the listing has it."""
        return self._add(Fault("missing", "*", path, times))

    def flip(self, path: str, at: int = 0, times: int | None = None) -> Fault:
        """Change the byte at `at` of each body sent."""
        return self._add(Fault("flip", "GET", path, times, after=at))

    def slow(self, path: str, seconds: float, times: int | None = 1, method: str = "GET") -> Fault:
        """Take that long over sending the body, in ten pieces."""
        return self._add(Fault("slow", method, path, times, seconds=seconds))

    def cut(self, path: str, after: int, reset: bool = False, times: int | None = 1, method: str = "GET") -> Fault:
        """Close the connection after `after` bytes of the body, or reset it: the client then sees no orderly end."""
        return self._add(Fault("cut", method, path, times, after=after, reset=reset))

    def cut_upload(self, method: str, path: str, after: int, reset: bool = True, times: int | None = 1) -> Fault:
        """Read `after` bytes of what the client sends, then drop the connection."""
        return self._add(Fault("cut upload", method, path, times, after=after, reset=reset))

    def lose_answer(self, method: str, path: str, reset: bool = False, times: int | None = 1) -> Fault:
        """Do what was asked, then drop the connection instead of answering."""
        return self._add(Fault("lose answer", method, path, times, reset=reset))

    def hang(self, method: str, path: str, times: int | None = 1) -> Fault:
        """Take the request and say nothing until the server stops or `release` is called."""
        return self._add(Fault("hang", method, path, times))

    def endless(self, path: str, piece: bytes = bytes(2**16), gzipped: bool = False, times: int | None = None) -> Fault:
        """Begin the body and never end it; with `gzipped`, a little that becomes much when it is decompressed."""
        headers = {"Content-Encoding": "gzip"} if gzipped else {}
        reply = Reply(200, gzip.compress(piece) if gzipped else piece, headers)
        return self._add(Fault("answer" if gzipped else "endless", "GET", path, times, reply=reply))

    def trickle(self, method: str, path: str, seconds: float, after: int = 0, times: int | None = None) -> Fault:
        """Send the answer, headers included, a byte at a time from byte `after` on, with that long between them."""
        return self._add(Fault("trickle", method, path, times, after=after, seconds=seconds))

    def headers(self, method: str, path: str, times: int | None = None, **headers: str) -> Fault:
        """Send other headers; `_` in their names stands for `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.change(
            method, path, lambda reply: Reply(reply.status, reply.body, {**reply.headers, **more}), times
        )

    def json(self, path: str, alter: Callable[[Any], Any], times: int | None = None) -> Fault:
        """Send other JSON: what `alter` makes of the right one."""
        return self.change("GET", path, lambda reply: Reply.json(alter(json.loads(reply.body)), reply.status), times)

    def change(self, method: str, path: str, alter: Callable[[Reply], Reply], times: int | None = None) -> Fault:
        """Send what `alter` makes of the right reply."""
        return self._add(Fault("change", method, path, times, alter=alter))

    def release(self) -> None:
        self.released.set()

    def clear(self) -> None:
        with self._lock:
            self.added.clear()

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.added:
                if fault.matches(method, path):
                    fault.fired += 1
                    return fault
            return None

    def never_fired(self) -> list[Fault]:
        return [fault for fault in self.added if not fault.fired]

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self.added.append(fault)
        return fault
