import shutil
from pathlib import Path

import pytest
from toy_ticket import toy_ticket


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a toy ticket, to be left as it is."""
    return toy_ticket().save_pretrained(tmp_path_factory.mktemp("sound") / "toy")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "toy"))
