"""Finished trainings by a rule that has changed since: they are due again, at the address they have."""

from collections.abc import Mapping
from typing import Any

from ticketzoo.distributed import processes
from ticketzoo.training.job import Job
from ticketzoo.training.parametrisation import STATISTICS
from ticketzoo.training.scores import Scores

_KEY, _RULE = "batch_norm", "whole batches"


def rules_of(job: Job) -> dict[str, str]:
    """Return what a finished training notes of the rules that it went by; empty where none has ever changed."""
    return {_KEY: _RULE} if processes.count() > 1 and _gathers(job) else {}


def outdated(job: Job, environment: Mapping[str, Any]) -> str:
    """Return in words why a finished training is due again; empty where it is not.

    BatchNorm statistics that masks by scores, or networks as they are, gathered on several processes were those of the
    first process's part of each batch. They are those of whole batches, as on one process.

    Args:
        job: that it is of.
        environment: that it was trained in, as its record has it.
    """
    count = environment.get("processes", 1)
    exact = environment.get(_KEY) == _RULE or (job.training.sync_batchnorm and job.learn != STATISTICS)
    if count == 1 or exact or not _gathers(job):
        return ""
    return f"was trained on {count} processes by a version whose BatchNorm statistics were those of the first one alone"


def _gathers(job: Job) -> bool:
    gathers = isinstance(job.learn, Scores) or job.learn == STATISTICS
    return gathers and any(name.endswith("running_mean") for name in job.state)
