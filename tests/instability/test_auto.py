"""`finder.rewind: auto`: the first stable step, the ticket that a recipe with it written by hand gives."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import RECIPE

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.instability.auto import _TwoParts, find_from_stable, first_stable, grid, plan_from_stable
from ticketzoo.instability.measure import Instability
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.tasks import create_task
from ticketzoo.training import Record

DATA = {"path": "digits", "classes": [0, 1], "examples": 64}
"""Zeros and ones, which 32 updates tell apart: copies make no error, nor does anything between them."""


def content(**keys: Any) -> dict[str, Any]:
    finder = {"levels": 1, "rate": 0.5, "rewind": "auto"} | keys.pop("finder", {})
    training = {"steps": "32it", "batch_size": 16, "optimizer": {"lr": 0.1}}
    return (
        RECIPE
        | {"task": {"type": "image-classification", "dataset": DATA}, "training": training, "finder": finder}
        | keys
    )


def recipe(**keys: Any) -> FindRecipe:
    return parse_recipe(content(**keys), FindRecipe, "test")


class Told(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.trained: list[str] = []
        self.asked, self.counted = 0, 0

    def planned(self, trainings: int) -> None:
        self.asked = trainings

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        self.counted += 1

    def say(self, message: str) -> None:
        self.said.append(message)

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.trained += [label] * trained
        self.counted += 1


def files_of(ticket: Path) -> dict[str, bytes]:
    """All files but the card, which says how long the trainings took."""
    files = (file for file in ticket.rglob("*") if file.is_file() and file.name != "README.md")
    return {file.relative_to(ticket).as_posix(): file.read_bytes() for file in files}


@pytest.mark.slow
def test_the_ticket_and_its_trainings_are_those_of_the_step_written_by_hand(tmp_path: Path) -> None:
    progress = Told()
    ticket, folder = find_from_stable(recipe(), tmp_path / "auto", progress=progress)
    assert "rewind: 0it" in (folder / "recipe.yaml").read_text()
    assert ticket.config.rewind.step == 0
    assert progress.counted == progress.asked
    assert progress.said == [
        "finder.rewind: from 0it instability 0.0000 [0.0000, 0.0000] (stable, below 0.02 is stable)",
        "finder.rewind: 0it is taken",
    ]
    measured = json.loads((tmp_path / "auto" / "rewind.json").read_text())
    assert (measured["taken"], [one["rewind_step"] for one in measured["instability"]]) == (0, [0])
    _, by_hand = find_and_package(recipe(finder={"rewind": "0it"}), tmp_path / "hand")
    assert files_of(folder) == files_of(by_hand)
    cells = [{cell.name for cell in (tmp_path / run / "cells").iterdir()} for run in ("auto", "hand")]
    assert cells[1] < cells[0], "the copies are there beside"
    find_and_package(recipe(finder={"rewind": "0it"}), tmp_path / "auto", progress=(again := Told()))
    assert again.trained == []
    find_from_stable(recipe(), tmp_path / "auto", progress=again)
    assert again.trained == []


def test_what_the_find_plans_counts_from_where_its_search_ended() -> None:
    told = Told()
    parts = _TwoParts(told)
    parts.planned(5)
    for number in range(3):
        parts.evaluated(f"line {number}", "", new=True)
    parts.begin_second()
    parts.planned(4)
    parts.say("on")
    assert (told.asked, told.counted, told.said) == (3 + 4, 3, ["on"])


def instability(step: int, *values: float) -> Instability:
    return Instability(step, 1, 0.5, dict(enumerate(values)), 0.1)


def test_steps_are_tried_up_to_the_first_that_is_stable() -> None:
    """Unstable, undecided, stable: none of the interval, some of it, all of it lies below 2 points."""
    found = {0: (0.05, 0.05), 4: (0.0, 0.03), 8: (0.01, 0.01), 16: (0.0, 0.0)}
    tried: list[int] = []

    def measure(step: int) -> Instability:
        tried.append(step)
        return instability(step, *found[step])

    measured, taken = first_stable([0, 4, 8, 16], measure)
    assert taken == 8
    assert tried == [one.rewind_step for one in measured] == [0, 4, 8]
    assert first_stable([0, 4], measure)[1] is None


def test_the_grid_is_0_and_a_256th_to_a_quarter_of_training() -> None:
    def steps(length: str) -> list[int]:
        asked = recipe(training={"steps": length, "batch_size": 16})
        return grid(asked, create_task(asked.task))

    assert steps("256it") == [0, 1, 2, 4, 8, 16, 32, 64]
    assert steps("50ep") == [0, 1, 2, 3, 6, 12, 25, 50]  # 200 iterations: 0.78, 1.56, 3.1, 6.25, 12.5, 25, 50
    assert steps("1it") == [0]


def test_where_no_step_is_stable_the_best_is_said(tmp_path: Path) -> None:
    """A step or two at a learning rate of 5 leave copies wherever they happen to be."""
    data = DATA | {"classes": [0, 1, 2, 3, 4]}
    training = {"steps": "2it", "batch_size": 16, "optimizer": {"lr": 5.0}}
    unstable = recipe(task={"type": "image-classification", "dataset": data}, training=training)
    said = r"finder\.rewind: auto: no step of 0 is stable; the best is 0it: instability 0\.\d+ \[.*: set finder\.rewind"
    with pytest.raises(RunError, match=said) as error:
        find_from_stable(unstable, tmp_path, progress=(progress := Told()))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "small").exists()
    assert json.loads((tmp_path / "rewind.json").read_text())["taken"] is None
    undecided = "undecided" in progress.said[-1]
    assert ("k=0 seed 0 copy 2" in progress.trained) == undecided, "a third copy, where two do not decide"
    copies_and_lines = (2 + 1) + (3 + 3)
    assert progress.asked == 2 * (2 + 1 + copies_and_lines), "of two seeds, with dense, each level and both rounds"
    assert progress.counted == (progress.asked if undecided else progress.asked - 2 * 6)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"seeds": [0]}, "auto needs two seeds or more"),
        ({"finder": {"rewinding": "learning-rate"}}, "it goes with rewinding: weights"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    for run in (find_from_stable, plan_from_stable):
        with pytest.raises(RecipeError, match=said):
            run(recipe(**keys), tmp_path / "run")
    with pytest.raises(RecipeError, match="auto goes with a recipe by file or name"):
        find_and_package(recipe(), tmp_path / "run")
    with pytest.raises(RecipeError, match="write iterations as '500it' or epochs as '2ep', not 'automatic'"):
        recipe(finder={"rewind": "automatic"})


def test_the_plan_says_what_the_steps_may_take(tmp_path: Path) -> None:
    plan = plan_from_stable(recipe(), tmp_path, seconds=0.01)
    assert plan.trainings == 4  # dense and level 1, two seeds
    assert plan.not_counted[-1] == (
        "finder.rewind: auto: until one of iterations 0, 1, 2, 4, 8 is stable, at each 4 to 6 copies and the lines "
        "between them, after 0 2 trainings of the search, too"
    )
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_killed_and_given_again_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content(training={"steps": "400it", "batch_size": 16, "optimizer": {"lr": 0.1}})))
    command = [sys.executable, "-m", "ticketzoo", "find", str(path), "--device", "cpu", "--json", "--out"]
    once, again = tmp_path / "once", tmp_path / "again"
    subprocess.run([*command, str(once)], capture_output=True, check=True)
    for kind, count in (("cell", 3), ("line", 1)):
        with subprocess.Popen([*command, str(again)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
            while len(list(again.glob(f"cells/*/{kind}.json"))) < count and started.poll() is None:
                time.sleep(0.01)
            os.kill(started.pid, signal.SIGKILL)
            started.communicate()
        assert started.returncode == -signal.SIGKILL
        shutil.rmtree(again / "small", ignore_errors=True)
    subprocess.run([*command, str(again)], capture_output=True, check=True)
    assert files_of(again / "small") == files_of(once / "small")
    assert (again / "rewind.json").read_bytes() == (once / "rewind.json").read_bytes()
