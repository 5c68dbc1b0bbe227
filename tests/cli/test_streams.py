"""Standard streams that are closed, full or no longer read: one line or none, the right status, never a traceback."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_zoo import save_ticket

from ticketzoo.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


class Refusing(io.StringIO):
    """A stream that takes what is written, as a buffer does, and refuses it when it is flushed."""

    def __init__(self, reason: int) -> None:
        super().__init__()
        self.reason = reason

    def flush(self) -> None:
        raise OSError(self.reason, os.strerror(self.reason))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ticketzoo", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def zoo(tmp_path: Path) -> str:
    save_ticket(tmp_path / "lenet.digits-imp")
    return str(tmp_path)


@pytest.mark.parametrize("command", ["list", "search", "info lenet.digits-imp", "list --json"])
def test_a_closed_standard_output(zoo: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run(monkeypatch, *command.split(), "--registry", zoo) == 0


def test_a_closed_standard_error_leaves_messages_out_of_the_output(
    zoo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert run(monkeypatch, "info", "nothing", "--registry", zoo) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_disk_is_one_line(
    zoo: str, more: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing(errno.ENOSPC))
    assert run(monkeypatch, "list", "--registry", zoo, *more) == 1
    assert capsys.readouterr().err == "ticketzoo: standard output: No space left on device; free space and run again\n"


def test_a_reader_that_has_seen_enough_is_told_nothing(
    zoo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing(errno.EPIPE))
    assert run(monkeypatch, "list", "--registry", zoo, "--json") == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("--version >&-", 0, ""),
        ("--version >/dev/full", 1, "ticketzoo: standard output: No space left on device; free space"),
        ("nonsense 2>&-", 2, ""),
    ],
)
def test_in_a_shell(how: str, status: int, said: str) -> None:
    """The process's own streams, which Python flushes once more at its end."""
    command = f"exec {sys.executable} -m ticketzoo {how}"
    place = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, shell=True, env=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == bool(said)
