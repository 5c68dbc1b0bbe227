"""Further arms of `ARMS`, which take one thing away from a mask and leave the others: what is it that counts?"""

from dataclasses import replace

from ticketzoo.evaluation.arm_table import ARMS
from ticketzoo.evaluation.draw import Draw
from ticketzoo.evaluation.drawing import Style
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
