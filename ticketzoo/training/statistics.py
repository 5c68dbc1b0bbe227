"""Running statistics of batch normalisation, gathered for weights that no training has gone through."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ticketzoo.distributed import processes
from ticketzoo.distributed.batch_norm import synchronise_batch_norm
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task
from ticketzoo.training.forward import restored_generators, seed_generators

BATCHES = 100
"""Training batches that statistics are gathered of, at most; of a shorter epoch those of one."""


@torch.no_grad()
def gather_statistics(model: nn.Module, task: Task, batch_size: int, seed: int, device: torch.device) -> None:
    """Give the BatchNorms in `model` the mean statistics of the first training batches; nothing else changes.

    Several processes share each batch, and all get the statistics of whole batches, whatever
    `training.sync_batchnorm` says.

    Args:
        model: on `device`, with its masks.
        task: gives the batches, in the order of a training of `seed`.
        batch_size: of a training.
        seed: of the order and of augmentation.
        device: where to compute.
    """
    if processes.count() > 1:
        synchronise_batch_norm(model, device)
    norms = [one for one in model.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]
    if not norms:
        return
    momenta = [one.momentum for one in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over batches
    model.train()
    count = min(BATCHES, task.steps_per_epoch(batch_size))
    with restored_generators(device):
        for step, batch in enumerate(task.batches(batch_size, seed, 0, count, device)):
            seed_generators(device, derive_seed(seed, "augment", step))
            task.loss(model, batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
