"""Measure a trained ticket on held-out data, beside dense and the best constant guess."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ticketzoo.data.remarks import numbering_words
from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.evaluation.again import rows_on_source
from ticketzoo.evaluation.metrics import show, words
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.tables import Table
from ticketzoo.models import load_model_state
from ticketzoo.targets.source import source_of
from ticketzoo.tasks.metrics import metric_called
from ticketzoo.tasks.task import GuessableTask, Task
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.build import build_architecture
from ticketzoo.util.text import show_names

_log = logging.getLogger("ticketzoo")


@dataclass(frozen=True)
class Evaluation:
    """Scores on held-out data, by metric.

    Attributes:
        data: name of the task's data.
        split: `test` or `validation`.
        examples: in it.
        deciding: the metric by which the task compares.
        ticket: of the trained sparse network.
        dense: of the trained dense network of the same seed, measured where the ticket holds it; else what its rows
            say, which are of the recipe's own data.
        guess: of the best constant guess, for the metrics that have one.
    """

    data: str
    split: str
    examples: int
    deciding: str
    ticket: dict[str, float]
    dense: dict[str, float] | None
    guess: dict[str, float]

    def table(self) -> Table:
        """Return the scores, a row for each network."""
        scores = {"ticket": self.ticket, "dense": self.dense or {}, "constant guess": self.guess}
        metrics = [f"{self.split}_{name}" for name in self.ticket]
        rows = [
            (who, *(show(key, of[name]) if name in of else "" for key, name in zip(metrics, self.ticket, strict=True)))
            for who, of in scores.items()
            if of
        ]
        caption = f"{self.data}, {self.examples:,} examples of {self.split}; fractions and correlations x 100."
        return Table(caption, ("network", *map(words, metrics)), "l" + "r" * len(metrics), tuple(rows))


def evaluate_ticket(
    ticket: Ticket,
    *,
    data: str | Path | None = None,
    overrides: Sequence[str] = (),
    split: str = "test",
    device: torch.device | None = None,
) -> Evaluation:
    """Measure the trained network that `ticket` holds on the task of its recipe.

    Args:
        ticket: with trained weights (`package_trained` in its recipe), or one that is used as it is.
        data: folder or Hub id of other data in place of the recipe's.
        overrides: of the recipe, such as `task.dataset.test_split=validation`.
        split: `test`, or `validation` where there is one.
        device: where to evaluate; the CPU by default.

    Raises:
        TicketError: the ticket holds no trained weights of its level, or no recipe, or a row of it lacks columns.
        RecipeError: its data are a folder of its author's, and none is given.
        DataError: the data cannot be read.
    """
    device = device or torch.device("cpu")
    if ticket.trained_state is None and ticket.config.use != "as-is":
        remedy = "find it again with --set package_trained=true: what is trained already is not trained again"
        raise TicketError(f"{ticket.name}: holds no trained weights of level {ticket.level}; {remedy}")
    if data is not None:
        _log.info(
            "%s: nothing is trained: a split to train on is read for its classes, and for what is drawn of it", data
        )
    _, task = source_of(ticket, data=data, overrides=overrides, trained=False)
    _compare_classes(ticket, task)
    if split not in ("test", "validation") or not task.examples[split]:
        raise RecipeError(f"split {split!r}: the data of {task.name} have no such split; give test or validation")
    guesses = task.guesses(split) if isinstance(task, GuessableTask) else {}
    return Evaluation(
        task.name,
        split,
        task.examples[split],
        task.metric.name,
        task.evaluate(_network(ticket, device), split, device),
        _dense(ticket, task, split, device, its_own=data is None and not overrides),
        {name: (max if metric_called(name).higher_is_better else min)(scores) for name, scores in guesses.items()},
    )


def _compare_classes(ticket: Ticket, task: Task) -> None:
    """Tell of classes with other names than the ticket's, which are compared by number."""
    its, here = ticket.config.source.classes, list(task.source.get("classes") or ())
    if its is None and numbering_words(here):
        its = [str(number) for number in range(len(here))]
    if its is not None and its != here:
        shown = show_names(here, 5) if here else "numbers from 0"
        words = "%s: its classes are %s, and those of %s are %s: scores take the first for the first, and so on"
        _log.warning(words, ticket.name, show_names(its, 5), task.name, shown)


def _network(ticket: Ticket, device: torch.device) -> nn.Module:
    network = build_architecture(ticket.config.architecture, 0)
    load_model_state(network, ticket.trained_state or ticket.rewind_state)
    return network.to(device).eval()


def _dense(ticket: Ticket, task: Task, split: str, device: torch.device, *, its_own: bool) -> dict[str, float] | None:
    if 0 in [entry.level for entry in ticket.levels] and (dense := ticket.at(level=0)).trained_state is not None:
        return task.evaluate(_network(dense, device), split, device)
    if not its_own:
        return None
    said = {"arm": "dense", "seed": ticket.seed, "at": "final", "draw": 0}
    own = rows_on_source(check_rows(ticket.results), ticket.config, ticket.recipe_text)
    rows = [row for row in own if all(row[key] == value for key, value in said.items())]
    scores = {row["metric"]: row["value"] for row in rows}
    return {key.removeprefix(f"{split}_"): value for key, value in scores.items() if key.startswith(split)} or None
