"""What a model is trained on: one file per task type, registered here."""

from ticketzoo.tasks.image_classification import ImageClassification, ImageClassificationConfig
from ticketzoo.training.task import Task

TaskConfig = ImageClassificationConfig
"""Any task's section of a recipe, told apart by `type`."""


def create_task(config: TaskConfig) -> Task:
    """The task of a recipe's `task:` section, its data loaded. Raises DataError when it cannot be."""
    return ImageClassification(config)
