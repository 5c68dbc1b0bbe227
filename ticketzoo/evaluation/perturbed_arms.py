"""Arms of `ARMS` that train a ticket from its weights after a change: what of early training do they have to keep?"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ticketzoo.evaluation.arm_table import ARMS
from ticketzoo.evaluation.draw import Draw
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.random import permuted_across, permuted_in_rows
from ticketzoo.models.state import State
from ticketzoo.training.job import Job

CITE = "Frankle et al. 2020b"
NOISE = (0.5, 1, 2, 3)
"""Standard deviations of the noise that the table has arms for, as multiples of a layer's at initialisation."""


def effective_std(before: State, after: State, masks: Masks, initial: State) -> float:
    """Return the size of a change of kept weights: the root mean square of each one's change over its layer's spread.

    The spread is the standard deviation (of n, not n - 1) of all of the layer's weights in `initial`; a layer that has
    none there, such as one of constants, is left out. 0 where nothing is left.
    """
    changes = []
    for name, mask in masks.items():
        if spread := _spread(initial[name]):
            changes.append((after[name][mask].double() - before[name][mask].double()) / spread)
    every = torch.cat(changes) if changes else torch.zeros(0)
    return float(every.square().mean().sqrt()) if len(every) else 0.0


def signed_as(values: Tensor, signs: Tensor) -> Tensor:
    """Return the magnitudes of `values` with the signs of `signs`, of which 0 counts as +."""
    return torch.where(signs < 0, -values.abs(), values.abs())


def noisy(job: Job, draw: Draw, times: float) -> Job:
    """Return the training of `job` with Gaussian noise on each kept weight.

    The noise's standard deviation is `times` that of the whole layer at step 0.
    """
    generator, initial, changed = torch.Generator().manual_seed(draw.seed(job)), draw.step_0(job), {}
    for name, mask in job.masks.items():
        values = job.state[name]
        drawn = torch.randn(int(mask.sum()), generator=generator, device="cpu").to(values.dtype)
        changed[name] = values.masked_scatter(mask, values[mask] + times * _spread(initial[name]) * drawn)
    return _changed(job, changed)


@ARMS.add(
    "initial_weights",
    drawn=False,
    perturbs=True,
    from_step_0=True,
    masks="the ticket's",
    weights="those of step 0, trained from the rewind step on",
    cite=CITE,
)
def initial_weights(job: Job, draw: Draw) -> Job:
    """Return the ticket's training from the weights of step 0, all parameters and statistics, as short as it is."""
    return replace(job, state=dict(draw.step_0(job)))


@ARMS.add(
    "initial_signs",
    drawn=False,
    perturbs=True,
    from_step_0=True,
    masks="the ticket's",
    weights="the magnitudes of the rewind weights with the signs of step 0",
    cite=CITE,
)
def initial_signs(job: Job, draw: Draw) -> Job:
    """Return the ticket's training with the signs that its kept weights had at step 0."""
    initial = draw.step_0(job)
    return _kept_changed(job, {name: signed_as(job.state[name], initial[name]) for name in job.masks})


@ARMS.add(
    "initial_magnitudes",
    drawn=False,
    perturbs=True,
    from_step_0=True,
    masks="the ticket's",
    weights="the magnitudes of step 0 with the signs of the rewind weights",
    cite=CITE,
)
def initial_magnitudes(job: Job, draw: Draw) -> Job:
    """Return the ticket's training with the magnitudes that its kept weights had at step 0."""
    initial = draw.step_0(job)
    return _kept_changed(job, {name: signed_as(initial[name], job.state[name]) for name in job.masks})


def _permuted(
    order: Callable[[Mapping[str, Tensor], Masks, int], dict[str, Tensor]], keep_signs: bool, job: Job, draw: Draw
) -> Job:
    moved = order(job.state, job.masks, draw.seed(job))
    return _kept_changed(
        job, {name: signed_as(moved[name], job.state[name]) for name in moved} if keep_signs else moved
    )


def _add_permutations() -> None:
    for name, where, order in (
        ("permuted_across_layers", "over all layers together", permuted_across),
        ("permuted_in_filters", "within each filter, or row of a matrix", permuted_in_rows),
    ):
        for signs in (False, True):
            magnitudes = ", their magnitudes" if signs else ","
            ARMS.add(
                f"{name}_kept_signs" if signs else name,
                drawn=True,
                perturbs=True,
                masks="the ticket's",
                weights=f"the kept rewind weights{magnitudes} permuted {where}{', each place with its sign' * signs}",
                label=f"{name.replace('_', ' ')}, kept signs" if signs else "",
                cite=CITE,
            )(partial(_permuted, order, signs))


def _add_noise() -> None:
    for times in NOISE:
        ARMS.add(
            f"noise_{times}",
            drawn=True,
            perturbs=True,
            from_step_0=True,
            masks="the ticket's",
            weights=f"the rewind weights with Gaussian noise, {times} times as large as the layer at step 0",
            label=f"noise {times}",
            cite=CITE,
        )(partial(noisy, times=times))


_add_permutations()
_add_noise()


def _spread(values: Tensor) -> float:
    return float(values.double().std(correction=0)) if values.numel() else 0.0


def _kept_changed(job: Job, values: Mapping[str, Tensor]) -> Job:
    """Return `job` with other values where its masks keep weights."""
    return _changed(job, {name: torch.where(mask, values[name], job.state[name]) for name, mask in job.masks.items()})


def _changed(job: Job, tensors: Mapping[str, Tensor]) -> Job:
    return replace(job, state={**job.state, **tensors})
