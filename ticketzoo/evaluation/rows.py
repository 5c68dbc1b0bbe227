"""Measured rows, as results.jsonl holds them, from the record of a training. `ticketzoo.ticket.rows` types them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from ticketzoo.evaluation.arms import CHANCE, DENSE
from ticketzoo.evaluation.controls import Labels
from ticketzoo.evaluation.metrics import DEFAULT
from ticketzoo.recipe import Config, dump_recipe
from ticketzoo.tasks.metrics import Metric
from ticketzoo.tasks.task import GuessableTask, Task
from ticketzoo.ticket.rows import Row as Row
from ticketzoo.ticket.rows import check_rows as check_rows
from ticketzoo.training.record import Record
from ticketzoo.util.files import write_atomically

_SPLITS = ("test", "validation", "train")


def rows_of(record: Record, metric: Metric, **labels: Unpack[Labels]) -> list[Row]:
    """Return one row a metric, after the last step (`at` "final") and at the step of minimum validation loss ("best").

    `metric` is the one by which the task compares arms; unless it is accuracy, its rows on the test split also have
    `decides`, true, and where less is better `higher_is_better`, false. `labels` are the columns that say what was
    trained. Rows of a network that was measured as it is, after no update, have `trained`, false.
    """
    untrained = {"trained": False} if record.final.get("step") == 0 else {}
    decides = f"test_{metric.name}"
    marks = {"decides": True} | ({} if metric.higher_is_better else {"higher_is_better": False})
    return [
        {**labels, "at": at, "step": point["step"], "metric": name, "value": point[name]}
        | (marks if name == decides != DEFAULT else {})
        | untrained
        for at, point in (("final", record.final), ("best", record.best))
        for name in sorted(point.keys() - {"step"}, key=_order)
    ]


def task_rows(record: Record, task: Task, labels: Labels) -> list[Row]:
    """Return the rows of a training on `task`; beside those of dense the best guess without a look at the input.

    Rows of the guess have the arm `chance` and step 0. Those of the deciding metric say how many test examples there
    are (`examples`) and which data they are of (`data`), where the task knows it.
    """
    known = {"examples": task.examples.get("test") or None, "data": task.source.get("fingerprint")}
    about = {key: value for key, value in known.items() if value is not None}
    decides = f"test_{task.metric.name}"
    rows = [row | about if row["metric"] == decides else row for row in rows_of(record, task.metric, **labels)]
    guesses = task.guesses("test").get(task.metric.name) if isinstance(task, GuessableTask) else None
    if labels["arm"] != DENSE or not guesses:
        return rows
    floor = record.final.get(f"test_{task.metric.floor}")
    guesses = guesses if floor is None else [*guesses, floor]
    best = max(guesses) if task.metric.higher_is_better else min(guesses)
    return rows + [{**row, "arm": CHANCE, "step": 0, "value": best} for row in rows if row["metric"] == decides]


def carried_to(rows: Iterable[Mapping[str, Any]], fingerprint: str | None, names: Collection[str]) -> list[str]:
    """Return the targets among `rows` that are not the data a ticket was found on, or are not known to be.

    Rows state the fingerprint of their data. Those of earlier versions do not: their targets are told by name.

    Args:
        rows: of results.jsonl.
        fingerprint: of the data that the ticket was found on.
        names: that a target of these data has.
    """
    stated: dict[str, set[str]] = {}
    for row in rows:
        known = stated.setdefault(row["target"], set())
        if fingerprint is not None and row.get("data") is not None:
            known.add(row["data"])
    return sorted(name for name, data in stated.items() if (data != {fingerprint} if data else name not in names))


def _order(metric: str) -> tuple[int, str]:
    """Order test first, then validation, then training."""
    split, _, name = metric.partition("_")
    return _SPLITS.index(split), name


def rows_as_jsonl(rows: list[Row]) -> str:
    """Return the text of results.jsonl: a row a line."""
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def write_results(
    out: Path, recipe: Config, rows: list[Row], conclusions: Mapping[str, object], sections: Sequence[str]
) -> list[str]:
    """Write recipe.yaml, results.jsonl, `conclusions` and report.md, and return their names in this order.

    Args:
        out: folder to write into.
        recipe: the run's.
        rows: of results.jsonl.
        conclusions: JSON by file name.
        sections: of the report, as Markdown.
    """
    texts = {
        "recipe.yaml": dump_recipe(recipe),
        "results.jsonl": rows_as_jsonl(rows),
        **{name: json.dumps(content, indent=2) + "\n" for name, content in conclusions.items()},
        "report.md": "\n\n".join(sections) + "\n",
    }
    for name, text in texts.items():
        write_atomically(out / name, text.encode())
    return list(texts)
