"""Arms of `ARMS` for tickets that are used as they are: is it the mask, the signs, or the training of the mask?"""

from dataclasses import replace

import torch

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arm_table import ARMS
from ticketzoo.evaluation.draw import Draw
from ticketzoo.evaluation.drawing import Style
from ticketzoo.models.create import initial_state
from ticketzoo.tasks.shuffled import with_shuffled_labels
from ticketzoo.training.job import Job


@ARMS.add(
    "flipped_signs",
    drawn=False,
    perturbs=True,
    masks="the ticket's",
    weights="the rewind weights with all signs turned round",
    style=Style("#E377C2", "<"),
    cite="Zhou et al. 2019, section 4",
)
def flipped_signs(job: Job, draw: Draw) -> Job:
    """Return the ticket's training from its kept weights, each with the other sign."""
    return replace(job, state=job.state | {name: -job.state[name] for name in job.masks})


@ARMS.add(
    "shuffled_labels",
    drawn=True,
    seeks=True,
    masks="trained as the ticket's, on shuffled labels",
    weights="the ticket's",
    style=Style("#004D40", ">"),
    cite="Zhang et al. 2017, section 2",
)
def shuffled_labels(job: Job, draw: Draw) -> Job:
    """Return the training of a mask as the ticket's was trained, on labels that were shuffled once.

    It is measured as the ticket is, on labels that were not. Raises RecipeError where no mask was trained.
    """
    search = draw.search
    if search is None:
        raise RecipeError(f"arms: {draw.arm} trains a mask: it goes with ticketzoo find and a method that trains one")
    return replace(
        job,
        state=search.frozen_weights(initial_state(job.architecture, job.seed), job.masks),
        masks={name: torch.ones_like(mask) for name, mask in job.masks.items()},
        task=with_shuffled_labels(job.task, draw.seed(job)),
        training=search.training or job.training,
        learn=search.learner(job.masks),
    )
