"""The recipe and the data that a packaged ticket was found with."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ticketzoo.data.images.augment import Normalization
from ticketzoo.data.images.config import ImageDataset
from ticketzoo.data.images.measured import has_no_training
from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.finding import FindRecipe
from ticketzoo.finding.start import load_task, sized_architecture
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.recipe.reading import apply_override, parse_recipe
from ticketzoo.tasks import TaskConfig
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket

_log = logging.getLogger("ticketzoo")


def source_of(
    ticket: Ticket,
    *,
    data: str | Path | None = None,
    base: str | Path | None = None,
    overrides: Sequence[str] = (),
    trained: bool = True,
) -> tuple[FindRecipe, Task]:
    """Return the recipe that `ticket` holds, and its task, the data loaded.

    Args:
        ticket: any.
        data: folder or Hub id of the data, in place of the recipe's.
        base: folder with a copy of the pretrained model that the recipe names.
        overrides: of the recipe, such as `task.dataset.test_split=validation`.
        trained: whether something is trained on the data; otherwise a folder of images needs no split for that.

    Raises:
        TicketError: the ticket holds no recipe.
        RecipeError: its data are a folder of its author's, and none is given, or the data need another network.
        DataError: the data cannot be read.
    """
    if ticket.recipe_text is None:
        how = "; ticketzoo transfer measures it again, with the recipe on the card" * bool(ticket.config.transfers)
        raise TicketError(f"{ticket.name}: holds no recipe, which says what it is measured on{how}")
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
    section = recipe.task if trained else _measured(ticket, recipe)
    task = load_task(section, recipe.model)
    _check_fits(ticket, sized_architecture(recipe.model, task), task)
    return recipe, task


def _measured(ticket: Ticket, recipe: FindRecipe) -> TaskConfig:
    """Return the task of a network that is measured alone: of images without any to train on its classes and pixels."""
    section: Any = recipe.task
    dataset = getattr(section, "dataset", None)
    if not isinstance(dataset, ImageDataset) or not has_no_training(dataset):
        return recipe.task
    source, count = ticket.config.source, ticket.config.architecture.kwargs.get("num_classes", 0)
    numbers = map(str, dataset.classes or range(int(str(count))))
    changed: dict[str, Any] = {"dataset": dataset.measuring(source.classes or list(numbers))}
    pixels = "of their own mean and deviation" if section.normalize.root == "dataset" else "as the recipe says"
    if source.normalised is not None:
        pixels = "as the ticket says"
        changed["normalize"] = Normalization((tuple(source.normalised.mean), tuple(source.normalised.std)))
    _log.info(
        "%s: has no split to train on: classes are those of the ticket; pixels are normalised %s", dataset.path, pixels
    )
    return section.model_copy(update=changed)


def _is_local(path: str) -> bool:
    return path.startswith(("/", "~", ".")) or Path(path).exists()


def _check_fits(ticket: Ticket, needed: Mapping[str, Any], task: Task) -> None:
    kwargs = ticket.config.architecture.kwargs
    for key, wanted in needed["kwargs"].items():
        if key in kwargs and kwargs[key] != wanted:
            raise RecipeError(f"{task.name} needs a network with {key} {wanted}, and {ticket.name} has {kwargs[key]}")
