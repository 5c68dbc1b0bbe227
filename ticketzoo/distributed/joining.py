"""Joining of the processes that a launcher started (torchrun, accelerate launch): one run, which ends as one."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from ticketzoo.distributed import processes
from ticketzoo.distributed.liveness import Liveness
from ticketzoo.errors import RunError, TicketzooError
from ticketzoo.util.signals import Interrupted, ending_by_itself, interrupted

PATIENCE = timedelta(days=7)
"""How long a process waits for another that lives: the first may have a long text to tokenise."""
MEETING = timedelta(minutes=5)
"""How long processes wait for each other at the start."""


def launched() -> int:
    """Return the number of processes that the launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: str | None = None) -> Iterator[None]:
    """Be one of the processes that the launcher started; nothing where it started one.

    When one of them fails or dies, all end: that one with its error, the others with a line that names it.

    Args:
        device: where they train; where there are GPUs and it is None or a GPU, each takes one of its own.

    Raises:
        RunError: they cannot find each other, or another one has ended.
    """
    if launched() == 1:
        yield
        return
    store = _meet(device)
    liveness = Liveness(store.clone(), _name())
    liveness.start()
    try:
        yield
        dist.barrier()
    except BaseException as error:
        _end(error, liveness)
        raise
    liveness.stop()
    dist.destroy_process_group()


def _meet(device: str | None) -> dist.Store:
    """Return the process group, and the store through which its processes found each other."""
    where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
    on_gpu = torch.cuda.is_available() and (device is None or device.startswith("cuda"))
    try:
        store, rank, size = next(dist.rendezvous("env://", timeout=MEETING))
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        group = dist.PrefixStore("ticketzoo", store)
        dist.init_process_group(backend, store=group, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        if "EADDRINUSE" in str(error):
            why = "the port is in use; choose another MASTER_PORT, or torchrun --standalone"
        else:
            why = " ".join(str(error).split())[:200]
        raise RunError(f"the processes cannot reach each other at {where}: {why}") from None
    return store


def _name() -> str:
    return f"process {processes.rank()} (pid {os.getpid()} on {socket.gethostname()})"


def _end(error: BaseException, liveness: Liveness) -> None:
    """Tell the other processes why this one ends; raise what there is to say about another one that ended first."""
    met = error.__context__ if isinstance(error, Interrupted) and error.__context__ else error
    found: str | None
    with ending_by_itself():
        if lost := _is_connections(met):
            found = liveness.roll_call()
        elif isinstance(error, TicketzooError):
            found = liveness.tell(str(error))
        else:
            found = liveness.tell("interrupted" if isinstance(error, Interrupted) else type(error).__name__)
        liveness.stop()
    if lost and interrupted():  # launchers do that to the others when one dies
        raise Interrupted(f"{found}; {error}" if isinstance(error, Interrupted) else found) from None
    if lost:
        raise RunError(str(found)) from None
    if found is not None and found.endswith(f": {error}"):
        raise SystemExit(1) from None  # the first to meet it has said so


def _is_connections(error: BaseException) -> bool:
    """Tell whether `error` is that of a connection to another process: Gloo's, NCCL's or the store's."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())
