"""Find tickets: by a recipe, or of a user's own model and data."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ticketzoo.api.own import Data, OwnRun
from ticketzoo.api.run import find_by_recipe, running
from ticketzoo.evaluation.again import until_keys
from ticketzoo.evaluation.arms import FIND_ARMS
from ticketzoo.finding import FindRecipe
from ticketzoo.runs.progress import Progress
from ticketzoo.tasks.metrics import Metric
from ticketzoo.tasks.own import Evaluate, Loss
from ticketzoo.ticket import Ticket
from ticketzoo.util.arguments import checked


@checked
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
    until: Literal["decided"] | None = None,
    max_seeds: int | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    executor: str = "local",
    progress: bool | Progress = True,
    log: str | None = None,
) -> Ticket:
    """Find a lottery ticket by a recipe, or of your own model and data, package it, and return it at its best level.

        ticketzoo.find(model=MyNetwork, train=(images, labels), evaluate=(test_images, test_labels), seeds=[0])

    Args:
        recipe: a file, the name of a shipped recipe, or a `FindRecipe`; in place of model and data.
        set: overrides of a recipe such as `"seeds=[0]"`.
        model: makes the network with fresh weights, a new one at each call.
        train: examples to train on: tensors or numpy arrays (inputs, targets), [n, ...] each, or a data set of pairs.
        evaluate: held-out examples in the same form, or `evaluate(model)`, which gives numbers by name.
        validation: further held-out examples for early stopping curves; none by default.
        loss: `loss(outputs, targets)`, a batch's mean; default: cross-entropy of integer targets, or squared error.
        metric: decides the verdict; default: `accuracy` of integer targets, or `loss`. Unregistered ones as a `Metric`.
        prune: a criterion by name, or the keys of a recipe's `finder.prune`.
        finder: the other keys of a recipe's section `finder`: `method`, `levels`, `rate`, `rewind`, `include`, ...
        training: keys of the section `training`; default: 20 epochs in batches of 128, SGD at a learning rate of 0.1.
        arms: what is measured beside the ticket; random positions are drawn twice a seed.
        seeds: one replicate each.
        until: "decided" adds seeds, in looks at 3, 5, 7 and 10, until every level is matching or below.
        max_seeds: seeds of the last look; 10 by default.
        name: of the ticket; by default `<class of the network>.own-<method>` in lower case.
        out: working folder, default `runs/<name>`; the ticket's is `<name>` in it. A stopped run goes on there.
        device: such as `"cuda"`; by default a GPU where there is one, or what the executor chooses.
        executor: `local`, `stacked` for like trainings at once on one device, or `ray` for a cluster.
        progress: whether to show progress, or a listener: derive it from `ticketzoo.runs.progress.Quiet`.
        log: where curves of trainings go: `csv`, `tensorboard`, `trackio` or `wandb`; nowhere by default.

    Raises:
        TicketzooError: what was asked for cannot be, `evaluate` is `train` or a slice of it, or the run cannot go on.
    """
    stated = until_keys(until, max_seeds)
    own = OwnRun(model, train, evaluate, validation, loss, metric, prune, finder, training, arms, seeds, stated, name)
    with running(device, executor, progress) as where:
        own.check(recipe)
        return own.find(out, where, log) if recipe is None else find_by_recipe(recipe, set, stated, out, where, log)
