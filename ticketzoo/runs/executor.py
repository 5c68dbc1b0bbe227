"""The table of executors: where the trainings of a run take place."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from ticketzoo.errors import RunError
from ticketzoo.util.registry import Registry

if TYPE_CHECKING:  # the command line names the executors in its help, and does not wait for torch
    import torch

    from ticketzoo.runs.cell import Training
    from ticketzoo.runs.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """A place where trainings run. A store enters it, and asks it for each training that is missing."""

    @property
    def device(self) -> "torch.device":
        """The device of this process: all that is no training is computed there."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(self, *exception: object) -> None: ...

    def train(self, training: "Training", progress: "Progress") -> None:
        """Train, from the last checkpoint if there is one, and leave the cell in its folder.

        Raises:
            RunError: the training diverged, does not fit into memory, or its folder cannot be written.
            Interrupted: a signal came; a checkpoint is written.
        """
        ...

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return `work` of each of `items`, in their order. `items` are asked for as they are needed."""
        ...

    def alone(self, folder: Path) -> AbstractContextManager[object]:
        """Return a block that one `work` at a time goes through for each folder of the store."""
        ...


@dataclass(frozen=True)
class ExecutorEntry:
    """A row of `EXECUTORS`.

    Attributes:
        name: by which commands and calls ask for it.
        make: `make(device, checkpoint_seconds)` gives the executor; without a device it chooses one.
        words: where it trains, for `--help`.
        chooses_device: it knows better than this process where to train.
    """

    name: str
    make: "Callable[[torch.device | None, float], Executor]"
    words: str
    chooses_device: bool = False


EXECUTORS: Registry[ExecutorEntry] = Registry("executor", ExecutorEntry, error=RunError)


@EXECUTORS.add("local", words="one training after the other in this process")
def local(device: "torch.device | None", checkpoint_seconds: float) -> Executor:
    """Return the executor that trains in this process, on the CPU unless `device` is given."""
    from ticketzoo.runs.local import LocalExecutor

    return LocalExecutor(device, checkpoint_seconds)


@EXECUTORS.add("stacked", words="trainings that are alike at once on one device, stacked into one")
def stacked(device: "torch.device | None", checkpoint_seconds: float) -> Executor:
    """Return the executor that trains populations in this process, on the CPU unless `device` is given.

    Raises:
        RunError: this is one of several processes that train together.
    """
    from ticketzoo.distributed import processes
    from ticketzoo.runs.stacked import StackedExecutor

    if processes.count() > 1:
        raise RunError("executor stacked trains in one process: leave out torchrun or accelerate launch")
    return StackedExecutor(device, checkpoint_seconds)


@EXECUTORS.add("ray", words="independent trainings at once on a Ray cluster", chooses_device=True)
def on_ray(device: "torch.device | None", checkpoint_seconds: float) -> Executor:
    """Return the executor that trains on a Ray cluster, each training on a GPU if it has any.

    Raises:
        RunError: Ray is not installed, or this is one of several processes that train together.
    """
    from ticketzoo.distributed import processes

    if processes.count() > 1:
        raise RunError("executor ray starts processes of its own: leave out torchrun or accelerate launch")
    try:
        from ticketzoo.runs.ray import RayExecutor
    except ImportError:
        raise RunError("executor ray needs Ray: pip install 'ticketzoo[ray]'") from None
    return RayExecutor(device, checkpoint_seconds)
