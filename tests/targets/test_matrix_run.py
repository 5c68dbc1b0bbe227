"""Several tickets on several targets: halves of one data set, found and retrained."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import made_run

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.rows import Row
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.targets.run import load_targets, ticket_job
from ticketzoo.ticket import Ticket
from ticketzoo.training import Record

TRAINING = {"steps": "8it", "batch_size": 16, "optimizer": {"lr": 0.1}}


def half(fold: int, **keys: Any) -> dict[str, Any]:
    part = {"fold": fold, "of": 2}
    return {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "part": part, **keys}}


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs `half-0` and `half-1`: two seeds, two levels, eight updates."""
    folder = tmp_path_factory.mktemp("halves")
    for fold in (0, 1):
        made_run(folder / f"half-{fold}", name=f"half-{fold}", task=half(fold))
    yield folder


def content(folder: Path, **keys: Any) -> dict[str, Any]:
    return {
        "name": "matrix",
        "tickets": [str(folder / f"half-{fold}" / f"half-{fold}") for fold in (0, 1)],
        "levels": [1, 2],
        "targets": [{"task": half(fold)} for fold in (0, 1)],
        "training": TRAINING,
        "arms": ["ticket", "dense"],
        "seeds": [0, 1],
        **keys,
    }


@pytest.mark.slow
def test_the_report_has_the_matrix_with_0_for_each_half_on_itself(halves: Path, tmp_path: Path) -> None:
    targets = [
        *({"task": half(fold)} for fold in (0, 1)),
        *({"name": f"few-{count}", "task": half(0, examples=count)} for count in (20, 40)),
    ]
    recipe = parse_recipe(content(halves, targets=targets), TransferRecipe, "test")
    report = run_transfer(recipe, tmp_path)
    found = json.loads((tmp_path / "matrix.json").read_text())
    first, second = "digits-0-2-fold-0-of-2", "digits-0-2-fold-1-of-2"
    assert {name: (one["examples"], one["classes"], one["series"]) for name, one in found["targets"].items()} == {
        first: (193, 3, first), second: (193, 3, None), "few-20": (20, 3, first), "few-40": (40, 3, first),
    }  # fmt: skip
    assert {name: (one["examples"], one["classes"]) for name, one in found["sources"].items()} == {
        "half-0": (193, 3), "half-1": (193, 3),
    }  # fmt: skip
    assert [one["sparsity"] for one in found["levels"]] == pytest.approx([0.5, 0.75], abs=0.01)
    for level in found["levels"]:
        assert level["own"] == {first: "half-0", second: "half-1"}
        assert level["over_own"]["half-0"][first]["by_seed"] == {"0": 0.0, "1": 0.0}
        assert level["over_own"]["half-1"][second]["by_seed"] == {"0": 0.0, "1": 0.0}
        gaps = (level["over_dense"][ticket][first]["by_seed"]["0"] for ticket in ("half-1", "half-0"))
        assert level["over_own"]["half-1"][first]["by_seed"]["0"] == pytest.approx(next(gaps) - next(gaps))
    assert {(one["source"], one["arm"]) for one in found["series"]} == {("half-0", "ticket"), ("half-1", "ticket")}
    text = (tmp_path / "report.md").read_text()
    assert "## Sources by targets" in text
    assert "No ticket of the recipe was found on the data of few-20, few-40." in text
    assert {"matrix.json", "matrix-over-dense.png", "matrix-over-own.png"} <= set(report.files)
    assert all((tmp_path / name).is_file() for name in report.files)
    assert len(report.sentences) == 2


def test_one_ticket_or_one_target_is_no_matrix(halves: Path, tmp_path: Path) -> None:
    asked = content(halves, targets=[{"task": half(0)}], levels=[1])
    report = run_transfer(parse_recipe(asked, TransferRecipe, "test"), tmp_path)
    assert not (tmp_path / "matrix.json").exists()
    assert report.sentences == ()


class Trained(Quiet):
    def __init__(self) -> None:
        self.again: list[bool] = []

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.again.append(trained)


def test_on_its_own_data_with_its_head_kept_a_ticket_is_the_cell_of_its_find_run(halves: Path) -> None:
    """The digest of the training is that of the run's, so nothing is trained, and the number is the run's own."""
    asked = content(halves, targets=[{"task": half(0), "head": "keep"}])
    (target,) = load_targets(parse_recipe(asked, TransferRecipe, "test"), [])
    ticket = Ticket.from_pretrained(halves / "half-0" / "half-0")
    for level in (1, 2):
        for seed in (0, 1):
            job, _ = ticket_job(ticket.at(level=level, seed=seed), target, seed)
            with Store(halves / "half-0" / "cells", progress=(progress := Trained())) as cells:
                record = cells.run(job, "again").record
            assert progress.again == [False]
            rows: list[Row] = ticket.results
            its = {"level": level, "seed": seed, "arm": "ticket", "metric": "test_accuracy", "at": "final"}
            (own,) = (row for row in rows if all(row[key] == value for key, value in its.items()))
            assert record.final["test_accuracy"] == own["value"]


def test_a_target_of_another_shape_is_told_the_keys_that_make_it_fit(halves: Path) -> None:
    ticket = Ticket.from_pretrained(halves / "half-0" / "half-0")
    for keys, said in (
        ({"image_size": 12}, "or set task.dataset.image_size: 8 there"),
        ({"channels": 3}, "or set task.dataset.channels: 1 there"),
        ({"image_size": 12, "channels": 3}, "set task.dataset.channels: 1 and task.dataset.image_size: 8 there"),
    ):
        asked = content(halves, targets=[{"task": half(0, **keys)}])
        (target,) = load_targets(parse_recipe(asked, TransferRecipe, "test"), [])
        with pytest.raises(TicketError, match=said) as error:
            ticket_job(ticket, target, 0)
        assert "\n" not in str(error.value)


@pytest.mark.slow
def test_killed_and_given_again_it_ends_with_the_same_bytes(halves: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "matrix.yaml"
    recipe.write_text(yaml.safe_dump(content(halves, training=TRAINING | {"steps": "300it"})))
    command = [sys.executable, "-m", "ticketzoo", "transfer", str(recipe), "--device", "cpu", "--json", "--out"]
    once, again = tmp_path / "once", tmp_path / "again"
    subprocess.run([*command, str(once)], capture_output=True, check=True)
    for finished in (1, 7):
        with subprocess.Popen([*command, str(again)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
            while len(list(again.glob("cells/*/cell.json"))) < finished and started.poll() is None:
                time.sleep(0.01)
            os.kill(started.pid, signal.SIGKILL)
            started.communicate()
        assert started.returncode == -signal.SIGKILL and not (again / "matrix.json").exists()
    subprocess.run([*command, str(again)], capture_output=True, check=True)
    written = {file.name: file.read_bytes() for file in once.iterdir() if file.is_file()}
    assert {file.name: file.read_bytes() for file in again.iterdir() if file.is_file()} == written
    assert {"matrix.json", "matrix-over-own.png", "results.jsonl"} <= written.keys()
