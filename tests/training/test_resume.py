from pathlib import Path
from typing import Any

import pytest
import torch
from made_task import CPU, MadeImages, Stopped
from torch import nn

from ticketzoo.ticket.masking import attach
from ticketzoo.training import Record, TrainingConfig, train
from ticketzoo.training.checkpoint import State
from ticketzoo.training.loop import Resumption

OPTIMIZERS = {
    "sgd": {"name": "sgd", "lr": 0.1},
    "momentum": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "adam": {"name": "adam", "lr": 0.01},
    "adamw": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
}
TOTAL = 9
Outcome = tuple[Record, State, State, int]
"""The record, the trained state, the snapshot, and how many steps were done."""


def run(optimizer: str, *, checkpoint: Path | None = None, stop_after: int | None = None, **keys: Any) -> Outcome:
    """A training with dropout, batch normalisation, augmentation, masks and a snapshot; saves after every step."""
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
    resumption = checkpoint and Resumption(checkpoint, every_seconds=keys.get("every_seconds", 0))
    snapshot_step = keys.get("snapshot_step", 4)
    record, snapshot = train(
        model, task, training, seed=1, device=CPU, snapshot_step=snapshot_step, resumption=resumption
    )
    return record, model.state_dict(), snapshot, len(task.seen)


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
        checkpoint = tmp_path / f"{stop}.safetensors"
        with pytest.raises(Stopped):
            run(optimizer, checkpoint=checkpoint, stop_after=stop)
        resumed = run(optimizer, checkpoint=checkpoint)
        assert resumed[-1] == TOTAL - stop, "steps were done again"
        assert_same(resumed, whole)


def test_a_training_stopped_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    for _ in range(TOTAL - 1):
        with pytest.raises(Stopped):
            run("adam", checkpoint=checkpoint, stop_after=1)
    assert_same(run("adam", checkpoint=checkpoint), run("adam"))


def test_writing_checkpoints_changes_nothing(tmp_path: Path) -> None:
    assert_same(run("momentum", checkpoint=tmp_path / "checkpoint.safetensors"), run("momentum"))


def test_a_checkpoint_is_written_no_oftener_than_asked(tmp_path: Path) -> None:
    run("sgd", checkpoint=tmp_path / "checkpoint.safetensors", every_seconds=3600)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_leaves_one_whole_checkpoint_and_no_other_file(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run("sgd", checkpoint=tmp_path / "checkpoint.safetensors", stop_after=5)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "headless", "missing step"])
def test_a_checkpoint_that_cannot_be_read_is_ignored(damage: str, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        run("adam", checkpoint=checkpoint, stop_after=5)
    content = checkpoint.read_bytes()
    damaged = {
        "empty": b"",
        "truncated": content[:-7],
        "text": b"not a checkpoint",
        "headless": content[8:],
        "missing step": content.replace(b'\\"step\\"', b'\\"stop\\"'),
    }
    assert damaged[damage] != content
    checkpoint.write_bytes(damaged[damage])
    resumed = run("adam", checkpoint=checkpoint)
    assert resumed[-1] == TOTAL
    assert_same(resumed, run("adam"))


@pytest.mark.parametrize("asked", [2, None])
def test_a_checkpoint_of_a_run_that_kept_another_step_is_not_mistaken_for_this_one_s(
    asked: int | None, tmp_path: Path
) -> None:
    """Otherwise the weights at the old rewind step would be taken for those at the new one."""
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        run("sgd", checkpoint=checkpoint, stop_after=6, snapshot_step=4)
    assert_same(run("sgd", checkpoint=checkpoint, snapshot_step=asked), run("sgd", snapshot_step=asked))
