"""Trainings on a Ray cluster: independent ones at once, each by a process that is replaced if it dies."""

import logging
import signal
from collections.abc import Callable, Iterable, Iterator
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
from ticketzoo.runs.cell import Training
from ticketzoo.runs.executor import Item, Result
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.runs.store import Store
from ticketzoo.tasks.task import Task
from ticketzoo.util.signals import Interrupted, raise_when_interrupted

RETRIES = 10
"""How often a training whose process died is taken up again, by another process and from its last checkpoint."""
LAST_CHECKPOINT = 20.0
"""Seconds that trainings are given to write one when the run is interrupted."""


class RayExecutor:
    """Trains on the Ray cluster that this process or its environment (RAY_ADDRESS) is connected to.

    Where there is none, this machine becomes one. All its machines see the store's folder, under the same path. A
    training takes a GPU if there are any, else a processor. All that is no training is computed in this process.

    Trainings overlap; the work between them, in a thread for each item, does not: torch's random numbers, for one,
    belong to the process. A thread has `_turn` in hand unless it waits.

    Args:
        device: where to train; if None on GPUs where the cluster has any. This process computes there, too.
        checkpoint_seconds: how often a training under way is saved.
    """

    def __init__(self, device: torch.device | None, checkpoint_seconds: float) -> None:
        self.device = device or training_device()
        self._asked_for, self._checkpoint_seconds = device, checkpoint_seconds
        self._stopping, self._turn = Event(), Lock()
        self._in_hand: dict[Path, Lock] = {}
        self._tasks: dict[int, tuple[Task, Any]] = {}
        self._told: set[str] = set()

    def __enter__(self) -> "RayExecutor":
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

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return `work` of each of `items`, as many of them at once as the cluster can train."""

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
        """Wait in this block, while another thread may do its work."""
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()

    @contextmanager
    def alone(self, folder: Path) -> Iterator[None]:
        """Return a block that one thread at a time goes through for each folder: two that want a cell train it once."""
        in_hand = self._in_hand.setdefault(folder, Lock())
        with self._others_turn():
            in_hand.acquire()
        try:
            yield
        finally:
            in_hand.release()

    def train(self, training: Training, progress: Progress) -> None:
        """Train somewhere in the cluster, as `ticketzoo.runs.executor.Executor.train` says."""
        task = self._shipped(training.job.task)
        without = replace(training, job=replace(training.job, task=None), folder=training.folder.absolute())  # type: ignore[arg-type]
        reference = self._remote.remote(without, task, self._there, self._checkpoint_seconds)
        try:
            with self._others_turn():
                while not ray.wait([reference], timeout=1.0)[0]:
                    if self._stopping.is_set():
                        raise Interrupted
            warnings, error = ray.get(reference)
        except (WorkerCrashedError, NodeDiedError, OutOfMemoryError) as died:
            why = str(died).strip().splitlines()[0]
            said = f"its process died {RETRIES + 1} times ({why})"
            raise RunError(f"{training.label}: {said}; run again to go on") from None
        except BaseException:
            ray.cancel(reference)
            with self._others_turn():
                ray.wait([reference], timeout=LAST_CHECKPOINT)
            raise
        for warning in warnings:
            if warning not in self._told:  # each training meets, say, the same image that cannot be read
                self._told.add(warning)
                progress.warn(warning)
        if error is not None:
            raise error

    def _shipped(self, task: Task) -> Any:
        """Return a reference to `task` in the cluster, to which it is sent once."""
        if id(task) not in self._tasks:
            self._tasks[id(task)] = (task, ray.put(task))
        return self._tasks[id(task)][1]


class _Warnings(Quiet):
    """Collects warnings."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def warn(self, message: str) -> None:
        self.messages.append(message)


def _train(
    training: Training, task: Task, device: str, checkpoint_seconds: float
) -> tuple[list[str], TicketzooError | None]:
    """Train in a process of the cluster. Returns warnings, and what went wrong if anything did."""
    raise_when_interrupted()
    told, job = _Warnings(), replace(training.job, task=task)
    try:
        store = Store(
            training.folder.parent,
            device=training_device(device),
            checkpoint_seconds=checkpoint_seconds,
            progress=told,
        )
        with _heard_by(told):
            store.run(  # a process that died may have finished it
                job, training.label, keep_final=training.keep_final, snapshot_steps=training.snapshot_steps
            )
    except TicketzooError as error:
        return told.messages, error
    return told.messages, None


@contextmanager
def _heard_by(told: _Warnings) -> Iterator[None]:
    """Have `told` in this block also hear what the library warns of on its own, such as images that are skipped."""

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
    """Put back the handlers of signals after this block: Ray takes SIGTERM for itself."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
