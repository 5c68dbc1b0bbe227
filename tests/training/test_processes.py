"""What several processes train is what one trains, to rounding."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from launched import results_of
from torch import nn

from ticketzoo.distributed import processes
from ticketzoo.distributed.batch_norm import synchronise_batch_norm
from ticketzoo.masks.attach import attach
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.state import copy_state
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig
from ticketzoo.training import TrainingConfig, train
from ticketzoo.training.callbacks import Callbacks, Resumption
from ticketzoo.training.scores import EdgePopup
from ticketzoo.training.statistics import gather_statistics
from ticketzoo.util.signals import Interrupted, ending_by_itself, raise_when_interrupted

CPU = torch.device("cpu")
IMAGES: dict[str, Any] = {
    "type": "image-classification",
    "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 61},
    "augment": {"crop": 1, "flip": True},
}
TRAINING = {
    "steps": "10it",  # of 15 images; the fifth is the last of its epoch and has one
    "batch_size": 15,
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "clip_norm": 1.0,
    "evaluate_every": "4it",
}
WEIGHTS = ("0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias")


def train_on_images(sync_batchnorm: bool) -> Any:
    """The weights and metrics that a masked network with BatchNorm comes to."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    model = nn.Sequential(*layers)
    attach(model, {"4.weight": torch.arange(432).view(3, 144) % 3 > 0})
    task = create_task(ImageClassificationConfig.model_validate(IMAGES))
    training = TrainingConfig.model_validate(TRAINING | {"sync_batchnorm": sync_batchnorm})
    snapshots: dict[int, float] = {}
    record = train(
        model,
        task,
        training,
        seed=3,
        device=CPU,
        callbacks=Callbacks([5], lambda step, state: snapshots.update({step: state["0.weight"].sum().item()})),
    )
    state = copy_state(model)
    return {
        "digest": state_sha256(state),
        "state": {name: tensor.tolist() for name, tensor in state.items()},
        "curve": record.curve,
        "final": record.final,
        "snapshots": list(snapshots.values()),
    }


def train_a_mask() -> dict[str, Any]:
    """The statistics and the mask that edge-popup comes to."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.Flatten()
    model = nn.Sequential(*layers, nn.Linear(144, 3, bias=False))
    masks = {"4.weight": torch.ones(3, 144, dtype=torch.bool), "0.weight": torch.ones(4, 1, 3, 3, dtype=torch.bool)}
    learn = EdgePopup({"4.weight": 200, "0.weight": 18})
    learn.install(model, masks, 0)
    images = IMAGES | {"dataset": IMAGES["dataset"] | {"examples": 60}}
    task = create_task(ImageClassificationConfig.model_validate(images))
    train(model, task, TrainingConfig.model_validate(TRAINING), seed=3, device=CPU)
    learned = learn.learned(model)
    kept = {name: mask.flatten().tolist() for name, mask in learned.masks.items()}
    return {"mean": learned.weights["1.running_mean"].tolist(), "var": learned.weights["1.running_var"].tolist()} | kept


@pytest.mark.slow
def test_statistics_of_a_mask_are_of_whole_batches_of_two_processes(tmp_path: Path) -> None:
    """A ticket that is used as it is holds them; of the first process alone they would be of half the images."""
    alone, (first, second) = train_a_mask(), results_of(2, train_a_mask, tmp_path)
    assert first == second
    assert first["mean"] == pytest.approx(alone["mean"], rel=1e-4)
    assert first["var"] == pytest.approx(alone["var"], rel=1e-4)
    assert first["0.weight"] == alone["0.weight"]


def flat(content: Any) -> list[float]:
    """The numbers in a JSON document, in order."""
    if isinstance(content, dict | list):
        return [
            number for part in (content.values() if isinstance(content, dict) else content) for number in flat(part)
        ]
    return [content]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_processes_train_what_one_trains(count: int, tmp_path: Path) -> None:
    """Uneven shares, a batch smaller than the processes, augmentation, masks, momentum, clipping, BatchNorm."""
    alone = train_on_images(True)
    together = results_of(count, train_on_images, tmp_path, True)
    assert len({result["digest"] for result in together}) == 1
    weights, of_one = ([result["state"][name] for name in WEIGHTS] for result in (together[0], alone))
    assert flat(weights) == pytest.approx(flat(of_one), rel=1e-4, abs=1e-6)
    for part in ("state", "curve", "final"):  # the image that all had counts as several in BatchNorm's variance
        assert flat(together[0][part]) == pytest.approx(flat(alone[part]), rel=5e-3, abs=1e-6)
    assert [bool(result["snapshots"]) for result in together] == [True] + [False] * (count - 1)
    assert together[0]["snapshots"] == pytest.approx(alone["snapshots"], rel=1e-4)
    pruned = torch.tensor(together[0]["state"]["4.weight"]).flatten() == 0
    assert torch.equal(pruned, torch.arange(432) % 3 == 0)


def gathered_statistics() -> dict[str, list[float]]:
    """Return statistics of BatchNorm over four batches of 15 images, of which two processes see 7 and 8."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    images = IMAGES | {"dataset": IMAGES["dataset"] | {"examples": 60}}
    gather_statistics(model, create_task(ImageClassificationConfig.model_validate(images)), 15, 3, CPU)
    return {name: tensor.tolist() for name, tensor in model.named_buffers() if tensor.dim()}


