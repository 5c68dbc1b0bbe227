from pathlib import Path

import pytest
from text_folders import write_tokenizer


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches of this test's own."""
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of letters, in a folder."""
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
