import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for tiny tensors, and several processes at once, threads only wait

from hub_server import environment

environment.prepare()

from hub_server.fixtures import hub  # noqa: E402, F401


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this test caches of its own."""
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    return tmp_path / "cache"
