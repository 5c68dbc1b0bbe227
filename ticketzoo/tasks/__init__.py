"""What a model is trained on: one file per task type, registered here."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ticketzoo.errors import DataError
from ticketzoo.tasks.fill_mask import FillMask, FillMaskConfig
from ticketzoo.tasks.image_classification import ImageClassification, ImageClassificationConfig
from ticketzoo.tasks.question_answering import QuestionAnswering, QuestionAnsweringConfig
from ticketzoo.tasks.text_classification import TextClassification, TextClassificationConfig
from ticketzoo.tasks.tokenizer import load_tokenizer
from ticketzoo.training.task import Task

TaskConfig = Annotated[
    ImageClassificationConfig | FillMaskConfig | TextClassificationConfig | QuestionAnsweringConfig,
    Field(discriminator="type"),
]
"""Any task's section of a recipe, told apart by `type`."""


def create_task(config: TaskConfig, *, tokenizer: str | Path | None = None) -> Task:
    """The task of a recipe's `task:` section, its data loaded. Raises DataError when it cannot be.

    `tokenizer` is the folder or Hub id of the model's tokenizer, for tasks on text; a recipe that names one wins.
    """
    if isinstance(config, ImageClassificationConfig):
        return ImageClassification(config)
    chosen = config.tokenizer or tokenizer
    if chosen is None:
        raise DataError(f"task.tokenizer is missing: {config.type} needs one, and the model brings none of its own")
    loaded = load_tokenizer(chosen)
    match config:
        case FillMaskConfig():
            return FillMask(config, loaded)
        case TextClassificationConfig():
            return TextClassification(config, loaded)
        case QuestionAnsweringConfig():
            return QuestionAnswering(config, loaded)
