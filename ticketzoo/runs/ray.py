"""Cells trained on a Ray cluster: independent ones at once, each by a process that is replaced if it dies."""

import logging
import signal
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

import ray
import torch
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from ticketzoo.distributed.device import training_device
from ticketzoo.errors import RunError, TicketzooError
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.runs.store import Cell, Item, Job, Result, Store
from ticketzoo.tasks.task import Task
from ticketzoo.util.signals import Interrupted, raise_when_interrupted

RETRIES = 10
"""How often a training whose process died is taken up again, by another process and from its last checkpoint."""
LAST_CHECKPOINT = 20.0
"""Seconds that trainings are given to write one when the run is interrupted."""


class RayCells(Store):
    """A folder of cells that a Ray cluster works on: all its machines see the folder, under the same path.

    The cluster is the one that this process or its environment (RAY_ADDRESS) is connected to; where there is none,
    this machine becomes one. A training takes a GPU if there are any, else a processor.

    Trainings overlap; what this process does between them, in a thread for each, does not: torch's random numbers, for
    one, belong to the process. A thread has `_turn` in hand unless it waits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: torch.device | None = None,
        checkpoint_seconds: float = 60.0,
        progress: Progress | None = None,
    ) -> None:
        here = device or training_device()
        super().__init__(folder.absolute(), device=here, checkpoint_seconds=checkpoint_seconds, progress=progress)
        self._asked_for = device
        self._stopping, self._turn = Event(), Lock()
        self._in_hand: dict[Path, Lock] = {}
        self._tasks: dict[int, tuple[Task, Any]] = {}
        self._told: set[str] = set()

    def __enter__(self) -> "RayCells":
        super().__enter__()
        self._connected = ray.is_initialized()
        if not self._connected:
            _connect()
        gpus = int(ray.cluster_resources().get("GPU", 0))
        on_gpu = gpus > 0 and (self._asked_for is None or self._asked_for.type == "cuda")
        self._there = "cuda" if on_gpu else "cpu"
        self._at_once = gpus if on_gpu else max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._remote = ray.remote(num_cpus=1, num_gpus=int(on_gpu), max_retries=RETRIES)(_train)
        self._turn.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self._turn.release()
        if not self._connected:
            ray.shutdown()
        super().__exit__(*exception)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """As `Store.each`, but as many of `items` at once as the cluster can train."""

        def in_turn(item: Item) -> Result:
            with self._turn:
                return work(item)

        futures: list[Future[Result]] = []
        with self._others_turn(), ThreadPoolExecutor(self._at_once) as threads:
            try:
                for item in self._made_in_turn(items):
                    futures.append(threads.submit(in_turn, item))
                    while len(waiting := [future for future in futures if not future.done()]) >= self._at_once:
                        wait(waiting, return_when=FIRST_COMPLETED)
                wait(futures, return_when=FIRST_EXCEPTION)
                failed = [future for future in futures if future.done() and future.exception() is not None]
                return [future.result() for future in failed + futures]
            except BaseException:
                self._stopping.set()  # what is under way writes a checkpoint
                raise

    def _made_in_turn(self, items: Iterable[Item]) -> Iterator[Item]:
        remaining, nothing = iter(items), object()
        while True:
            with self._turn:
                item = next(remaining, nothing)
            if item is nothing:
                return
            yield item  # type: ignore[misc]

    @contextmanager
    def _others_turn(self) -> Iterator[None]:
        """In this block the thread waits, and another may do what it has to."""
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()

    def run(self, job: Job, label: str, *, keep_final: bool = False, snapshot_steps: Collection[int] = ()) -> Cell:
        """As `Store.run`; a cell that two ask for at once is trained once."""
        _, folder = self._address(job)
        in_hand = self._in_hand.setdefault(folder, Lock())
        with self._others_turn():
            in_hand.acquire()
        try:
            return super().run(job, label, keep_final=keep_final, snapshot_steps=snapshot_steps)
        finally:
            in_hand.release()

    def train(self, job: Job, label: str, *, keep_final: bool, snapshot_steps: Collection[int]) -> None:
        """As `Store.train`, somewhere in the cluster."""
        shipped = replace(job, task=None)  # type: ignore[arg-type]
        where = str(self.folder), self._there, self.checkpoint_seconds
        kept = keep_final, list(snapshot_steps)
        reference = self._remote.remote(shipped, self._shipped(job.task), label, where, kept)
        try:
            with self._others_turn():
                while not ray.wait([reference], timeout=1.0)[0]:
                    if self._stopping.is_set():
                        raise Interrupted
            warnings, error = ray.get(reference)
        except (WorkerCrashedError, NodeDiedError, OutOfMemoryError) as died:
            why = str(died).strip().splitlines()[0]
            raise RunError(f"{label}: its process died {RETRIES + 1} times ({why}); run again to go on") from None
        except BaseException:
            ray.cancel(reference)
            with self._others_turn():
                ray.wait([reference], timeout=LAST_CHECKPOINT)
            raise
        for warning in warnings:
            if warning not in self._told:  # each training meets, say, the same image that cannot be read
                self._told.add(warning)
                self.progress.warn(warning)
        if error is not None:
            raise error
        if self._stored(self._address(job)[1], keep_final, snapshot_steps) is None:
            what = "was trained on a machine that keeps its files to itself"
            raise RunError(f"{label}: {what}; choose an --out that all machines of the cluster share")

    def _shipped(self, task: Task) -> Any:
        """A reference to `task` in the cluster, to which it is sent once."""
        if id(task) not in self._tasks:
            self._tasks[id(task)] = (task, ray.put(task))
        return self._tasks[id(task)][1]


class _Warnings(Quiet):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def warn(self, message: str) -> None:
        self.messages.append(message)


def _train(
    job: Job, task: Task, label: str, where: tuple[str, str, float], kept: tuple[bool, list[int]]
) -> tuple[list[str], TicketzooError | None]:
    """What happens in the cluster: warnings, and what went wrong if anything did."""
    raise_when_interrupted()
    folder, device, checkpoint_seconds = where
    told = _Warnings()
    try:
        cells = Store(
            Path(folder), device=training_device(device), checkpoint_seconds=checkpoint_seconds, progress=told
        )
        with _heard_by(told):
            cells.run(replace(job, task=task), label, keep_final=kept[0], snapshot_steps=kept[1])
    except TicketzooError as error:
        return told.messages, error
    return told.messages, None


@contextmanager
def _heard_by(told: _Warnings) -> Iterator[None]:
    """In this block `told` also hears what the library warns of on its own, such as images that are skipped."""

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.warn(record.getMessage())

    hearing, log = Hearing(), logging.getLogger("ticketzoo")
    log.addHandler(hearing)
    try:
        yield
    finally:
        log.removeHandler(hearing)


def _connect() -> None:
    """Connect to a cluster, or make one of this machine. Raises RunError where that does not work."""
    try:
        with _signals_as_they_are():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RunError(f"no Ray cluster to work on: {str(error).strip().splitlines()[0]}") from None


@contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """Ray takes SIGTERM for itself."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
