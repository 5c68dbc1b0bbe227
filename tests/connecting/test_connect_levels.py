"""Level connectivity of a small finished run."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import made_run

from ticketzoo.connecting import run_levels
from ticketzoo.connecting.config import LevelsConfig, config_of
from ticketzoo.connecting.kept import KeptCells, KeptRun, final_state
from ticketzoo.connecting.report import ConnectReport
from ticketzoo.errors import RecipeError, RunError
from ticketzoo.models import create_from_architecture, load_model_state
from ticketzoo.runs.progress import Quiet
from ticketzoo.ticket import Ticket

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("run"))


def connect(run: Path, out: Path, progress: Quiet | None = None, **asked: Any) -> ConnectReport:
    config = config_of(LevelsConfig, "small", {"points": 3, "split": "test", **asked})
    return run_levels(config, KeptRun.read(run), out=out, progress=progress)


def test_every_level_has_a_line_from_the_one_before_and_from_dense(run: Path, tmp_path: Path) -> None:
    report = connect(run, tmp_path)
    rows = points_in(tmp_path)
    assert {(row["seed"], row["first"], row["second"]) for row in rows} == {
        (seed, *ends) for seed in (0, 1) for ends in ((0, 1), (1, 2), (0, 2))
    }
    assert len(rows) == 2 * 3 * 3
    levels = {entry.level: entry.sparsity for entry in Ticket.from_pretrained(run / "small").levels}
    assert {row["second"]: row["sparsity"] for row in rows}.items() <= levels.items()
    stated = [json.loads(line) for line in (run / "small" / "results.jsonl").read_text().splitlines()]
    accuracy = {
        (row["seed"], row["level"]): row["value"]
        for row in stated
        if (row["arm"], row["at"], row["metric"]) == ("ticket", "final", "test_accuracy")
    }
    ends = {(row["seed"], row["second"]): row["error"] for row in rows if row["position"] == 1}
    assert {(seed, level): 1 - value for (seed, level), value in accuracy.items() if level} == pytest.approx(ends)
    assert report.summary["dense"]["error"] == pytest.approx(1 - (accuracy[0, 0] + accuracy[1, 0]) / 2)
    assert sorted(report.files) == [
        "connectivity.json", "connectivity.png", "recipe.yaml", "report.md", "results.jsonl"
    ]  # fmt: skip


def points_in(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return [row for row in rows if "position" in row]


def test_a_level_s_masks_are_put_on_the_network_of_the_level_before(run: Path, tmp_path: Path) -> None:
    """The error of m_{L+1} * w_L, evaluated by hand; dense networks are trained ones, too."""
    report = connect(run, tmp_path, seeds=[1])
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    found = {(row["first"], row["second"]): row["projected"] for row in rows if "projected" in row}
    kept = KeptRun.read(run)
    with KeptCells(kept.cells) as store:
        replicate = kept.opened(store).replicate(1)
        model = create_from_architecture(kept.ticket.config.architecture.model_dump(mode="json"), seed=0)
        for level in (1, 2):
            state = dict(final_state(replicate, level - 1))
            load_model_state(
                model, state | {name: state[name] * mask for name, mask in replicate.levels[level].items()}
            )
            accuracy = kept.task.evaluate(model, "test", torch.device("cpu"))["accuracy"]
            assert found[level - 1, level] == pytest.approx(1 - accuracy)
    assert [one["projected"]["errors"] for one in report.summary["levels"]] == [{"1": found[0, 1]}, {"1": found[1, 2]}]
    assert "| before | pruned | trained again | share |" in (tmp_path / "report.md").read_text()


def test_losses_along_the_same_lines(run: Path, tmp_path: Path) -> None:
    """Their points are stored beside those of errors, which stay as they are."""
    before = connect(run, tmp_path / "errors")
    found = connect(run, tmp_path / "losses", quantity="loss")
    rows = points_in(tmp_path / "losses")
    stated = [json.loads(line) for line in (run / "small" / "results.jsonl").read_text().splitlines()]
    losses = {
        (row["seed"], row["level"]): row["value"]
        for row in stated
        if (row["arm"], row["at"], row["metric"]) == ("ticket", "final", "test_loss")
    }
    for row in rows:
        assert row.keys() == {"seed", "first", "second", "sparsity", "position", "loss"}
        if row["position"] == 1:
            assert row["loss"] == pytest.approx(losses[row["seed"], row["second"]], rel=1e-5)
    assert (found.summary["metric"], found.summary["quantity"]) == ("test_loss", "loss")
    assert found.tables[0].caption.startswith("Test loss: mean over 2 seeds")
    assert connect(run, tmp_path / "again", StopsAt(0)).summary == before.summary


class StopsAt(Quiet):
    def __init__(self, point: int) -> None:
        self.left = point

    def step(self, label: str, step: int, total: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.fixture
def fresh(run: Path) -> Iterator[None]:
    """No line has been evaluated yet."""
    for line in run.glob("cells/*/line.json"):
        line.unlink()
    yield


@pytest.mark.usefixtures("fresh")
def test_a_measurement_that_was_stopped_goes_on_to_the_same_bytes(run: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        connect(run, tmp_path / "one", StopsAt(7))
    assert not (tmp_path / "one").exists() and len(list(run.glob("cells/*/line.json"))) == 3
    connect(run, tmp_path / "one", StopsAt(11))  # the rest of 18 points
    connect(run, tmp_path / "two", StopsAt(0))  # all are read
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_seeds_and_epsilon_are_those_asked_for(run: Path, tmp_path: Path) -> None:
    report = connect(run, tmp_path, seeds=[1], epsilon=1.0)
    assert report.summary["measured_level"] == 2
    assert [list(one["errors"]) for one in report.summary["levels"]] == [["1"], ["1"]]
    assert report.sentences[-1].endswith("above dense: level 2, sparsity 0.750")


def test_what_cannot_be_is_one_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no seed 7; it has 0, 1$"):
        connect(run, tmp_path, seeds=[7])
    with pytest.raises(RecipeError, match=r"line\.split: input should be 'validation' or 'test'"):
        connect(run, tmp_path, split="train")
    with pytest.raises(RunError, match="no working folder of ticketzoo find: it has no cells/"):
        KeptRun.read(tmp_path)
    with pytest.raises(RunError, match="there is no such folder; names are not looked up: give the folder of a run"):
        KeptRun.read("lenet-300-100.mnist-imp")
    (tmp_path / "cells").mkdir()
    with pytest.raises(RunError, match="holds no ticket, so its run is not finished"):
        KeptRun.read(tmp_path)
    (tmp_path / "verdicts.json").write_text("{}")
    with pytest.raises(RunError, match=r"retrained tickets \(ticketzoo transfer\): give the folder of a run of"):
        KeptRun.read(tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(RunError, match="is that of a sweep: give the folder of one of its points"):
        KeptRun.read(tmp_path)


def test_a_ticket_without_its_run_is_told_what_it_lacks(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "small"
    alone.mkdir()
    for file in (run / "small").iterdir():
        if file.is_file():
            (alone / file.name).write_bytes(file.read_bytes())
    with pytest.raises(RunError, match="a ticket alone holds no trained networks; run ticketzoo find"):
        KeptRun.read(alone)


def test_weights_that_were_thrown_away_are_named(run: Path, tmp_path: Path) -> None:
    moved = [(path, path.with_suffix(".away")) for path in run.glob("cells/*/final.safetensors")]
    for path, away in moved:
        path.rename(away)
    try:
        with pytest.raises(RunError, match="does not keep the trained weights of seed 0 level 0/2; finish it first"):
            connect(run, tmp_path)
    finally:
        for path, away in moved:
            away.rename(path)


def test_of_a_run_found_again_the_newest_ticket_is_taken(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(run, again)
    shutil.copytree(again / "small", again / "small.0123abcd")  # as find keeps the ticket of fewer seeds
    assert connect(again, tmp_path / "one").sentences == connect(run, tmp_path / "two").sentences
    shutil.copytree(again / "small", again / "small.other")
    with pytest.raises(RunError, match=r"several tickets; name one of them: .*small, .*small\.other$"):
        KeptRun.read(again)
