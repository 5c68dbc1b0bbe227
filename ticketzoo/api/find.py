"""Find tickets: by a recipe, or of a user's own model and data."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor, nn

from ticketzoo.api.run import find_by_recipe, folder_of, running
from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arms import FIND_ARMS
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.method import METHODS
from ticketzoo.finding.start import SourceModel
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Progress
from ticketzoo.tasks.metrics import Metric
from ticketzoo.tasks.own import Evaluate, Loss, OwnTask
from ticketzoo.tasks.own_examples import Examples
from ticketzoo.ticket import Ticket
from ticketzoo.util.random_state import seeded

Data = Examples | tuple[Tensor, Tensor]


@overload
def find(
    recipe: str | Path | FindRecipe,
    *,
    set: Sequence[str] = (),
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    executor: str = "local",
    progress: bool | Progress = True,
) -> Ticket: ...


@overload
def find(
    *,
    model: Callable[[], nn.Module],
    train: Data,
    evaluate: Data | Evaluate,
    validation: Data | None = None,
    loss: Loss | None = None,
    metric: str | Metric | None = None,
    prune: str | Mapping[str, Any] = "magnitude",
    finder: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    arms: Sequence[str] = FIND_ARMS,
    seeds: Sequence[int] = (0, 1, 2),
    name: str | None = None,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    executor: str = "local",
    progress: bool | Progress = True,
) -> Ticket: ...


def find(  # noqa: PLR0913 - the front door: everything by keyword, all with defaults
    recipe: str | Path | FindRecipe | None = None,
    *,
    set: Sequence[str] = (),
    model: Callable[[], nn.Module] | None = None,
    train: Data | None = None,
    evaluate: Data | Evaluate | None = None,
    validation: Data | None = None,
    loss: Loss | None = None,
    metric: str | Metric | None = None,
    prune: str | Mapping[str, Any] = "magnitude",
    finder: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    arms: Sequence[str] = FIND_ARMS,
    seeds: Sequence[int] = (0, 1, 2),
    name: str | None = None,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    executor: str = "local",
    progress: bool | Progress = True,
) -> Ticket:
    """Find a lottery ticket by a recipe, or of your own model and data, and package it with everything measured.

        ticketzoo.find("quickstart")

        ticket = ticketzoo.find(
            model=lambda: MyNetwork(), train=(images, labels), evaluate=(test_images, test_labels),
            finder={"levels": 5}, training={"steps": "10ep", "optimizer": {"name": "adam", "lr": 1e-3}},
        )
        ticket.apply(MyNetwork())

    A run that was stopped goes on where it was when the same call is made again. Another network, loss, `evaluate` or
    data are trained anew, and so are those whose code cannot be told (that hold a lock, say).

    Args:
        recipe: a file, the name of a shipped recipe, or a `FindRecipe`; in place of model and data.
        set: overrides of a recipe such as `"seeds=[0]"`.
        model: makes the network with fresh weights, a new one at each call.
        train: examples to train on: tensors (inputs, targets), [n, ...] each, or a torch data set of such pairs.
        evaluate: held-out examples in the same form, or `evaluate(model)`, which gives numbers by name.
        validation: further held-out examples for early stopping curves; none by default.
        loss: `loss(outputs, targets)`, the mean over a batch; by default cross-entropy for integer targets, else the
            mean squared error.
        metric: what decides the verdict; by default `accuracy` for integer targets, else `loss`, of which less is
            better. Give a `Metric` for any that is not registered.
        prune: a criterion by name, or the keys of a recipe's `finder.prune`.
        finder: the other keys of a recipe's `finder` section: `method`, `levels`, `rate`, `rewind`, `include`, ...
        training: the keys of a recipe's `training` section: `steps`, `batch_size`, `optimizer`, `schedule`, ...; by
            default 20 epochs in batches of 128 by SGD at a constant learning rate of 0.1.
        arms: what is measured beside the ticket; random positions are drawn twice a seed.
        seeds: one replicate each.
        name: of the ticket; by default `<class of the network>.own-<method>` in lower case.
        out: working folder, `runs/<name>` by default. The ticket is in `<out>/<name>`; in `runs` it is found by name:
            `load_ticket("NAME")`. A ticket of that name with other settings is kept beside it.
        device: such as `"cuda"`; by default a GPU where there is one, or what the executor chooses.
        executor: a name in the table of executors: `local`, or `ray` for trainings on a cluster.
        progress: whether to show progress, or who is told of it.

    Returns:
        The ticket, at its best level. One of a network of your own holds no code: `ticket.apply(network)` puts it on
        one that you build.

    Raises:
        TicketzooError: what was asked for cannot be, or the run cannot go on; the message is one line.
    """
    if recipe is not None:
        if model is not None or train is not None or evaluate is not None:
            raise RecipeError("find: give a recipe, or model, train and evaluate, not both")
        with running(device, executor, progress) as where:
            return find_by_recipe(recipe, set, out, where)
    if model is None or train is None or evaluate is None:
        raise RecipeError("find: give a recipe, or all of model, train and evaluate")
    for what, section in (("finder", finder), ("training", training)):
        if section is not None and not isinstance(section, Mapping):
            raise RecipeError(f"find: {what}: give keys and their values, not {type(section).__name__}")
    architecture = OwnArchitecture(model)
    name = name or f"{_plain(architecture['name'])}.own-{(finder or {}).get('method', 'imp')}"
    task = OwnTask(
        train, evaluate, validation=validation, loss=loss, metric=metric, name=name.partition(".")[2] or name
    )
    content = {
        "name": name,
        "model": f"own/{architecture['name']}",
        "task": {"type": "own", "name": task.name},
        "training": dict(training or {}),
        "finder": {**(finder or {}), **({} if prune == "magnitude" else {"prune": prune})},
        "arms": list(arms),
        "seeds": list(seeds),
        "package_from": _package_from(finder or {}),
    }
    parsed = parse_recipe(content, FindRecipe, name)
    with running(device, executor, progress) as where:
        _try_evaluation(architecture, task, where["device"])
        source = SourceModel(architecture)
        return find_and_package(parsed, folder_of(name, out), task=task, model=source, **where)[0]


def _plain(name: str) -> str:
    """Return the name of a class as one that a ticket may have: `_Net` is `net`."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("_-")[:64] or "network"


def _package_from(finder: Mapping[str, Any]) -> int:
    """Return the level from which on the ticket is packaged: 0, or the last where a method's ticket holds it alone."""
    method = finder.get("method", "imp")
    if method not in METHODS:
        return 0  # reading the recipe says so
    config: Any = METHODS[method].config.model_construct()
    level = finder.get("levels", config.levels)
    return level if config.last_level_alone else 0


def _try_evaluation(architecture: OwnArchitecture, task: OwnTask, device: torch.device | None) -> None:
    """Evaluate a fresh network, so that a metric which is not there is said before any training."""
    device = device or torch.device("cpu")
    with seeded(0):
        task.evaluate(architecture.build(0).to(device).eval(), "test", device)
