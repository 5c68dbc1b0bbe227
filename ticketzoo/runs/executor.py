"""Where the trainings of a run take place: in this process, or on a Ray cluster."""

from pathlib import Path

import torch

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store


def open_store(
    folder: Path,
    executor: str = "local",
    *,
    device: torch.device | None = None,
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
) -> Store:
    """The cells in `folder`, trained by `executor`: `local`, one after the other in this process, or `ray`.

    Args:
        folder: where they are kept.
        executor: of the two.
        device: where to train; if None the CPU, or with Ray one GPU each if the cluster has any.
        checkpoint_seconds: how often a training under way is saved.
        progress: told how it goes.

    Raises:
        RunError: there is no such executor, or Ray is not installed.
    """
    if executor == "local":
        where = device or torch.device("cpu")
        return Store(folder, device=where, checkpoint_seconds=checkpoint_seconds, progress=progress)
    if executor != "ray":
        raise RunError(f"executor {executor!r} is unknown; choose local or ray")
    if processes.count() > 1:
        raise RunError("executor ray starts processes of its own: leave out torchrun or accelerate launch")
    try:
        from ticketzoo.runs.ray import RayCells
    except ImportError:
        raise RunError("executor ray needs Ray: pip install 'ticketzoo[ray]'") from None
    return RayCells(folder, device=device, checkpoint_seconds=checkpoint_seconds, progress=progress)
