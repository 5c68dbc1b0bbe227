"""The processes that train one model together (torchrun, accelerate launch), and what they tell each other.

A process by itself is the first of one: whatever is here then gives back what it was given. Where there are several
(`ticketzoo.distributed.joining`), all of them call these functions, in the same order.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ticketzoo.errors import RunError
from ticketzoo.seeds import derive_seed

T = TypeVar("T")
Item = TypeVar("Item")


def count() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, from 0 on. The first is the one that writes files and talks to people."""
    return dist.get_rank() if count() > 1 else 0


@dataclass(frozen=True)
class Share:
    """This process's part of a batch of `total` examples: those from `start` on, before `stop`."""

    total: int
    start: int
    stop: int

    def of(self, examples: Tensor) -> Tensor:
        """Return its part of a tensor [total, ...]."""
        return examples[self.start : self.stop]


def share_of(total: int) -> Share:
    """Return this process's share of `total` examples: shares follow each other, sizes differ by one at most.

    Of fewer examples than there are processes, each process takes all: the mean over processes is the same.
    """
    if total < count():
        return Share(total, 0, total)
    return Share(total, total * rank() // count(), total * (rank() + 1) // count())


def summed(*values: float) -> list[float]:
    """Return the sum over the processes of each of `values`, in float64."""
    if count() == 1:
        return list(values)
    totals = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(totals)
    return totals.tolist()


def summed_tensor(part: Tensor) -> Tensor:
    """Return the sum over the processes of `part`, on the CPU as float32, with the same bits in each process."""
    total = part.detach().float().cpu().clone()
    if count() > 1:
        dist.all_reduce(total)
    return total


def from_first(make: Callable[[], T]) -> T:
    """Return what `make` gives in the first process, which alone calls it."""
    if count() == 1:
        return make()
    box = [make() if rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]


def from_each(value: T) -> list[T]:
    """Return the `value` of each process, in their order."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    dist.all_gather_object(values, value)
    return values


def mine(items: Iterable[Item]) -> Iterator[Item]:
    """Yield every `count()`-th of `items`, this process's: each item goes to exactly one process."""
    return islice(items, rank(), None, count())


def shared_out(work: Callable[[Item], Tensor], items: Iterable[Item]) -> Iterator[tuple[Item, Tensor]]:
    """Yield each of `items` and what `work` makes of it, which one of the processes does and all get."""
    if count() == 1:
        yield from ((item, work(item)) for item in items)
        return
    known = list(items)
    done = from_each([work(item) for item in mine(known)])
    for number, item in enumerate(known):
        yield item, done[number % count()][number // count()]


def wait_for_all() -> None:
    """Wait until every process has come here."""
    if count() > 1:
        dist.barrier()


@contextmanager
def first_of_machine_first() -> Iterator[None]:
    """Go through the block in one process of each machine, then in its others: they find in caches what it made."""
    waits = int(os.environ.get("LOCAL_RANK", "0")) > 0
    if waits:
        wait_for_all()
    yield
    if not waits:
        wait_for_all()


def check_same(what: str, value: Any) -> None:
    """Raise RunError, in all processes, unless `value` (JSON) is the same in all of them."""
    everyone = from_each(value)
    for other, theirs in enumerate(everyone):
        if theirs != everyone[0]:
            where = " ".join([what, _first_difference(everyone[0], theirs)])
            raise RunError(
                f"process {other} differs from process 0 in {where}; start all with the same command and data"
            )


def _first_difference(ours: Any, theirs: Any) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        key = next(key for key in chain(ours, theirs) if ours.get(key) != theirs.get(key))
        return f"{key} {_first_difference(ours.get(key), theirs.get(key))}"
    return f"({str(theirs)[:40]}, not {str(ours)[:40]})"


def parallel(model: nn.Module, device: torch.device, *, static: bool) -> nn.Module:
    """Return what to call in place of `model`, so that `backward` leaves the mean over processes of the gradients.

    All begin with the first process's weights. Buffers, such as BatchNorm's averages, stay each process's own until
    `take_buffers_of_first`.

    Args:
        model: on `device`.
        device: where this process trains.
        static: every step computes in the same way, which allows for parameters out of use.
    """
    devices = [device] if device.type == "cuda" else None
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # newer versions of torch have a second name for broadcast_buffers
        return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False, static_graph=static)


def take_buffers_of_first(model: nn.Module) -> None:
    """Give `model` the first process's buffers: local batches have moved each process's averages elsewhere."""
    if count() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def own_random_numbers(model: nn.Module) -> None:
    """Have `model` draw (dropout) in each process other numbers; what is drawn before it is called stays the same."""

    def reseed(module: nn.Module, arguments: Any) -> None:
        seed = derive_seed(torch.initial_seed(), "process", rank())
        torch.manual_seed(seed)

    if rank() > 0:
        model.register_forward_pre_hook(reseed)
