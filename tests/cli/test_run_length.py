"""How long a run takes, as it says itself when its first training shows it."""

import io
import re
import sys

import pytest

from ticketzoo.api.progress import RunProgress
from ticketzoo.cli.output import show_table
from ticketzoo.evaluation.tables import Table
from ticketzoo.training.record import Record


def told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if "at most" in line]


def test_it_says_so_once_by_the_pace_of_the_first_training(capfd: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with RunProgress(clock=lambda: now[0]) as progress:
        progress.planned(45)
        progress.step("seed 0 level 0/15", 10, 1000)
        now[0] = 1.0
        progress.step("seed 0 level 0/15", 20, 1000)
        assert told(capfd) == []
        now[0] = 3.0
        progress.step("seed 1 level 0/15", 50, 1000)  # one that is trained at the same time says nothing of the first
        progress.step("seed 0 level 0/15", 40, 1000)
        # 30 iterations in 3 s: 100 s a training
        said = "ticketzoo: at most about 1 h 15 min for 45 trainings one after the other"
        assert told(capfd) == [f"{said}, by the first iterations of seed 0 level 0/15; --plan times each kind"]
        now[0] = 9.0
        progress.step("seed 0 level 0/15", 50, 1000)
        assert told(capfd) == []


def test_evaluations_are_called_so_and_have_no_plan(capfd: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with RunProgress(clock=lambda: now[0], of="evaluation") as progress:
        progress.planned(45)
        for step, seconds in ((10, 0.0), (40, 3.0)):
            now[0] = seconds
            progress.step("seed 0 levels 0 and 1", step, 1000)
        about = "ticketzoo: at most about 1 h 15 min for 45 evaluations one after the other"
        assert told(capfd) == [f"{about}, by the first iterations of seed 0 levels 0 and 1"]


def test_a_training_that_is_soon_done_speaks_for_the_rest(capfd: pytest.CaptureFixture[str]) -> None:
    final = {"step": 8, "test_accuracy": 0.5}
    for trainings, lines in ((100, 1), (10, 0)):  # 50 s are worth a line, 5 s are not
        with RunProgress(clock=lambda: 0.0) as progress:
            progress.planned(trainings)
            progress.finished("seed 0", Record(final=final, seconds=0.5), "accuracy", trained=False)
            progress.finished("seed 1", Record(final=final, seconds=0.5), "accuracy", trained=True)
        assert len(told(capfd)) == lines


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


COLOURED = re.compile(r"\x1b\[(?:\d+;)*[34]\d(?:;|m)")
LONG = "runs/lenet-300-100.mnist-imp-frankle2019-with-a-long-name"


@pytest.mark.parametrize("columns", [60, 200])
def test_the_folder_of_a_run_is_never_cut(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    rows = ((LONG, "find", "finished", "1 MB"), (f"{LONG}-2", "find", "5 of 8 trainings, running", "2 MB"))
    show_table(Table("2 runs in runs", ("folder", "kind", "state", "size"), "lllr", rows))
    text = screen.getvalue()
    words = text.split()
    assert LONG in words and f"{LONG}-2" in words and not COLOURED.search(text)
    assert "5 of 8 trainings, running" in " ".join(words).replace(" │ ", " ")
