"""The table of task types: what a recipe's `task.type` names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import SerializeAsAny

from ticketzoo.errors import RecipeError
from ticketzoo.models.signature import Signature
from ticketzoo.recipe import Config, ConfiguredBy, DataName
from ticketzoo.tasks.task import Task
from ticketzoo.util.registry import Registry


class TaskSection(Config):
    """The `task:` section of a recipe: what every task type has.

    Attributes:
        type: a name in `TASKS`, which decides the other keys.
        name: what to call the data in results.
    """

    type: str
    name: DataName | None = None


@dataclass(frozen=True)
class TaskType:
    """A row of `TASKS`.

    Attributes:
        name: by which recipes ask for it.
        make: loads the data of a section; called with the section, and with a tokenizer where `texts` is given.
        config: the section's type.
        words: what a card calls it.
        texts: of a task on texts, which needs the model's tokenizer: its signature, but for the number of classes.
    """

    name: str
    make: Callable[..., Task]
    config: type[TaskSection]
    words: str
    texts: Signature | None = None


TASKS: Registry[TaskType] = Registry("task", TaskType, error=RecipeError)

TaskConfig = Annotated[SerializeAsAny[TaskSection], ConfiguredBy(lambda: TASKS, "type")]
"""Any task's section of a recipe, told apart by `type`."""
