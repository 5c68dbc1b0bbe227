"""Measured rows as tables and figures, and what notebooks show of a run."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import ticketzoo
from ticketzoo.api.progress import RunProgress
from ticketzoo.errors import TicketError
from ticketzoo.evaluation.verdict import judge_all
from ticketzoo.targets.report import TransferReport
from ticketzoo.training.record import Record

SPARSITY = {0: 0.0, 1: 0.5}


def rows(ticket: str = "lenet", target: str = "mnist") -> list[dict[str, Any]]:
    values = {("dense", 0): 0.98, ("ticket", 0): 0.98, ("ticket", 1): 0.97, ("random_mask", 1): 0.9}
    return [
        {
            "ticket": ticket, "level": level, "sparsity": SPARSITY[level], "arm": arm, "target": target, "seed": seed,
            "draw": 0, "at": "final", "step": 100, "metric": "test_accuracy", "value": value + seed / 1000,
        }
        for (arm, level), value in values.items() for seed in range(3)
    ]  # fmt: skip


def test_of_one_ticket_every_arm_is_shown() -> None:
    table = ticketzoo.table(rows())
    assert table.columns == ("level", "sparsity", "ticket", "dense", "random mask", "verdict")
    assert [line[2] for line in table.rows] == ["98.10 ± 0.25", "97.10 ± 0.25"]
    figure = ticketzoo.plot(rows())
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_ylabel() == "Test accuracy (%)"


def test_of_several_tickets_the_difference_from_dense_is_shown() -> None:
    measured = [*rows("one"), *rows("two", "fashion-mnist")]
    table = ticketzoo.table(measured)
    assert table.columns == ("ticket", "level", "sparsity", "fashion-mnist", "mnist")
    assert [line[:2] + line[3:] for line in table.rows] == [
        ("one", "1", "", "-1.00 ± 0.00"),
        ("two", "1", "-1.00 ± 0.00", ""),
    ]
    assert isinstance(ticketzoo.plot(measured), Figure)
    one = ticketzoo.table([*rows(), *rows(target="emoji")], target="emoji")
    assert "on emoji" in one.caption


def test_what_was_not_measured_is_said() -> None:
    with pytest.raises(TicketError, match=r"^nothing was measured: there are no rows of results\.jsonl$"):
        ticketzoo.table([])
    with pytest.raises(TicketError, match=r"^target: nothing was measured on 'mnits'; there is mnist$"):
        ticketzoo.plot(rows(), target="mnits")


def test_a_transfer_report_in_a_notebook(tmp_path: Path) -> None:
    measured = rows("<b>")
    report = TransferReport(
        measured, judge_all(measured, transfer={}, pretrained=[]), ticketzoo.table(measured), [], tmp_path, [], {}
    )
    shown = report._repr_html_()
    assert "98.10 ± 0.25" in shown
    assert "<p>&lt;b&gt;:</p><p><b>level 1" in shown
    assert isinstance(report.plot(), Figure)


def test_a_notebook_shows_bars_and_no_line_for_each_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = RunProgress()
    assert progress._bars.disable
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    progress = RunProgress()
    assert not progress._bars.disable
    progress.planned(2)
    progress.finished("seed 0 level 1/3", Record(final={"test_accuracy": 0.97}, seconds=2.0), "accuracy", trained=True)
    assert capsys.readouterr() == ("", "")
    bar = progress._bars.tasks[0]
    assert (bar.completed, bar.total) == (1, 2)
    assert bar.description == "trainings; seed 0 level 1/3: test accuracy 97.00% (2.0 s)"
