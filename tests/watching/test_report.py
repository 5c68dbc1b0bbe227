"""`ticketzoo report` and `ticketzoo runs`: what a folder says of its run while it goes, when killed, at its end."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from command_line import RECIPE, Command, ticketzoo
from small_run import made_run
from watched_run import PLANNED, SMALL, StopAfter, Stopped, run

from ticketzoo.api.run import Where, kept_journal
from ticketzoo.errors import RunError
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.watching.folder import in_use, read_run, runs_in
from ticketzoo.watching.journal import FOLDER, Asked, Journal
from ticketzoo.watching.left import left_table
from ticketzoo.watching.report import report_on, write_so_far


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended after the three levels of seed 0, level 0 of seed 1."""
    folder = tmp_path_factory.mktemp("stopped") / "small"
    with pytest.raises(Stopped):
        run(folder, StopAfter(4))
    return folder


def test_a_stopped_run_says_what_is_left_by_arm_and_level(stopped: Path) -> None:
    report = report_on(stopped)
    assert (report.run.state, report.run.done, report.run.planned) == ("stopped", 5, PLANNED)
    assert {(one.place.arm, one.place.level): (one.done, one.due) for one in report.left} == {
        ("dense", 0): (2, 2),
        ("ticket", 1): (1, 2),
        ("ticket", 2): (1, 2),
        ("random_mask", 1): (0, 4),
        ("random_mask", 2): (0, 4),
    }
    table = left_table(report.left)
    assert table.columns == ("level", "ticket", "dense", "random mask")
    assert table.rows == (("0", "", "2/2", ""), ("1", "1/2", "", "0/4"), ("2", "1/2", "", "0/4"))
    assert "10 left" in table.caption
    assert "failed: Stopped" in report.title
    assert [row[0] for row in report.tables[0].rows] == ["0", "1", "2"]
    assert report.verdicts["small"].label == "not measured"


@pytest.mark.slow
def test_a_transfer_says_what_is_left_by_ticket_target_arm_and_level(tmp_path: Path) -> None:
    content = {
        "name": "moved",
        "tickets": [str(made_run(tmp_path / "small") / "small")],
        "levels": [1, 2],
        "targets": [{"task": {**SMALL["task"], "dataset": {"path": "digits", "classes": [3, 4], "examples": 64}}}],
        "training": SMALL["training"],
        "arms": ["ticket", "dense", "random_mask"],
        "seeds": [0, 1],
    }
    recipe = parse_recipe(content, TransferRecipe, "moved")
    where = Where(device=None, executor="local", progress=StopAfter(3))
    with pytest.raises(Stopped), kept_journal("transfer", recipe, tmp_path / "moved", where) as told:
        run_transfer(recipe, tmp_path / "moved", **told)
    report = report_on(tmp_path / "moved", plots=tmp_path / "plots")
    assert {one.place: (one.done, one.due) for one in report.left} == {
        ("small", "digits-3-4", 0, "dense"): (1, 2),
        ("small", "digits-3-4", 1, "ticket"): (1, 2),
        ("small", "digits-3-4", 1, "random_mask"): (1, 4),
        ("small", "digits-3-4", 2, "ticket"): (0, 2),
        ("small", "digits-3-4", 2, "random_mask"): (0, 4),
    }
    assert left_table(report.left).rows[1] == ("small", "digits-3-4", "1", "1/2", "", "1/4")
    assert [path.name for path in report.plots] == [
        "ticket-minus-dense.png",
        "small.on-digits-3-4.accuracy.png",
        "small.on-digits-3-4.early-stopping.png",
    ]
    assert "verdict on small so far" in report.sentences[0]
    where = Where(device=None, executor="local", progress=Quiet())
    with kept_journal("transfer", recipe, tmp_path / "moved", where) as told:
        finished = run_transfer(recipe, tmp_path / "moved", **told)
    again = report_on(tmp_path / "moved")
    assert (again.run.state, again.verdicts, again.tables[0]) == ("finished", finished.verdicts, finished.table)
    assert again.tables[1].caption.startswith("Test accuracy")
    results = tmp_path / "moved" / "results.jsonl"
    results.write_text(results.read_text() + results.read_text().replace('"ticket": "small"', '"ticket": "other"'))
    captions = [table.caption.partition(" ")[0] for table in report_on(tmp_path / "moved").tables]
    assert captions == ["Test", "small:", "other:"], "of several tickets each table says whose it is"


def test_table_and_plots_of_a_run_under_way_lie_in_its_folder(stopped: Path) -> None:
    write_so_far(stopped)
    text = (stopped / FOLDER / "report.md").read_text()
    assert "5 of 14 trainings" in text and "![accuracy](accuracy.png)" in text
    for name in ("accuracy.png", "early-stopping.png"):
        assert (stopped / FOLDER / name).read_bytes().startswith(b"\x89PNG")


def test_news_of_rows_have_the_table_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketzoo.watching.journal.DRAW_EVERY", 0.0)
    with pytest.raises(Stopped):
        run(tmp_path, StopAfter(2))
    assert "ticket" in (tmp_path / FOLDER / "report.md").read_text()
    assert (tmp_path / FOLDER / "accuracy.png").is_file()