def look_at_parts() -> Any:
    """BatchNorm of each process's own, random numbers, shares."""
    local = train_on_images(False)
    model = nn.Sequential(nn.BatchNorm2d(2, momentum=None))
    synchronise_batch_norm(model, CPU)
    images = torch.randn(10, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    model(processes.share_of(10).of(images))
    torch.manual_seed(derive_seed(0))
    drawn_before = torch.rand(1).item()
    dropout = nn.Dropout()
    processes.own_random_numbers(dropout)
    return {
        "digest": local["digest"],
        "mean": model[0].running_mean.tolist(),
        "variance": model[0].running_var.tolist(),
        "shares": [torch.arange(total)[processes.share_of(total).start : processes.share_of(total).stop].tolist()
                   for total in (1, 2, 7, 8)],
        "gathered": gathered_statistics(),
        "mine": list(processes.mine(range(5))),
        "sums": processes.summed(processes.rank(), 0.5),
        "shared out": [[item, done.item()] for item, done in processes.shared_out(torch.tensor, [4, 5, 6])],
        "drawn before": drawn_before,
        "dropped": dropout(torch.ones(30)).tolist(),
    }  # fmt: skip


def test_what_processes_take_and_tell_each_other(tmp_path: Path) -> None:
    first, second = results_of(2, look_at_parts, tmp_path)
    images = torch.randn(10, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    values = images.transpose(0, 1).flatten(1)
    alone = gathered_statistics()
    assert first["gathered"] == second["gathered"]
    for found in (first, second):
        for name, values_of_one in alone.items():
            assert found["gathered"][name] == pytest.approx(values_of_one, rel=1e-5)
        assert found["mean"] == pytest.approx(values.mean(1).tolist(), abs=1e-6)
        assert found["variance"] == pytest.approx(values.var(1).tolist(), rel=1e-5)
        assert found["sums"] == [1.0, 1.0]
        assert found["shared out"] == [[4, 4], [5, 5], [6, 6]]
    assert first["digest"] == second["digest"]  # with the running averages of the first
    assert first["shares"] == [[0], [0], [0, 1, 2], [0, 1, 2, 3]]
    assert second["shares"] == [[0], [1], [3, 4, 5, 6], [4, 5, 6, 7]]
    assert (first["mine"], second["mine"]) == ([0, 2, 4], [1, 3])
    assert first["drawn before"] == second["drawn before"]
    assert first["dropped"] != second["dropped"]


def stopped_while_the_disk_is_slow(folder: str) -> Any:
    """List the folder of a training when this process learns that a signal to the second has stopped it."""
    task = create_task(ImageClassificationConfig.model_validate(IMAGES))
    sync = os.fsync

    def slowly(handle: int) -> None:
        time.sleep(1)
        sync(handle)

    def signalled_once(step: int, total: int) -> None:
        if processes.rank() == 1 and step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    os.fsync = slowly  # type: ignore[assignment]
    raise_when_interrupted()
    with ending_by_itself(), pytest.raises(Interrupted):
        train(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 3)),
            task,
            TrainingConfig.model_validate(TRAINING),
            seed=0,
            device=CPU,
            callbacks=Callbacks(on_progress=signalled_once, resumption=Resumption(Path(folder))),
        )
    return [path.name for path in Path(folder).iterdir()]


@pytest.mark.slow
def test_all_wait_for_the_checkpoint_that_the_first_writes(tmp_path: Path) -> None:
    """Else those that have nothing to write end, and have the first end in the middle of it."""
    (tmp_path / "cell").mkdir()
    found = results_of(2, stopped_while_the_disk_is_slow, tmp_path, str(tmp_path / "cell"))
    assert found == [["checkpoint-2.safetensors"]] * 2
