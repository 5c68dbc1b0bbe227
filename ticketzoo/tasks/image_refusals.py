"""Errors of a model that a batch of images is given to, in one line."""

import torch

from ticketzoo.data.images.batches import Images
from ticketzoo.distributed.processes import Share
from ticketzoo.errors import DataError, RecipeError, TicketzooError


def refusal(error: Exception, share: Share, train: Images, side: int) -> TicketzooError | None:
    """Return what is wrong and what to do, of an error that comes of the size of a batch or of its images; else None.

    Args:
        error: of the forward pass.
        share: this process's part of the batch.
        train: the training split.
        side: width in pixels of the images that were given to the model.
    """
    if "more than 1 value per channel" in str(error):
        return RecipeError(_one_image(share, len(train)))
    if side == train.in_shape[-1] or isinstance(error, torch.OutOfMemoryError):
        return None
    sides = f"{side} pixels, only of {train.in_shape[-1]}"
    return DataError(f"the model takes no images of {sides}: leave sizes of random_resized_crop out")


def _one_image(share: Share, examples: int) -> str:
    few = "has only 1, too few for the model's BatchNorm"
    if share.stop - share.start < share.total:
        part = f"training.batch_size: a process's part of a batch of {share.total} images {few}"
        return f"{part}; choose a larger size, or training.sync_batchnorm"
    batch = f"training.batch_size: a batch of the {examples:,} training images {few}"
    return f"{batch}; choose another size, or another number of task.dataset.examples"