def test_a_line_that_is_half_written_is_not_read_and_the_run_goes_on(stopped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(stopped, folder)
    (journal,) = (folder / FOLDER).glob("*.jsonl")
    with journal.open("a") as file:
        file.write('{"cell": "0123')
    assert report_on(folder).run.done == 5
    run(folder, Quiet())
    done = report_on(folder)
    assert (done.run.state, done.run.done, done.left) == ("finished", PLANNED, [])
    lines = journal.read_text().splitlines()
    assert len(lines) == len(set(lines)) and all(json.loads(line) for line in lines)
    assert {"accuracy.png", "early-stopping.png"} <= {path.name for path in done.plots}
    before = journal.read_bytes()
    run(folder, Quiet())  # everything is there: nothing is noted twice
    assert journal.read_bytes() == before


def test_another_recipe_in_the_folder_is_counted_alone(stopped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(stopped, folder)
    with pytest.raises(Stopped):
        run(folder, StopAfter(0), seeds=[5])
    found = read_run(folder)
    assert (found.done, found.planned, found.rows) == (1, PLANNED // 2, [])


def test_runs_without_a_journal_are_known_by_their_last_files(tmp_path: Path) -> None:
    made_run(tmp_path / "small")
    found = report_on(tmp_path / "small")
    assert (found.run.command, found.run.state, found.run.done) == ("find", "finished", 6)
    assert found.verdicts and found.tables


def test_a_damaged_run_is_broken_and_says_where(stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "a")
    (tmp_path / "a" / FOLDER / "run.json").write_text("{")
    found = read_run(tmp_path / "a")
    assert found.state == "broken" and "run.json: cannot be read" in found.why
    shutil.copytree(stopped, tmp_path / "b")
    cell = next(iter((tmp_path / "b" / "cells").glob("*/cell.json")))
    cell.write_bytes(cell.read_bytes()[:50])
    found = read_run(tmp_path / "b")
    assert found.state == "broken" and f"{cell} cannot be read" in found.why
    assert [path.name for path in runs_in(tmp_path)] == ["a", "b"]
    with pytest.raises(RunError, match="no folder of a run"):
        read_run(tmp_path / "c")


def test_a_name_that_is_no_folder_is_answered_with_the_runs_that_are_near(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    for name in ("small.digits-imp", "other"):
        shutil.copytree(stopped, runs / name)
    made_run(runs / "try")  # whose ticket is called small
    for given, meant in (
        ("small.digits", "runs/small.digits-imp"),
        ("runs/small.digit-imp", "runs/small.digits-imp"),
        ("small", "runs/small.digits-imp, runs/try"),
        ("runs/try/small", "runs/try"),
    ):
        with pytest.raises(RunError, match=rf"no folder of a run: .*; did you mean {meant}\?$"):
            report_on(Path(given))
    with pytest.raises(RunError, match=r"ticketzoo runs lists those that there are$"):
        report_on(Path("zebra"))


def test_a_journal_is_left_alone_by_a_process_that_no_longer_has_the_folder(tmp_path: Path) -> None:
    with Journal(tmp_path, Asked("find", "first", {})) as first:
        first.planned(1)
        with Journal(tmp_path, Asked("find", "second", {})) as second:
            second.planned(2)
            first.__exit__(None, None, None)
            found = read_run(tmp_path)
            assert (found.name, found.asked and found.asked.ended) == ("second", "")
    assert read_run(tmp_path).state == "finished"


@pytest.mark.slow
def test_a_run_is_watched_by_another_process_and_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "find.yaml").write_text(RECIPE)
    long = ("training.steps=4000it", "finder.levels=8", "seeds=[0]", "arms=[ticket]")
    running = Command(tmp_path, "find", "find.yaml", *(f"--set={setting}" for setting in long), "--out", "runs/long")
    running.wait_for_output("seed 0 level 2/8: test accuracy")  # the rows of level 1 were noted before
    folder = tmp_path / "runs" / "long"
    seen = read_run(folder)
    assert (seen.state, seen.planned) == ("running", 9) and 2 <= seen.done < 9
    assert in_use(seen.lock)
    assert report_on(folder).tables  # rows of level 1 are there
    assert running.process.pid is not None
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.join()
    killed = report_on(folder)
    assert killed.run.state == "stopped" and "trainings, stopped, about" in killed.title
    shown = ticketzoo(tmp_path, "report", "runs/long")
    assert shown.status == 0 and "of 9 trainings, stopped" in shown.out
    assert (folder / FOLDER / "now" / "accuracy.png").is_file()
    listed = ticketzoo(tmp_path, "runs", "--json").json
    assert [(one["folder"], one["state"], one["planned"]) for one in listed] == [("runs/long", "stopped", 9)]
    assert listed[0]["bytes"] > 0
    document = ticketzoo(tmp_path, "report", "runs/long", "--json").json
    assert (document["state"], document["done"], len(document["left"])) == ("stopped", killed.run.done, 9)


@pytest.mark.parametrize("damaged", ["x", "[1]", '{"a": 3}'])
def test_verdicts_that_are_damaged_are_named_in_a_line(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "results.jsonl").write_text("")
    (tmp_path / "verdicts.json").write_text(damaged)
    with pytest.raises(RunError, match=r"verdicts.json: cannot be read \(.*\); give the run's command again$"):
        report_on(tmp_path)


def test_a_report_of_damaged_letters_is_shown_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "instability.json").write_text("{}")
    (tmp_path / "report.md").write_bytes(b"one \xff two")
    assert report_on(tmp_path).text == "one \N{REPLACEMENT CHARACTER} two"
