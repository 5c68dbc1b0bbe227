"""`--executor stacked`: the cells of lone trainings from populations, also after `kill -9`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_cells import job as made_job
from made_population import CONV, LENET, NormedConv, Told, cells_of, content, digits, jobs_of, tensors_in, training
from made_task import CPU

import ticketzoo
from ticketzoo.errors import RunError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.runs import stacked as stacked_module
from ticketzoo.runs.store import Job, Store
from ticketzoo.tasks.image_classification import ImageClassification

RECIPE: dict[str, Any] = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 61}},
    "training": {"steps": "40it", "batch_size": 15, "evaluate_every": "20it"},
    "finder": {"levels": 2, "rewind": "3it"},
    "arms": ["ticket", "dense", "random_mask", "random_reinit"],
    "arm_levels": [2],
    "seeds": [0, 1],
}


@pytest.mark.parametrize("rewind", ["0it", pytest.param("3it", marks=pytest.mark.slow)])
def test_find_gives_the_same_masks_as_one_training_after_the_other(rewind: str, tmp_path: Path) -> None:
    """A start after step 0 is rounded otherwise on some processors, and so has another address there."""
    recipe = FindRecipe.model_validate({**RECIPE, "finder": {**RECIPE["finder"], "rewind": rewind}})
    told, again = Told(), Told()
    found = find_and_package(recipe, tmp_path / "stacked", executor="stacked", progress=told)[1]
    expected = find_and_package(recipe, tmp_path / "local")[1]
    assert told.said == []
    names = [{path.name for path in (tmp_path / run / "cells").iterdir()} for run in ("stacked", "local")]
    assert len(names[0]) == len(names[1])
    assert names[0] == names[1] or rewind != "0it"
    for seed in (0, 1):
        masks = [(path / f"seed-{seed}" / "masks.safetensors").read_bytes() for path in (found, expected)]
        assert masks[0] == masks[1]
    rows = [
        [json.loads(line) for line in (path / "results.jsonl").read_text().splitlines()] for path in (found, expected)
    ]
    for ours, theirs in zip(*rows, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert not [check for check in ticketzoo.verify(found) if "does not know" in check.holds]
    (replicate, _) = json.loads((found / "ticket.json").read_text())["replicates"]
    assert [one["population"] for one in replicate["environments"]] == [2]
    find_and_package(recipe, tmp_path / "stacked", executor="local", progress=again)
    assert again.trained == [False] * len(told.trained)


def test_a_cell_says_how_many_were_trained_at_once(tmp_path: Path) -> None:
    jobs = jobs_of(LENET, training(), seeds=2, arms=2)
    alone = cells_of(tmp_path / "alone", jobs, "local")
    for ours, theirs in zip(cells_of(tmp_path / "here", jobs), alone, strict=True):
        assert ours.name == theirs.name
        assert tensors_in(ours).keys() == tensors_in(theirs).keys() == {"final.safetensors", "step-2.safetensors"}
        (here, measured), (there, _) = (
            (content(path), json.loads((path / "cell.json").read_text())["environment"]) for path in (ours, theirs)
        )
        assert here["specification"] == there["specification"]
        assert here["record"].keys() == there["record"].keys()
        assert here["record"]["final"] == pytest.approx(there["record"]["final"], abs=1e-4)
        assert (measured["executor"], measured["population"]) == ("stacked", 4)


class Branching(NormedConv):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * (2.0 if images.sum().item() > 0 else 1.0)


ALONE: dict[str, tuple[Callable[[], list[Job]], str]] = {
    "streamed": (lambda: jobs_of(CONV, training(), 2, 1, task=digits(in_memory=False)), "the images of digits-0-2 are"),
    "a task of a user's": (lambda: [made_job(seed=seed) for seed in (0, 1)], "task made does not say which rows"),
    "dropout": (
        lambda: jobs_of(OwnArchitecture(lambda: NormedConv(dropout=0.5), "dropping"), training(), 2, 1),
        "the model has dropout",
    ),
    "branches": (lambda: jobs_of(OwnArchitecture(Branching), training(), 2, 1), "the model cannot be stacked ("),
    "large": (
        lambda: jobs_of({**LENET, "kwargs": {**LENET["kwargs"], "width": 6.0}}, training(steps="2it"), 2, 1),
        "on a processor only small networks are faster together",
    ),
}


@pytest.mark.parametrize("what", ALONE)
def test_what_cannot_be_stacked_is_trained_alone_and_why_is_said_once(what: str, tmp_path: Path) -> None:
    made, reason = ALONE[what]
    jobs, told = made(), Told()
    here = cells_of(tmp_path / "here", jobs, progress=told)
    there = cells_of(tmp_path / "there", jobs, "local")
    assert [tensors_in(path) for path in here] == [tensors_in(path) for path in there]
    (line,) = told.said
    assert line.startswith(f"number 0: trained one after the other: {reason}")


def test_a_wave_is_grouped_by_what_its_trainings_have_in_common(tmp_path: Path) -> None:
    jobs = jobs_of(LENET, training(), 2, 1) + jobs_of(LENET, training("adam"), 3, 1) + jobs_of(CONV, training(), 1, 1)
    cells = cells_of(tmp_path, jobs)
    measured = [json.loads((path / "cell.json").read_text())["environment"] for path in cells]
    assert [one.get("population") for one in measured] == [2, 2, 3, 3, 3, None]


def test_works_within_works_share_waves_and_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two works asks for the same two cells, three times over, at most two works at once: each trains once."""
    monkeypatch.setattr(stacked_module, "AT_ONCE", 2)
    jobs, told = jobs_of(LENET, training(), 2, 1), Told()
    with Store(tmp_path, "stacked", device=CPU, progress=told) as store:

        def inner(number: int) -> str:
            return store.run(jobs[number % 2], f"{number}").folder.name

        names = store.each(lambda _: store.each(inner, range(6)), range(2))
    assert names[0] == names[1] == names[0][:2] * 3
    assert sorted(told.trained) == [False] * 10 + [True] * 2


def test_a_diverging_training_fails_with_its_own_line_and_the_others_are_kept(tmp_path: Path) -> None:
    jobs = jobs_of(LENET, training("sgd"), seeds=3, arms=1)
    jobs[1] = replace(jobs[1], state={name: tensor * 1e30 for name, tensor in jobs[1].state.items()})
    with pytest.raises(RunError, match=r"^number 1: training diverged: train_loss is nan after 3 iterations"):
        cells_of(tmp_path, jobs)
    assert len(list(tmp_path.glob("*/cell.json"))) == 2


def test_examples_that_do_not_fit_the_device_are_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resident(task: object, device: torch.device) -> str:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(ImageClassification, "resident", resident)
    with pytest.raises(RunError, match=r"^number 0: the batches of 16 do not fit the memory of cpu"):
        cells_of(tmp_path, jobs_of(LENET, training(), seeds=1, arms=2))


def test_a_failure_between_trainings_ends_all(tmp_path: Path) -> None:
    jobs = jobs_of(LENET, training(), seeds=3, arms=1)
    with Store(tmp_path, "stacked", device=CPU) as store:

        def work(number: int) -> None:
            if number == 2:
                raise ValueError("a work's own")
            store.run(jobs[number], f"{number}")

        with pytest.raises(ValueError, match="a work's own"):
            store.each(work, range(3))
        assert store.each(lambda number: store.run(jobs[number], f"{number}").folder.exists(), range(2)) == [True] * 2
