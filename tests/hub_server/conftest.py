from pathlib import Path

import pytest

from . import environment

environment.prepare()

from .fixtures import hub  # noqa: E402, F401
from .samples import CARD, MASKS  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "ticket"
    (root / "seed-0").mkdir(parents=True)
    (root / "README.md").write_text(CARD)
    (root / "ticket.json").write_text('{"format": 1}')
    (root / "curve.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (root / "seed-0" / "masks.safetensors").write_bytes(MASKS)
    return root
