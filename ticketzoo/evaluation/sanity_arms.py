"""Further arms of `ARMS`, which take one thing away from a mask and leave the others: what is it that counts?"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ticketzoo.evaluation.arm_table import ARMS
from ticketzoo.evaluation.draw import Draw
from ticketzoo.evaluation.drawing import Style
from ticketzoo.masks.random import permuted, random_masks
from ticketzoo.models.signs import signed_constants
from ticketzoo.training.job import Job


@ARMS.add(
    "inverted_mask",
    drawn=False,
    inverts=True,
    masks="the weights of lowest score, as many as the ticket keeps, by the same search",
    weights="the rewind weights",
    style=Style("#6A3D9A", "*"),
    verdict_control=True,
    cite="Frankle et al. 2021, section 4",
)
def inverted_mask(job: Job, draw: Draw) -> Job:
    """Return the training of the rewind weights under masks of the same search, which keeps the lowest scores.

    A search of several prunings keeps the lowest in each. Counts are those of the groups that the search ranks
    together: each layer's, or all layers' sum.
    """
    return replace(job, state=draw.rewind_weights(job), masks=draw.inverted_masks())


@ARMS.add(
    "random_ticket",
    drawn=True,
    masks="drawn at random, each layer as dense as the ticket's",
    weights="a fresh initialisation",
    verdict_control=True,
    cite="Morcos et al. 2019; Yu et al. 2020",
)
def random_ticket(job: Job, draw: Draw) -> Job:
    """Return the training of a fresh initialisation under fresh positions, each layer at the ticket's density.

    Nothing of the ticket is left but how many weights each layer keeps; it starts where `random_reinit` does.
    """
    masks = random_masks(job.masks, draw.seed(job))
    return replace(job, state=draw.initial_state(job), masks=masks, start_step=draw.fresh_step(job))


@ARMS.add(
    "random_reinit_kept_signs",
    drawn=True,
    perturbs=True,
    masks="the ticket's",
    weights="a fresh initialisation with the signs of the rewind weights",
    label="random reinit, kept signs",
    cite="Zhou et al. 2019, section 3",
)
def random_reinit_kept_signs(job: Job, draw: Draw) -> Job:
    """Return the training of `random_reinit` where each masked weight has the sign of the ticket's."""
    fresh = draw.initial_state(job)
    return replace(job, state={**fresh, **_signed_as(job, fresh)}, start_step=draw.fresh_step(job))


@ARMS.add(
    "permuted_values_kept_signs",
    drawn=True,
    perturbs=True,
    masks="the ticket's",
    weights="the kept rewind weights, their magnitudes permuted within each layer, each place with its sign",
    label="permuted values, kept signs",
    cite="Zhou et al. 2019, section 3",
)
def permuted_values_kept_signs(job: Job, draw: Draw) -> Job:
    """Return the training of `permuted_values` where each masked weight has the sign of the ticket's."""
    return replace(job, state={**job.state, **_signed_as(job, permuted(job.state, job.masks, draw.seed(job)))})


@ARMS.add(
    "constant",
    drawn=True,
    perturbs=True,
    masks="the ticket's",
    weights="one magnitude a layer, the standard deviation of its rewind weights, with its signs permuted",
    cite="Zhou et al. 2019, section 3",
)
def constant(job: Job, draw: Draw) -> Job:
    """Return the training of one magnitude in each layer, with a permutation of the signs of the whole layer."""
    weights, generator = draw.rewind_weights(job), torch.Generator().manual_seed(draw.seed(job))
    orders = {name: torch.randperm(mask.numel(), generator=generator) for name, mask in job.masks.items()}
    mixed = {name: weights[name].flatten()[order].view_as(weights[name]) for name, order in orders.items()}
    return replace(job, state={**job.state, **signed_constants(weights, mixed)})


@ARMS.add(
    "constant_kept_signs",
    drawn=False,
    perturbs=True,
    masks="the ticket's",
    weights="one magnitude a layer, the standard deviation of its rewind weights, with their signs",
    label="constant, kept signs",
    cite="Zhou et al. 2019, section 3",
)
def constant_kept_signs(job: Job, draw: Draw) -> Job:
    """Return the training of one magnitude in each layer, with the signs of the ticket's weights."""
    weights = draw.rewind_weights(job)
    return replace(job, state={**job.state, **signed_constants(weights, {name: weights[name] for name in job.masks})})


def _signed_as(job: Job, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the masked tensors of `values`, each entry with the sign of the ticket's."""
    return {name: values[name].abs() * job.state[name].sign() for name in job.masks}
