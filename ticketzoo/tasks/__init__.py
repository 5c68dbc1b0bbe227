"""Tasks that a model is trained on: one file per task type, each a row of `TASKS`."""

from pathlib import Path

from ticketzoo.data.text.tokenizer import Tokenizer, load_tokenizer
from ticketzoo.errors import DataError
from ticketzoo.tasks import causal_language_modelling as causal_language_modelling
from ticketzoo.tasks import fill_mask as fill_mask
from ticketzoo.tasks import image_classification as image_classification
from ticketzoo.tasks import modular_addition as modular_addition
from ticketzoo.tasks import own as own
from ticketzoo.tasks import question_answering as question_answering
from ticketzoo.tasks import reinforcement_learning as reinforcement_learning
from ticketzoo.tasks import self_supervised as self_supervised
from ticketzoo.tasks import text_classification as text_classification
from ticketzoo.tasks.table import TASKS as TASKS
from ticketzoo.tasks.table import TaskConfig as TaskConfig
from ticketzoo.tasks.table import TaskSection
from ticketzoo.tasks.task import Task


def create_task(config: TaskSection, *, tokenizer: str | Path | None = None) -> Task:
    """Return the task of a recipe's `task:` section, its data loaded.

    Args:
        config: the section.
        tokenizer: folder or Hub id of the model's own, for tasks on text. A recipe may name another that has the same
            tokens, or one for a model that brings none.

    Raises:
        DataError: the data cannot be loaded, or the tokenizer is missing or has other tokens than the model's own.
    """
    task_type = TASKS[config.type]
    if task_type.texts is None:
        return task_type.make(config)
    asked = getattr(config, "tokenizer", None)
    chosen = asked or tokenizer
    made = next((key for key in ("vocabulary", "tokens") if getattr(config, key, None) is not None), None)
    if made is not None:
        if chosen is not None:
            raise DataError(f"task.{made} trains a tokenizer, and the model brings its own, {chosen}: leave it out")
        return task_type.make(config, None)
    if chosen is None:
        raise DataError(
            f"task.tokenizer is missing: {config.type} needs one, and the model brings none: give a folder or Hub id, "
            "or in a transfer recipe the tickets' model as base"
        )
    loaded = load_tokenizer(chosen, pads=task_type.pads)
    if asked and tokenizer:
        _check_same_tokens(loaded, tokenizer)
    return task_type.make(config, loaded)


def _check_same_tokens(chosen: Tokenizer, own: str | Path) -> None:
    """Raise DataError where the tokenizer of a recipe numbers tokens otherwise than the model's own, if it has one.

    Two vocabularies of one size, such as of a cased and an uncased model, would pass for each other.
    """
    try:
        vocabulary = load_tokenizer(own, pads=False).backend.get_vocab()
    except DataError:
        return
    if vocabulary != chosen.backend.get_vocab():
        raise DataError(
            f"task.tokenizer: {chosen.described} has other tokens than the model's own, {own}: leave it out"
        )
