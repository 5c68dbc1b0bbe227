import json
from pathlib import Path

import pytest
import torch
from made_cells import STEPS, cells_in, files_in, job, training
from made_task import MadeImages, Stopped
from torch import Tensor

from ticketzoo.runs.progress import Quiet
from ticketzoo.training import Record, TrainingConfig


class Counted(Quiet):
    """A `Progress` that remembers what was finished, and whether it had to be trained."""

    def __init__(self) -> None:
        self.trained: dict[str, bool] = {}

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.trained[label] = trained


def changed(state: dict[str, Tensor], name: str, index: tuple[int, ...]) -> dict[str, Tensor]:
    copy = {key: tensor.clone() for key, tensor in state.items()}
    copy[name][index] += 1
    return copy


def test_a_finished_cell_is_read_and_not_trained_again(tmp_path: Path) -> None:
    first_job, second_job = job(), job()
    with cells_in(tmp_path) as cells:
        first = cells.run(first_job, "first", keep_final=True)
    progress = Counted()
    with cells_in(tmp_path, progress=progress) as cells:
        second = cells.run(second_job, "second", keep_final=True)
    assert progress.trained == {"second": False}
    assert (len(first_job.task.seen), len(second_job.task.seen)) == (STEPS, 0)
    assert second.record == first.record
    assert second.folder == first.folder
    final = second.final_state()
    assert torch.equal(final["fc1.weight"] == 0, ~job().masks["fc1.weight"])
    assert first.record.final["step"] == STEPS


def test_a_cell_says_what_it_is_and_where_it_was_measured(tmp_path: Path) -> None:
    with cells_in(tmp_path) as cells:
        cell = cells.run(job(), "label")
    content = json.loads((cell.folder / "cell.json").read_text())
    assert content["specification"] == json.loads(json.dumps(job().specification()))
    assert content["environment"]["torch"] == torch.__version__
    assert content["record"]["final"] == cell.record.final
    assert files_in(tmp_path) == [f"{cell.folder.name}/cell.json"]


