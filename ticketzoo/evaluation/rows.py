"""Measured rows, as results.jsonl holds them, from the record of a training."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from pydantic import ValidationError

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.controls import Labels
from ticketzoo.evaluation.metrics import DEFAULT
from ticketzoo.recipe import Config, dump_recipe
from ticketzoo.tasks.metrics import Metric
from ticketzoo.ticket.parts import Count, Level, Part, Seed, Sparsity, Text
from ticketzoo.training.record import Record
from ticketzoo.util.files import write_atomically

Row = dict[str, Any]
"""One line of `results.jsonl`: the columns of `MeasuredRow`, and what a later version may add."""

_SPLITS = ("test", "validation", "train")


class MeasuredRow(Part):
    """The columns of a row and their bounds.

    Attributes:
        at: "final" for the end of training, "best" for the step of minimum validation loss.
        step: updates after which it was measured.
        metric: a split and a name, such as `test_accuracy`.
        value: the number; a fraction, never in percent. Only the metric that is asked for needs to be finite.
        decides: True for the metric by which arms are compared on the target, unless that is the test accuracy.
        higher_is_better: False for a deciding metric of which less is better.
    """

    ticket: Text
    level: Level
    sparsity: Sparsity
    arm: Text
    target: Text
    seed: Seed
    draw: Count
    at: Text
    step: Count
    metric: Text
    value: Any
    decides: bool = False
    higher_is_better: bool = True


def check_rows(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return `rows`, which may come from a stranger, as a list. Raises TicketError for one that is no `MeasuredRow`."""
    checked = list(rows)
    for number, row in enumerate(checked, 1):
        try:
            MeasuredRow.model_validate(dict(row))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise TicketError(f"results: row {number}: {where}: {first['msg']}; measure it again") from None
    return checked


def rows_of(record: Record, metric: Metric, **labels: Unpack[Labels]) -> list[Row]:
    """Return one row a metric, after the last step (`at` "final") and at the step of minimum validation loss ("best").

    `metric` is the one by which the task compares arms; unless it is accuracy, its rows on the test split also have
    `decides`, true, and where less is better `higher_is_better`, false. `labels` are the columns that say what was
    trained.
    """
    decides = f"test_{metric.name}"
    marks = {"decides": True} | ({} if metric.higher_is_better else {"higher_is_better": False})
    return [
        {**labels, "at": at, "step": point["step"], "metric": name, "value": point[name]}
        | (marks if name == decides != DEFAULT else {})
        for at, point in (("final", record.final), ("best", record.best))
        for name in sorted(point.keys() - {"step"}, key=_order)
    ]


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
