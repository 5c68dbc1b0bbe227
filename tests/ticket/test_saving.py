import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from toy_ticket import ROW, toy_ticket

from ticketzoo.errors import TicketError
from ticketzoo.ticket import Ticket


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_new_ticket_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    toy_ticket().save_pretrained(folder)
    toy_ticket(package_from=2, results=(), recipe_text=None).save_pretrained(folder)
    assert [level.level for level in Ticket.from_pretrained(folder).levels] == [2, 4]
    assert not (folder / "results.jsonl").exists() and not (folder / "recipe.yaml").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_ticket_can_be_saved_over_itself(tmp_path: Path) -> None:
    folder = toy_ticket().save_pretrained(tmp_path / "toy")
    before = files(folder)
    Ticket.from_pretrained(folder).save_pretrained(folder)
    assert files(folder) == before


def test_what_is_no_part_of_the_ticket_stays(tmp_path: Path) -> None:
    folder = toy_ticket().save_pretrained(tmp_path / "toy", extras={"README.md": b"a card", "accuracy.png": b"old"})
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("[core]")
    (folder / "README.md").write_text("edited by hand")
    toy_ticket().save_pretrained(folder, extras={"accuracy.png": b"new"})
    found = files(folder)
    assert found[".git/config"] == b"[core]"
    assert found["README.md"] == b"edited by hand"
    assert found["accuracy.png"] == b"new"


def test_a_full_disk_leaves_the_old_ticket_and_nothing_else(tmp_path: Path) -> None:
    folder = toy_ticket(results=()).save_pretrained(tmp_path / "toy")
    before = files(folder)
    with disk_full_after(2000), pytest.raises(TicketError, match="toy: cannot write the ticket: File too large"):
        toy_ticket(results=[ROW | {"seed": seed} for seed in range(1000)]).save_pretrained(folder)
    assert files(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_full_disk_leaves_no_half_of_a_new_ticket(tmp_path: Path) -> None:
    with disk_full_after(500), pytest.raises(TicketError, match="File too large"):
        toy_ticket().save_pretrained(tmp_path / "toy")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_the_old_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toy_ticket(results=()).save_pretrained(tmp_path / "toy")
    before = files(folder)

    def interrupt(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("ticketzoo.ticket.write.states_to_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        toy_ticket().save_pretrained(folder)
    assert files(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TicketError, match="/proc/toy: cannot write the ticket: "):
        toy_ticket().save_pretrained("/proc/toy")
    (tmp_path / "file").touch()
    with pytest.raises(TicketError, match="file: is a file, not a folder"):
        toy_ticket().save_pretrained(tmp_path / "file")


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(TicketError, match="holds something else than a ticket"):
        toy_ticket().save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["ticket.json", "../evil", "a/b", "", ".hidden", "seed-7"])
def test_extras_have_plain_names_of_their_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(TicketError, match="cannot be the name of an extra file"):
        toy_ticket().save_pretrained(tmp_path / "toy", extras={name: b""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "../evil", "ticket '../evil': name: String should match pattern"),
        ("task", "Image Classification", "task: String should match pattern"),
        ("rewind_step", -1, "rewind.packed.step: Input should be greater than or equal to 0"),
        ("pruning", {"method": "imp", "scope": "global", "rate": 1.5}, "pruning.rate"),
        ("verdict", {"label": "best"}, "verdict.rule: Field required"),
        ("results", [ROW | {"value": float("nan")}], "results: not JSON"),
        ("results", [ROW | {"more": {1, 2}}], "results: not JSON"),
        ("results", [ROW, {"value": "much"}], "results: row 2: value: 'much' is no finite number"),
        ("recipe_text", "a: &a [*a]", "recipe.yaml: not a recipe: line 1: the value contains itself"),
    ],
)
def test_fields_that_ticket_json_may_not_hold(field: str, value: object, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        toy_ticket(**{field: value})
