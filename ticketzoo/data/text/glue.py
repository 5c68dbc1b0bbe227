"""The tasks of GLUE (Wang et al. 2019, table 1) by the names of their configurations on the Hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MetricName = Literal["accuracy", "f1", "matthews", "pearson", "spearman"]


@dataclass(frozen=True)
class GlueTask:
    """Its columns of text, and the metric by which it is compared, as Chen et al. 2020 do."""

    columns: tuple[str, ...]
    metric: MetricName


GLUE = {
    "cola": GlueTask(("sentence",), "matthews"),
    "sst2": GlueTask(("sentence",), "accuracy"),
    "mrpc": GlueTask(("sentence1", "sentence2"), "accuracy"),
    "qqp": GlueTask(("question1", "question2"), "accuracy"),
    "stsb": GlueTask(("sentence1", "sentence2"), "pearson"),
    "mnli": GlueTask(("premise", "hypothesis"), "accuracy"),
    "qnli": GlueTask(("question", "sentence"), "accuracy"),
    "rte": GlueTask(("sentence1", "sentence2"), "accuracy"),
    "wnli": GlueTask(("sentence1", "sentence2"), "accuracy"),
}


def known_columns(found: Sequence[str]) -> tuple[str, ...] | None:
    """Return the columns of a GLUE task that are all among `found`; of a pair rather than of one of its texts."""
    fitting = [task.columns for task in GLUE.values() if set(task.columns) <= set(found)]
    return max(fitting, key=len, default=None)
