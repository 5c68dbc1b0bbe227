from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_task import CPU, MadeImages, Stopped
from torch import nn

from ticketzoo.errors import RunError
from ticketzoo.masks.attach import attach
from ticketzoo.models.state import State
from ticketzoo.training import Record, TrainingConfig, train
from ticketzoo.training.callbacks import Callbacks, Resumption

OPTIMIZERS = {
    "sgd": {"name": "sgd", "lr": 0.1},
    "momentum": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "adam": {"name": "adam", "lr": 0.01},
    "adamw": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
    "rmsprop": {"name": "rmsprop", "lr": 0.01},
}
TOTAL = 9
Outcome = tuple[Record, State, State, int]
"""The record, the trained state, the snapshot, and how many steps were done."""
SNAPSHOTS: dict[Path, dict[int, State]] = {}
"""What was kept of the trainings in each folder, crashed ones too: as `Store` keeps them on disk."""


def run(optimizer: str, *, folder: Path | None = None, stop_after: int | None = None, **keys: Any) -> Outcome:
    """A training with dropout, batch normalisation, augmentation, masks and a snapshot; saves after every step."""
    snapshot_step = keys.get("snapshot_step", 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Linear(6, 2))
    attach(model, {"1.weight": torch.arange(24).view(6, 4) % 3 > 0})
    task = MadeImages()
    task.stop_after = stop_after
    training = TrainingConfig.model_validate(
        {
            "steps": f"{TOTAL}it",
            "batch_size": 6,
            "optimizer": OPTIMIZERS[optimizer],
            "schedule": {"name": "cosine", "warmup": "2it"},
            "evaluate_every": "2it",
            "clip_norm": 1.0,
        }
    )
    warnings = keys.get("warnings", [])
    resumption = folder and Resumption(folder, keys.get("every_seconds", 0), warnings.append)
    snapshots = SNAPSHOTS.setdefault(folder, {}) if folder else {}
    record = train(
        model,
        task,
        training,
        seed=1,
        device=CPU,
        callbacks=Callbacks({snapshot_step} - snapshots.keys(), snapshots.__setitem__, resumption=resumption),
    )
    return record, model.state_dict(), snapshots[snapshot_step], len(task.seen)


def assert_same(resumed: Outcome, whole: Outcome) -> None:
    record, final, snapshot, _ = resumed
    assert (record.curve, record.best, record.final) == (whole[0].curve, whole[0].best, whole[0].final)
    for ours, theirs in ((final, whole[1]), (snapshot, whole[2])):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_stopped_after_any_step_ends_with_the_same_bits(optimizer: str, tmp_path: Path) -> None:
    """Trap 11: resuming after a crash without the random state gives another ticket."""
    whole = run(optimizer)
    for stop in range(1, TOTAL):
        folder = tmp_path / str(stop)
        folder.mkdir()
        with pytest.raises(Stopped):
            run(optimizer, folder=folder, stop_after=stop)
        resumed = run(optimizer, folder=folder)
        assert resumed[-1] == TOTAL - stop, "steps were done again"
        assert_same(resumed, whole)


def test_a_training_stopped_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    for _ in range(TOTAL - 1):
        with pytest.raises(Stopped):
            run("adam", folder=tmp_path, stop_after=1)
    assert_same(run("adam", folder=tmp_path), run("adam"))


def test_writing_checkpoints_changes_nothing(tmp_path: Path) -> None:
    assert_same(run("momentum", folder=tmp_path), run("momentum"))


def test_a_checkpoint_is_written_no_oftener_than_asked(tmp_path: Path) -> None:
    run("sgd", folder=tmp_path, every_seconds=3600)
    assert list(tmp_path.iterdir()) == []


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def stopped_after_five(folder: Path) -> None:
    with pytest.raises(Stopped):
        run("adam", folder=folder, stop_after=5)
    assert checkpoints(folder) == ["checkpoint-4.safetensors", "checkpoint-5.safetensors"]


def test_a_crash_leaves_the_two_last_checkpoints_and_no_other_file(tmp_path: Path) -> None:
    stopped_after_five(tmp_path)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[:-7],
    "text": lambda content: b"not a checkpoint",
    "headless": lambda content: content[8:],
    "a bit of a weight": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "another step": lambda content: content.replace(b'\\"step\\": 5', b'\\"step\\": 6'),
    "no digest": lambda content: content.replace(b'"sha256"', b'"sha-56"'),
}


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    damaged = DAMAGES[how](content)
    assert damaged != content
    path.write_bytes(damaged)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before_with_a_warning(how: str, tmp_path: Path) -> None:
    stopped_after_five(tmp_path)
    newest = tmp_path / "checkpoint-5.safetensors"
    damage(newest, how)
    warnings: list[str] = []
    resumed = run("adam", folder=tmp_path, warnings=warnings)
    assert resumed[-1] == TOTAL - 4
    assert warnings == [f"{newest}: damaged checkpoint removed; the training goes on from iteration 4"]
    assert_same(resumed, run("adam"))


def test_when_both_checkpoints_are_damaged_the_training_begins_anew(tmp_path: Path) -> None:
    stopped_after_five(tmp_path)
    for name in checkpoints(tmp_path):
        damage(tmp_path / name, "truncated")
    SNAPSHOTS.pop(tmp_path)
    warnings: list[str] = []
    resumed = run("adam", folder=tmp_path, warnings=warnings)
    assert resumed[-1] == TOTAL
    assert [warning.split("; ")[1] for warning in warnings] == ["the training starts over"] * 2
    assert_same(resumed, run("adam"))


def test_a_checkpoint_that_the_system_does_not_let_be_read_is_kept(tmp_path: Path) -> None:
    stopped_after_five(tmp_path)
    newest = tmp_path / "checkpoint-5.safetensors"
    newest.rename(tmp_path / "elsewhere")
    newest.mkdir()  # reading it is an error of the system's, as on a file server that is gone
    with pytest.raises(RunError, match=r"checkpoint-5.safetensors: cannot be read \(.*\); .* and run again$"):
        run("adam", folder=tmp_path)
    newest.rmdir()
    (tmp_path / "elsewhere").rename(newest)
    assert run("adam", folder=tmp_path)[-1] == TOTAL - 5


def test_a_training_asked_for_an_earlier_snapshot_than_its_checkpoint_begins_anew(tmp_path: Path) -> None:
    """Otherwise there would be no weights of that step, or those of another were taken for them."""
    with pytest.raises(Stopped):
        run("sgd", folder=tmp_path, stop_after=6, snapshot_step=4)
    earlier = run("sgd", folder=tmp_path, snapshot_step=2)
    assert earlier[-1] == TOTAL
    assert_same(earlier, run("sgd", snapshot_step=2))


def test_a_training_asked_for_a_later_snapshot_goes_on(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run("sgd", folder=tmp_path, stop_after=6, snapshot_step=4)
    later = run("sgd", folder=tmp_path, snapshot_step=7)
    assert later[-1] == TOTAL - 6
    assert_same(later, run("sgd", snapshot_step=7))
