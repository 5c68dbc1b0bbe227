import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for tiny tensors, and several processes at once, threads only wait

from hub_server import environment

environment.prepare()

from hub_server.fixtures import hub  # noqa: E402, F401

from ticketzoo.util.registry import Registry  # noqa: E402

settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this test caches of its own."""
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _tables_as_they_were() -> Iterator[None]:
    """Take out of the tables what a test has registered in them."""
    from ticketzoo.evaluation.arms import ARMS
    from ticketzoo.finding.method import METHODS
    from ticketzoo.models.architecture import ARCHITECTURES
    from ticketzoo.pruning.criteria import CRITERIA
    from ticketzoo.pruning.schedule import SCHEDULES
    from ticketzoo.pruning.scope import SCOPES
    from ticketzoo.pruning.structure import STRUCTURES
    from ticketzoo.runs.executor import EXECUTORS
    from ticketzoo.tasks import TASKS
    from ticketzoo.tasks.metrics import METRICS

    tables: list[Registry[Any]] = [ARMS, METHODS, ARCHITECTURES, TASKS, METRICS, EXECUTORS]
    tables += [CRITERIA, STRUCTURES, SCOPES, SCHEDULES]
    before = [dict(table._entries) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table._entries = entries
