"""Processor threads of a training: one for a small network, which more would slow down on a busy machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ticketzoo.training.job import Job

SMALL_STEP = 10_000_000
"""Floating-point operations of a forward pass below which a training gets one thread. LeNet-300-100's on 32 images of
8 x 8 pixels has 3 million, and two threads gain little; on 60 of 28 x 28 it has 32 million, and they gain a fifth."""

_SURELY_LARGE = 2_000_000
"""Parameters from which on a batch is not worth looking at."""


@contextmanager
def threads_for(job: Job, model: nn.Module, device: torch.device, models: int = 1) -> Iterator[int]:
    """Give torch, in this block, the processor threads that suit `job`, and yield how many.

    It is one for a small network on the CPU, whose sums then round alike on any machine; for any other network it is
    what torch had before, by default a thread a core. The load of the machine plays no part.

    Args:
        job: the training.
        model: the job's, on `device`; not changed.
        device: where it trains.
        models: how many like it are trained at once.
    """
    before = torch.get_num_threads()
    small = before > 1 and device.type == "cpu" and models * forward_operations(job, model, device) < SMALL_STEP
    try:
        if small:
            torch.set_num_threads(1)
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def forward_operations(job: Job, model: nn.Module, device: torch.device) -> float:
    """Return the floating-point operations of a forward pass on the job's first batch; infinite for large models."""
    if sum(parameter.numel() for parameter in model.parameters()) >= _SURELY_LARGE:
        return float("inf")
    from torch.utils.flop_counter import FlopCounterMode  # loads triton

    batch = _first_batch(job, device)
    mode = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        job.task.loss(model, batch)
    model.train(mode)
    return counter.get_total_flops()


def _first_batch(job: Job, device: torch.device) -> Any:
    first = job.task.batches(job.training.batch_size, job.seed, job.start_step, job.start_step + 1, device)
    return next(iter(first))
