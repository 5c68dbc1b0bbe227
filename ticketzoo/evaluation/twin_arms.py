"""Arms on the weights of another dense training, the twin: can a mask be used on an initialization of one's own?"""

from dataclasses import replace

from ticketzoo.aligning.permutation import permuted
from ticketzoo.evaluation.arm_table import ARMS
from ticketzoo.evaluation.draw import Draw
from ticketzoo.training.job import Job


@ARMS.add(
    "naive_reinit",
    drawn=True,
    twin=True,
    masks="the ticket's",
    weights="those of another dense training, from another initialisation, at the ticket's rewind step",
    cite="Adnan et al. 2025",
)
def naive_reinit(job: Job, draw: Draw) -> Job:
    """Return the training of the ticket's masks on the twin's weights of the same step, in the twin's data order."""
    twin = draw.other_training()
    return replace(job, state=twin.state, seed=twin.seed)


@ARMS.add(
    "aligned_reinit",
    drawn=True,
    twin=True,
    masks="the ticket's, its hidden units permuted to match another dense network's",
    weights="those of that dense training, from another initialisation, at the ticket's rewind step",
    cite="Adnan et al. 2025",
)
def aligned_reinit(job: Job, draw: Draw) -> Job:
    """Return the training of `naive_reinit` under masks whose units were put where their match is in the twin.

    Matched are the dense networks at the end of training, by the activations of their units. The naive arm beside it
    has the same twin.
    """
    twin = draw.other_training()
    return replace(job, state=twin.state, seed=twin.seed, masks=permuted(job.masks, twin.groups, twin.order))
