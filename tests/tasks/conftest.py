from pathlib import Path

import pytest
from text_folders import write_tokenizer


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of letters, in a folder."""
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
