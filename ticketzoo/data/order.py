"""The order in which training and evaluation see examples, and their way to the device."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ticketzoo.distributed.processes import share_of
from ticketzoo.seeds import derive_seed

_POOL = 50
"""Batches' worth of examples that are sorted by length together."""


def training_order(
    count: int, batch_size: int, seed: int, start: int, stop: int, lengths: Tensor | None = None
) -> Iterator[Tensor]:
    """Yield int64 [b], this process's share of the examples of global steps start..stop-1.

    All those of a step depend on `seed` and the step alone.
    """
    for examples in whole_order(count, batch_size, seed, start, stop, lengths):
        yield share_of(len(examples)).of(examples)


def whole_order(
    count: int, batch_size: int, seed: int, start: int, stop: int, lengths: Tensor | None = None
) -> Iterator[Tensor]:
    """Yield int64 [b], the examples of global steps start..stop-1; a step depends on `seed` and itself alone.

    Every epoch visits each of the `count` examples once, in an order drawn from (seed, epoch); its last batch may be
    smaller. With `lengths` (int64 [count]) the others hold examples of like length, at random places of the epoch.
    """
    steps_per_epoch = math.ceil(count / batch_size)
    drawn, permutation = -1, torch.empty(0)
    for step in range(start, stop):
        epoch, position = divmod(step, steps_per_epoch)
        if epoch != drawn:
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
            drawn, permutation = epoch, torch.randperm(count, generator=generator)
            if lengths is not None:
                permutation = _bucketed(permutation, lengths, batch_size, generator)
        yield permutation[position * batch_size : (position + 1) * batch_size]


def _bucketed(permutation: Tensor, lengths: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return the same examples, each pool of the permutation sorted by length, and then whole batches shuffled."""
    whole = len(permutation) // batch_size
    pools = permutation[: whole * batch_size].split(_POOL * batch_size)
    by_length = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools] or [permutation[:0]])
    turn = torch.randperm(whole, generator=generator)
    return torch.cat([by_length.view(whole, batch_size)[turn].flatten(), permutation[whole * batch_size :]])


def evaluation_order(lengths: Tensor, tokens: int) -> Iterator[Tensor]:
    """Yield int64 [b], every example once, shortest first, in batches of at most `tokens` padded tokens (or one)."""
    order = lengths.argsort(stable=True)
    sizes = lengths[order].tolist()
    start = 0
    for stop in range(1, len(sizes) + 1):
        if stop == len(sizes) or sizes[stop] * (stop + 1 - start) > tokens:
            yield order[start:stop]
            start = stop


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor` on `device`; a copy from CPU to GPU goes on while the processor does other things."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)
