"""A task with the labels of its training examples shuffled: what is learned of it has nothing to do with the task."""

import copy

import torch

from ticketzoo.data.images.batches import MemoryImages
from ticketzoo.errors import RecipeError
from ticketzoo.tasks.image_classification import ImageClassification
from ticketzoo.tasks.task import Task


def with_shuffled_labels(task: Task, seed: int) -> Task:
    """Return `task` with the labels of the training images in another order, drawn once; held-out ones stay.

    Raises:
        RecipeError: it does not classify images, or not of those that are kept in memory.
    """
    train = task._train if isinstance(task, ImageClassification) else None
    if not isinstance(train, MemoryImages):
        raise RecipeError(f"arms: the labels of {task.name} cannot be shuffled: that goes with images kept in memory")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    shuffled = copy.copy(task)
    shuffled._train = MemoryImages(train.pixels, train.labels[order])  # type: ignore[attr-defined]
    shuffled.identity = {**task.identity, "shuffled_labels": seed}
    return shuffled
