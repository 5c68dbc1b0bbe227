"""What the command line prints: in any encoding and width, and as JSON."""

import io
import json
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_zoo import save_ticket

from ticketzoo import __version__
from ticketzoo.cli.main import _Lines, _lines_on_standard_error, main
from ticketzoo.cli.output import show_table
from ticketzoo.evaluation.tables import Table

NAMES = [
    "resnet-20.fashion-mnist-imp-reduced",
    "resnet-20.fashion-mnist-imp-reduced-40it-with-a-name-that-is-longer-yet",
]


class Screen(io.TextIOWrapper):
    """Standard output in some encoding; a terminal if `columns` is set."""

    def __init__(self, encoding: str, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def zoo(tmp_path: Path) -> str:
    for name in NAMES:
        save_ticket(tmp_path / name, name=name, source={"dataset": "łódź"})
    return str(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, screen: Screen, *arguments: str, status: int = 0) -> str:
    monkeypatch.setattr(sys, "argv", ["ticketzoo", *arguments])
    monkeypatch.setattr(sys, "stdout", screen)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    return screen.text


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "cp437", "ascii"])
@pytest.mark.parametrize("command", ["list", "search", f"info {NAMES[0]}"])
def test_any_encoding_shows_a_table(zoo: str, command: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, Screen(encoding), *command.split(), "--registry", zoo)
    assert NAMES[0] in shown
    assert ("łódź" if encoding == "utf-8" else "\\u0142") in shown


def test_what_an_encoding_lacks_has_words_in_ascii(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    screen = Screen("ascii")
    run(monkeypatch, screen, "--version")
    print("98.1 \N{PLUS-MINUS SIGN} 0.2 \N{HORIZONTAL ELLIPSIS}", file=screen)
    assert screen.text == f"ticketzoo {__version__}\n98.1 +- 0.2 ...\n"


@pytest.mark.parametrize("columns", [20, 80, 132, 250])
def test_a_name_is_never_cut(zoo: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    words = run(monkeypatch, Screen("utf-8", terminal=True), "list", "--registry", zoo).split()
    assert [word for word in words if word.startswith("resnet-20.")] == NAMES
    lines = run(monkeypatch, Screen("utf-8"), "list", "--registry", zoo).splitlines()
    for name in NAMES:
        assert [" 90.00% " in line and "not measured" in line for line in lines if f" {name} " in line] == [True]


@pytest.mark.parametrize(("columns", "shown"), [(44, "level 4\n    ticket 98.44 (96.52 to 100.00)"), (60, "┃")])
def test_a_table_of_numbers_is_folded_between_words_or_told_line_by_line(
    columns: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Screen("utf-8", terminal=True)
    monkeypatch.setattr(sys, "stdout", screen)
    number = "98.44 (96.52 to 100.00)"
    show_table(Table("Accuracy", ("level", "ticket", "dense"), "rrr", (("4", number, number),)), folds=0.75)
    assert shown in screen.text
    assert screen.text.count("98.44") == screen.text.count("(96.52") == 2
    assert ("100.00);" in screen.text) == (columns == 44)  # cells may hold commas


def test_a_failure_is_a_document_with_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, status, said in (
        (["info", "./nothing"], 1, "nothing: there is no such folder"),
        (["info", "--no-such-option", "x"], 2, "--no-such-option"),
        (["find"], 2, "RECIPE"),
    ):
        document = json.loads(run(monkeypatch, Screen("utf-8"), *arguments, "--json", status=status))
        assert (document["ok"], document["status"]) == (False, status)
        assert said in document["error"]


def test_what_is_said_and_warned_of_is_a_line_each_while_a_command_runs(capfd: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("ticketzoo")
    level = log.level
    with _lines_on_standard_error():
        log.info("photos: train: 5 images")
        log.warning("photos: left out: 1 hidden\nfiles")
    assert capfd.readouterr().err == (
        "ticketzoo: photos: train: 5 images\nticketzoo: warning: photos: left out: 1 hidden files\n"
    )
    assert log.level == level
    assert not any(isinstance(handler, _Lines) for handler in log.handlers)
