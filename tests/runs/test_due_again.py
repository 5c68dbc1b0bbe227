"""Finished trainings of several processes by the rule of BatchNorm statistics that was: trained again, others never."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_cells import cells_in, job, training

from ticketzoo.models import architecture_of, create_from_architecture
from ticketzoo.runs.plan import PlannedCells
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Job
from ticketzoo.training.parametrisation import STATISTICS, WEIGHTS, Parametrisation
from ticketzoo.training.record import Record
from ticketzoo.training.scores import EdgePopup

WHY = "was trained on 2 processes by a version whose BatchNorm statistics were those of the first one alone"


class Heard(Quiet):
    """A `Progress` that remembers lines, and what was trained."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.trained: list[bool] = []

    def warn(self, message: str) -> None:
        self.lines.append(message)

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.trained.append(trained)


def job_of(learn: Parametrisation, **keys: Any) -> Job:
    architecture = architecture_of("conv-2", {"in_shape": [1, 2, 2], "num_classes": 2, "activations": "binary"})
    state = create_from_architecture(architecture, seed=1).state_dict()
    masks = {"conv1.weight": torch.ones_like(state["conv1.weight"], dtype=torch.bool)}
    kept = {"learn": EdgePopup({"conv1.weight": 9}) if isinstance(learn, EdgePopup) else learn}
    return job(architecture=architecture, state=state, masks=masks, **kept, **keys)


def run(where: Path, asked: Job, **keys: bool) -> Heard:
    heard = Heard()
    with cells_in(where, progress=heard) as cells:
        cells.run(asked, "seed 0 mask", **keys)
    return heard


def as_before(where: Path, **environment: Any) -> Path:
    """Make the only cell of a store one that was trained elsewhere; return its record."""
    (record,) = where.glob("*/cell.json")
    content = json.loads(record.read_text())
    content["environment"] |= environment
    content["record"]["final"] = {"accuracy": 0.25}
    record.write_text(json.dumps(content))
    return record


@pytest.mark.parametrize("learn", [EdgePopup({}), STATISTICS], ids=["edge-popup", "statistics"])
def test_statistics_of_one_process_of_several_are_gathered_again(tmp_path: Path, learn: Parametrisation) -> None:
    asked = job_of(learn)
    assert run(tmp_path, asked, keep_final=True).trained == [True]
    record = as_before(tmp_path, processes=2)
    (record.parent / "step-3.safetensors").touch()
    with PlannedCells(tmp_path, device=torch.device("cpu")) as plan:
        plan.run(asked, "seed 0 mask")
        assert not plan.complete
    heard = run(tmp_path, asked)
    assert (heard.trained, heard.lines) == ([True], [f"seed 0 mask {WHY}: it is due again"])
    assert json.loads(record.read_text())["record"]["final"] != {"accuracy": 0.25}
    left = {path.name for path in record.parent.iterdir()}
    assert not left & {"step-3.safetensors", "final.safetensors"}, "weights of before are never taken for those of now"
    assert run(tmp_path, asked).trained == [False]


@pytest.mark.parametrize(
    ("asked", "environment"),
    [
        (job_of(EdgePopup({})), {}),
        (job_of(EdgePopup({})), {"processes": 2, "batch_norm": "whole batches"}),
        (job_of(EdgePopup({}), training=training(sync_batchnorm=True)), {"processes": 2}),
        (job_of(WEIGHTS), {"processes": 2}),
        (job(learn=EdgePopup({"fc1.weight": 9})), {"processes": 2}),
    ],
    ids=["one process", "by the rule", "synchronised", "weights", "without BatchNorm"],
)
def test_all_others_are_read(tmp_path: Path, asked: Job, environment: dict[str, Any]) -> None:
    run(tmp_path, asked)
    as_before(tmp_path, **environment)
    heard = run(tmp_path, asked)
    assert (heard.trained, heard.lines) == ([False], [])