CHANGES = {
    "seed": {"seed": 1},
    "start step": {"start_step": 2},
    "learning rate": {"training": training(optimizer={"lr": 0.2})},
    "length": {"training": training(steps="7it")},
    "precision": {"training": training(precision="bf16")},
    "layout": {"training": training(channels_last=True)},
    "compilation": {"training": training(compile=True)},
    "task": {"task": MadeImages(noise=0.2)},
    "architecture": {"architecture": job().architecture | {"name": "lenet-5"}},
    "a kept weight": {"state": changed(job().state, "fc1.weight", (0, 0))},
    "a bias": {"state": changed(job().state, "fc3.bias", (1,))},
    "mask": {"masks": {"fc1.weight": torch.arange(24).view(6, 4) % 2 == 1}},
    "no mask": {"masks": {}},
    "a mask of another layer": {"masks": job().masks | {"fc3.weight": torch.ones(2, 2, dtype=torch.bool)}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_the_numbers_makes_another_cell(change: str) -> None:
    assert job(**CHANGES[change]).specification() != job().specification()


def test_what_does_not_decide_the_numbers_makes_no_other_cell() -> None:
    renamed = MadeImages()
    renamed.name = "called otherwise"
    same = job(task=renamed, state=changed(job().state, "fc1.weight", (0, 1)))  # a weight that the mask prunes
    assert same.specification() == job().specification()


def test_where_cells_are_kept_stays_the_same_between_versions() -> None:
    """Of a job that depends on no random numbers; a change here would redo every finished training anywhere."""
    state = {name: torch.arange(tensor.numel()).view(tensor.shape) / 8 for name, tensor in job().state.items()}
    specification = job(state=state).specification()
    assert specification["state"] == "13d321168a7de257b18be6341ceac6197368d1b27cd4bb09613e353490a0d864"
    assert specification["masks"] == "9dbb0bd86dce637e054f21b524cb9286876a52f67a59fa1b1bead1d21fc583d4"
    assert {key: value for key, value in specification.items() if key not in ("state", "masks")} == {
        "architecture": {
            "library": "ticketzoo",
            "name": "lenet-300-100",
            "kwargs": {"num_classes": 2, "in_shape": [1, 2, 2], "init": "glorot_normal", "width": 0.02},
        },
        "task": {"noise": 0.1},
        "training": {"steps": "6it", "batch_size": 8, "evaluate_every": "2it"},
        "seed": 0,
        "start_step": 0,
    }


def test_defaults_stay_the_same_between_versions() -> None:
    """Cells' addresses leave defaults out: another default needs another key, or finished cells would lie."""
    assert TrainingConfig().model_dump(mode="json") == {
        "steps": "20ep",
        "batch_size": 128,
        "optimizer": {
            "name": "sgd",
            "lr": 0.1,
            "weight_decay": 0.0,
            "momentum": 0.0,
            "nesterov": False,
            "betas": [0.9, 0.999],
            "eps": 1e-08,
            "alpha": 0.99,
        },
        "schedule": {"name": "constant", "warmup": "0it", "milestones": [], "gamma": 0.1},
        "precision": "fp32",
        "channels_last": False,
        "compile": False,
        "capture": "auto",
        "sync_batchnorm": False,
        "clip_norm": None,
        "evaluate_every": "1ep",
    }


def test_a_cell_that_lacks_a_wanted_tensor_is_trained_again_and_keeps_the_others(tmp_path: Path) -> None:
    progress = Counted()
    with cells_in(tmp_path, progress=progress) as cells:
        cells.run(job(), "record alone")
        cells.run(job(), "with final", keep_final=True)
        cells.run(job(), "with step 2", snapshot_steps=[2])
        cell = cells.run(job(), "with all", keep_final=True, snapshot_steps=[2])
        earlier = cells.run(job(), "with step 0", snapshot_steps=[0])
    assert progress.trained == {
        "record alone": True, "with final": True, "with step 2": True, "with all": False, "with step 0": True
    }  # fmt: skip
    assert [path.name for path in sorted(cell.folder.iterdir())] == [
        "cell.json", "final.safetensors", "step-0.safetensors", "step-2.safetensors"
    ]  # fmt: skip
    assert torch.equal(earlier.snapshot(0)["fc2.weight"], job().state["fc2.weight"])
    assert not torch.equal(cell.snapshot(2)["fc2.weight"], job().state["fc2.weight"])
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [cell.folder.name]


def test_a_killed_cell_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    crashing = job()
    crashing.task.stop_after = 4
    with pytest.raises(Stopped), cells_in(tmp_path, checkpoint_seconds=0) as cells:
        cells.run(crashing, "crashes")
    left = files_in(tmp_path)
    assert [Path(name).name for name in left] == ["checkpoint-3.safetensors", "checkpoint-4.safetensors"]
    partial = tmp_path / Path(left[0]).parent
    assert partial.suffix == ".partial"
    (partial / ".checkpoint-5.safetensors.new").write_bytes(b"half a checkpoint of a killed process")
    resumed = job()
    with cells_in(tmp_path) as cells:
        cell = cells.run(resumed, "goes on", keep_final=True)
    assert len(resumed.task.seen) == STEPS - 4
    assert files_in(tmp_path) == [f"{cell.folder.name}/cell.json", f"{cell.folder.name}/final.safetensors"]
    with cells_in(tmp_path / "undisturbed") as cells:
        whole = cells.run(job(), "whole", keep_final=True)
    assert cell.folder.name == whole.folder.name
    assert (cell.folder / "final.safetensors").read_bytes() == (whole.folder / "final.safetensors").read_bytes()
    assert cell.record.curve == whole.record.curve


def test_several_snapshots_are_kept_by_one_training_also_if_it_is_killed_between_them(tmp_path: Path) -> None:
    crashing = job()
    crashing.task.stop_after = 4
    with pytest.raises(Stopped), cells_in(tmp_path, checkpoint_seconds=0) as cells:
        cells.run(crashing, "crashes", snapshot_steps=[0, 3, 5])
    resumed = job()
    with cells_in(tmp_path) as cells:
        cell = cells.run(resumed, "goes on", snapshot_steps=[0, 3, 5])
    assert len(resumed.task.seen) == STEPS - 4
    with cells_in(tmp_path / "undisturbed") as cells:
        whole = cells.run(job(), "whole", snapshot_steps=[0, 3, 5])
    for step in (0, 3, 5):
        ours, theirs = cell.snapshot(step), whole.snapshot(step)
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_the_weights_to_start_from_are_not_changed(tmp_path: Path) -> None:
    given = job()
    before = {name: tensor.clone() for name, tensor in given.state.items()}
    with cells_in(tmp_path) as cells:
        cells.run(given, "label")
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state.items())
