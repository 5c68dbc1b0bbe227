import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from toy_ticket import toy_ticket

from ticketzoo.data.tensor_cache import write_cached
from ticketzoo.errors import TicketError
from ticketzoo.ticket.export import export_ticket
from ticketzoo.util.files import write_atomically, write_tensors


@pytest.fixture(params=[0o022, 0o077])
def mask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_files_have_the_mode_that_the_umask_gives(mask: int, tmp_path: Path) -> None:
    tensors = {"weight": torch.zeros(3)}
    write_atomically(tmp_path / "document", b"{}")
    write_tensors(tmp_path / "tensors", tensors)
    write_cached(tmp_path / "cached", tensors)
    export_ticket(toy_ticket(), "masks", tmp_path / "exported")
    toy_ticket().save_pretrained(tmp_path / "ticket")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 7
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {
        path.name: oct(0o666 & ~mask) for path in files
    }


def test_an_export_makes_its_folder_or_says_in_one_line_why_not(tmp_path: Path) -> None:
    export_ticket(toy_ticket(), "masks", tmp_path / "a" / "b" / "masks.safetensors")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["masks.safetensors"]
    (tmp_path / "file").write_text("")
    with pytest.raises(TicketError, match=r"file/x: cannot be written: .*(exists|directory); choose another path$"):
        export_ticket(toy_ticket(), "masks", tmp_path / "file" / "x")
