"""The recipe and the data that a packaged ticket was found with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.finding import FindRecipe
from ticketzoo.finding.start import load_task, sized_architecture
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.recipe.reading import apply_override, parse_recipe
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket


def source_of(
    ticket: Ticket, *, data: str | Path | None = None, base: str | Path | None = None, overrides: Sequence[str] = ()
) -> tuple[FindRecipe, Task]:
    """Return the recipe that `ticket` holds, and its task, the data loaded.

    Args:
        ticket: any.
        data: folder or Hub id of the data, in place of the recipe's.
        base: folder with a copy of the pretrained model that the recipe names.
        overrides: of the recipe, such as `task.dataset.test_split=validation`.

    Raises:
        TicketError: the ticket holds no recipe.
        RecipeError: its data are a folder of its author's, and none is given, or the data need another network.
        DataError: the data cannot be read.
    """
    if ticket.recipe_text is None:
        raise TicketError(f"{ticket.name}: holds no recipe, which says what it is measured on")
    content: Any = parse_yaml(ticket.recipe_text)
    if isinstance(content, dict):  # a recipe from before there was this key trained fresh weights so
        content.setdefault("reinit_from", "rewind-step")
    if data is not None:
        overrides = [f"task.dataset.path={data}", *overrides]
    if base is not None:
        overrides = [f"model.mirror={base}", *overrides]
    for override in overrides:
        apply_override(content, override)
    recipe = parse_recipe(content, FindRecipe, f"of {ticket.name}")
    dataset: Any = getattr(recipe.task, "dataset", None)
    if dataset is not None and data is None and _is_local(dataset.path):
        raise RecipeError(f"{ticket.name}: was found on a folder, {dataset.path}: give --data FOLDER")
    task = load_task(recipe.task, recipe.model)
    _check_fits(ticket, sized_architecture(recipe.model, task), task)
    return recipe, task


def _is_local(path: str) -> bool:
    return path.startswith(("/", "~", ".")) or Path(path).exists()


def _check_fits(ticket: Ticket, needed: Mapping[str, Any], task: Task) -> None:
    kwargs = ticket.config.architecture.kwargs
    for key, wanted in needed["kwargs"].items():
        if key in kwargs and kwargs[key] != wanted:
            raise RecipeError(f"{task.name} needs a network with {key} {wanted}, and {ticket.name} has {kwargs[key]}")
