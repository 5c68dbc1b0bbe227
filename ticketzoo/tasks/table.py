"""The table of task types: what a recipe's `task.type` names.

A task type of your own is a class with the members of `ticketzoo.tasks.task.Task` and one decorator, in any module that
is imported before the recipe is read:

    class CopyingSection(TaskSection):
        type: Literal["copying"]
        length: int = 8

    @TASKS.add("copying", config=CopyingSection, words="copying sequences")
    class Copying:
        def __init__(self, config: CopyingSection) -> None: ...
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import SerializeAsAny

from ticketzoo.errors import RecipeError
from ticketzoo.models.signature import Signature
from ticketzoo.recipe import Config, ConfiguredBy
from ticketzoo.tasks.task import Task
from ticketzoo.util.registry import Registry


class TaskSection(Config):
    """The `task:` section of a recipe: the `type`, a name in `TASKS`, decides which other keys there are.

    Attributes:
        type: name of the task; it decides which other keys the section has.
    """

    type: str


@dataclass(frozen=True)
class TaskType:
    """A row of `TASKS`.

    Attributes:
        name: by which recipes ask for it.
        make: loads the data of a section; called with the section, and with a tokenizer where `texts` is given.
        config: the section's type.
        words: what a card calls it.
        texts: of a task on texts, which needs the model's tokenizer: its signature, but for the number of classes.
        pads: whether the tokenizer has to have a padding token.
    """

    name: str
    make: Callable[..., Task]
    config: type[TaskSection]
    words: str
    texts: Signature | None = None
    pads: bool = True


TASKS: Registry[TaskType] = Registry("task", TaskType, error=RecipeError)

TaskConfig = Annotated[SerializeAsAny[TaskSection], ConfiguredBy(lambda: TASKS, "type")]
"""Any task's section of a recipe, told apart by `type`."""
