"""Tasks that a model is trained on: one file per task type, registered here."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ticketzoo.data.text.tokenizer import Tokenizer, load_tokenizer
from ticketzoo.errors import DataError
from ticketzoo.tasks.fill_mask import FillMask, FillMaskConfig
from ticketzoo.tasks.image_classification import ImageClassification, ImageClassificationConfig
from ticketzoo.tasks.question_answering import QuestionAnswering, QuestionAnsweringConfig
from ticketzoo.tasks.task import Task
from ticketzoo.tasks.text_classification import TextClassification, TextClassificationConfig

TaskConfig = Annotated[
    ImageClassificationConfig | FillMaskConfig | TextClassificationConfig | QuestionAnsweringConfig,
    Field(discriminator="type"),
]
"""Any task's section of a recipe, told apart by `type`."""


def create_task(config: TaskConfig, *, tokenizer: str | Path | None = None) -> Task:
    """Return the task of a recipe's `task:` section, its data loaded.

    `tokenizer` is the folder or Hub id of the model's own, for tasks on text. A recipe may name another that has the
    same tokens, or one for a model that brings none.

    Raises:
        DataError: its data cannot be loaded.
    """
    if isinstance(config, ImageClassificationConfig):
        return ImageClassification(config)
    chosen = config.tokenizer or tokenizer
    if chosen is None:
        raise DataError(
            f"task.tokenizer is missing: {config.type} needs one, and the model brings none of its own: give a folder "
            "or Hub id, or to transfer the tickets' model as base"
        )
    loaded = load_tokenizer(chosen)
    if config.tokenizer and tokenizer:
        _check_same_tokens(loaded, tokenizer)
    match config:
        case FillMaskConfig():
            return FillMask(config, loaded)
        case TextClassificationConfig():
            return TextClassification(config, loaded)
        case QuestionAnsweringConfig():
            return QuestionAnswering(config, loaded)


def _check_same_tokens(chosen: Tokenizer, own: str | Path) -> None:
    """Raise DataError when the tokenizer of a recipe gives other numbers to tokens than the model's own, if it has one.

    Two vocabularies of one size, such as of a cased and an uncased model, would pass for each other otherwise.
    """
    try:
        vocabulary = load_tokenizer(own).backend.get_vocab()
    except DataError:
        return
    if vocabulary != chosen.backend.get_vocab():
        raise DataError(
            f"task.tokenizer: {chosen.described} has other tokens than the model's own, {own}: leave it out"
        )
