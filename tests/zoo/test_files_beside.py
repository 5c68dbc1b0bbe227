"""Files and keys that are no part of a ticket are noted; what is in a file's way is said."""

import os
import re
from pathlib import Path

import pytest
from toy_ticket import edit_config
from toy_zoo import make_ticket

import ticketzoo
from ticketzoo.errors import TicketError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return make_ticket().save_pretrained(tmp_path / "zoo" / "lenet.digits-imp")


def notes(folder: Path) -> list[str]:
    lines = [str(check) for check in ticketzoo.verify(folder)]
    usual = ("recipe.yaml does not say it", "says sparsity")
    return [line for line in lines if "NOTE" in line and not any(one in line for one in usual)]


def test_files_that_are_no_part_of_a_ticket_are_noted(saved: Path) -> None:
    assert notes(saved) == ["README.md: NOTE: there is none"]
    (saved / "README.md").mkdir()
    for name in ("evil.py", "better.png", "seed-0/more.bin"):
        (saved / name).write_bytes(b"x")
    assert notes(saved) == [
        "README.md: NOTE: is no file, and was not compared",
        "lenet.digits-imp: NOTE: holds what is no part of the ticket: better.png, evil.py, seed-0/more.bin",
    ]


def test_keys_that_nothing_reads_are_noted(saved: Path) -> None:
    edit_config(saved, lambda t: [t.update(award="best paper"), t["levels"][0].update(rank=1)])
    assert "ticket.json: NOTE: has keys that this version does not know: award, levels.0.rank" in notes(saved)


def test_a_key_that_is_given_twice_is_refused(saved: Path) -> None:
    path = saved / "ticket.json"
    path.write_text(path.read_text().replace('"format": 1,', '"format": 1, "format": 1,', 1))
    with pytest.raises(TicketError, match="a key appears twice"):
        ticketzoo.verify(saved)


@pytest.mark.parametrize("name", ["ticket.json", "results.jsonl"])
def test_what_is_in_the_way_is_said(saved: Path, name: str) -> None:
    (saved / name).unlink()
    (saved / name).mkdir()
    with pytest.raises(TicketError, match=rf"{re.escape(name)}: is a folder, not a file"):
        ticketzoo.verify(saved)
    (saved / name).rmdir()
    os.mkfifo(saved / name)
    with pytest.raises(TicketError, match=rf"{re.escape(name)}: is a FIFO, not a file"):
        ticketzoo.verify(saved)


def test_a_ticket_json_that_is_not_utf_8(saved: Path) -> None:
    (saved / "ticket.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(TicketError, match=r"ticket.json: not valid JSON: byte 10 is not UTF-8"):
        ticketzoo.verify(saved)
