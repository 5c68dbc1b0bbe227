"""Measured rows: what a training's record says, in the form of results.jsonl."""

import json
from typing import Any

from ticketzoo.training.loop import Record

Row = dict[str, Any]

METRICS = ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "train_loss")


def rows_of(record: Record, **labels: str | float) -> list[Row]:
    """One row a metric, after the last step (`at` "final") and at the step of minimum validation loss ("best").

    `labels` are the columns that say what was trained: ticket, level, sparsity, arm, target, seed, draw.
    """
    return [
        {**labels, "at": at, "step": point["step"], "metric": metric, "value": point[metric]}
        for at, point in (("final", record.final), ("best", record.best))
        for metric in METRICS
        if metric in point
    ]


def rows_as_jsonl(rows: list[Row]) -> str:
    """The text of results.jsonl: a row a line."""
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
