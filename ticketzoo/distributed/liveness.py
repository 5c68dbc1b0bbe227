"""Signs of life of the processes of a run: each gives one every second, and watches the next one's."""

import os
import sys
import threading
import time

import torch.distributed as dist

from ticketzoo.distributed import processes

BEAT = 1.0
"""Seconds between signs of life."""
SILENCE = 40.0
"""Seconds without one after which a process counts as dead; disks and libraries may hold a process up for some."""
ROLL_CALL = 3.0
"""The same, once a connection between two of them has broken."""
GRACE = 10.0
"""Seconds in which a process that waits for a dead one may still notice by itself."""


class Liveness:
    """This process's signs of life in `store`, of which nobody else in this process makes use.

    Args:
        name: what to call this process, where people read that it has ended.
    """

    def __init__(self, store: dist.Store, name: str) -> None:
        self._store = dist.PrefixStore("liveness", store)
        self._rank, self._count = processes.rank(), processes.count()
        self._stopped, self._beats = threading.Event(), 0
        self._watched, self._seen, self._since = (self._rank + 1) % self._count, "", time.monotonic()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._store.set(f"name {self._rank}", name)
        self._store.set(f"beat {self._rank}", "0")

    def start(self) -> None:
        """Begin to give signs of life, and to end this process where another has ended and it does not notice."""
        self._thread.start()

    def stop(self) -> None:
        """End that."""
        self._stopped.set()
        self._thread.join()

    def tell(self, why: str) -> str | None:
        """Let the others know that this process ends; if another one ended before, which and why."""
        try:
            said = f"{self._name(self._rank)} ended: {why}"
            first = self._say(said)
        except dist.DistError:
            return None
        time.sleep(2 * BEAT)  # others read it here, if this process keeps the store
        return None if first == said else first

    def roll_call(self) -> str:
        """Return which process has ended, and why if it told. Takes some seconds."""
        deadline = time.monotonic() + ROLL_CALL
        try:
            before = self._beats_of_all()
            while (ended := self._ended()) is None and time.monotonic() < deadline:
                time.sleep(BEAT / 4)
            silent = [rank for rank, beat in enumerate(self._beats_of_all()) if beat == before[rank]]
            if ended is None and silent:
                ended = self._say(f"{self._name(silent[0])} died")
            return ended or "the connection between two processes broke"
        except dist.DistError:
            return self._store_is_gone()

    def _live(self) -> None:
        ended = None
        while ended is None and not self._stopped.wait(BEAT):
            try:
                ended = self._beat()
            except dist.DistError:
                ended = self._store_is_gone()
        if ended is not None and not self._stopped.wait(GRACE):
            print(f"ticketzoo: {ended}", file=sys.stderr, flush=True)
            os._exit(1)

    def _beat(self) -> str | None:
        """Give a sign of life, look for the watched one's; what has ended, if anything has."""
        self._beats += 1
        self._store.set(f"beat {self._rank}", str(self._beats))
        seen = self._store.get(f"beat {self._watched}").decode()
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        elif time.monotonic() - self._since > SILENCE:
            return self._say(f"{self._name(self._watched)} died")
        return self._ended()

    def _beats_of_all(self) -> list[bytes]:
        return [self._store.get(f"beat {rank}") for rank in range(self._count)]

    def _ended(self) -> str | None:
        return self._store.get("ended").decode() if self._store.check(["ended"]) else None

    def _say(self, ended: str) -> str:
        """Write down what has ended, unless something is written; what is."""
        return self._store.compare_set("ended", "", ended).decode()

    def _name(self, rank: int) -> str:
        return self._store.get(f"name {rank}").decode()

    def _store_is_gone(self) -> str:
        return f"process 0 on {os.environ.get('MASTER_ADDR')} died: it cannot be reached any more"
