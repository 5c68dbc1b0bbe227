import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from image_folders import grey, write_folder
from torch import Tensor, nn

from ticketzoo.data.images.splits import ImageDataset
from ticketzoo.distributed.processes import Share
from ticketzoo.errors import RecipeError
from ticketzoo.models import create_model
from ticketzoo.models.create import arguments_for
from ticketzoo.models.signature import Classes, Image, Signature
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import Batch, ImageClassification, ImageClassificationConfig
from ticketzoo.training import TrainingConfig, train

CPU = torch.device("cpu")


class Brightness(nn.Module):
    """Scores (0, brightness) for two classes: dark and bright."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        bright = x.mean((1, 2, 3))
        return torch.stack([torch.zeros_like(bright), bright], 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """4x4 images, black (0) or white (1): training has 3 of each; of the test images, one white one is called dark."""
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    black, white = grey(0), grey(255)
    splits = {
        "train": {"bright": [white] * 3, "dark": [black] * 3},
        "test": {"bright": [white] * 2, "dark": [black, white]},
    }
    return write_folder(tmp_path / "images", splits)


def task_of(path: Path | str, *, dataset: dict[str, Any] | None = None, **keys: Any) -> ImageClassification:
    content = {
        "type": "image-classification",
        "dataset": {"path": str(path), "validation": 0, "classes": [1, 0]} | (dataset or {}),  # dark, bright
        "normalize": "unit",
    }
    task = create_task(ImageClassificationConfig.model_validate(content | keys))
    assert isinstance(task, ImageClassification)
    return task


def digits(dataset: dict[str, Any] | None = None, **keys: Any) -> ImageClassification:
    return task_of("digits", dataset={"validation": 0.1, "classes": None} | (dataset or {}), **keys)


def cross_entropy(score: float, label: int) -> float:
    """-ln of the label's share of e^0 and e^score."""
    return math.log(1 + math.exp(score)) - (score if label == 1 else 0)


def test_the_loss_is_the_mean_cross_entropy_in_nats(folder: Path) -> None:
    task = task_of(folder)
    ((images, labels, share, _),) = task.batches(6, 0, 0, 1, CPU)
    assert sorted(zip(images.mean((1, 2, 3)).tolist(), labels.tolist(), strict=True)) == [(0, 0)] * 3 + [(1, 1)] * 3
    loss = task.loss(Brightness(), Batch(images, labels, share)).item()
    assert loss == pytest.approx((math.log(2) + math.log(1 + math.exp(-1))) / 2)


def test_label_smoothing_gives_every_class_its_share_in_training_alone(folder: Path) -> None:
    task = task_of(folder, label_smoothing=0.2)
    (batch,) = task.batches(6, 0, 0, 1, CPU)
    # Of two classes, the right one gets 0.8 + 0.2 / 2 and the wrong one 0.1.
    black = 0.9 * cross_entropy(0, 0) + 0.1 * cross_entropy(0, 1)
    white = 0.9 * cross_entropy(1, 1) + 0.1 * cross_entropy(1, 0)
    assert task.loss(Brightness(), batch).item() == pytest.approx((black + white) / 2)
    assert task.evaluate(Brightness(), "test", CPU) == task_of(folder).evaluate(Brightness(), "test", CPU)


def batch_norm() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.BatchNorm1d(2))


def test_a_last_batch_of_one_image_is_said_to_be_too_few_for_batch_norm(folder: Path) -> None:
    training = TrainingConfig.model_validate({"steps": "1ep", "batch_size": 5})  # of 6 images
    with pytest.raises(RecipeError) as raised:
        train(batch_norm(), task_of(folder), training, seed=0, device=CPU)
    assert str(raised.value) == (
        "training.batch_size: a batch of the 6 training images has only 1, too few for the model's BatchNorm; "
        "choose another size, or another number of task.dataset.examples"
    )


def test_a_process_s_part_of_one_image_is_said_to_be_too_few_for_batch_norm(folder: Path) -> None:
    task = task_of(folder)
    ((images, labels, *_),) = task.batches(6, 0, 0, 1, CPU)
    with pytest.raises(RecipeError, match=r"part of a batch of 2 images has only 1, .* or training\.sync_batchnorm$"):
        task.loss(batch_norm(), Batch(images[:1], labels[:1], Share(2, 0, 1)))


def test_a_batch_of_one_image_is_enough_where_batch_norm_sees_several_positions(folder: Path) -> None:
    ((images, labels, *_),) = task_of(folder).batches(1, 0, 0, 1, CPU)
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 2))
    assert task_of(folder).loss(model, Batch(images, labels, Share(1, 0, 1))).isfinite()


def test_evaluation_is_the_mean_over_the_split(folder: Path) -> None:
    metrics = task_of(folder).evaluate(Brightness(), "test", CPU)
    # White called bright twice, black called dark (a tie: the first class wins), white called dark.
    expected = (2 * cross_entropy(1, 1) + cross_entropy(0, 0) + cross_entropy(1, 0)) / 4
    assert metrics == {"loss": pytest.approx(expected), "accuracy": 0.75}


def test_evaluation_in_many_batches_is_that_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    task = digits()
    model = create_model("lenet-300-100", seed=0, **arguments_for("lenet-300-100", task.signature)).eval()
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    usual = task.evaluate(model, "test", CPU)
    monkeypatch.setattr("ticketzoo.tasks.image_classification.EVALUATION_IMAGES_ON_CPU", 1000)
    whole = task.evaluate(model, "test", CPU)
    monkeypatch.setattr("ticketzoo.tasks.image_classification.EVALUATION_VALUES", 64 * 17)
    small = task.evaluate(model, "test", CPU)
    assert sizes == [128, 128, 103, 359, *[17] * 21, 2]
    for parts in (usual, small):
        assert parts["accuracy"] == whole["accuracy"]
        assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)


def test_evaluation_equals_pytorch_s_cross_entropy_over_all_images_at_once() -> None:
    task = digits()
    model = create_model("lenet-300-100", seed=0, **arguments_for("lenet-300-100", task.signature)).eval()
    seen = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    metrics = task.evaluate(model, "validation", CPU)
    images = torch.cat(seen)
    assert (images.shape, images.dtype, images.min().item(), images.max().item()) == (
        (144, 1, 8, 8), torch.float32, 0.0, 1.0
    )  # fmt: skip
    labels = torch.cat([labels for _, labels in [task._held_out["validation"].batch(torch.arange(144), CPU)]])
    scores = model(images)
    assert metrics["loss"] == pytest.approx(nn.functional.cross_entropy(scores, labels).item(), rel=1e-6)
    assert metrics["accuracy"] == (scores.argmax(1) == labels).sum().item() / 144


def test_evaluation_keeps_no_graph() -> None:
    model = create_model("lenet-300-100", seed=0, in_shape=[1, 8, 8], num_classes=10)
    outputs = []
    model.register_forward_hook(lambda *arguments: outputs.append(arguments[2]))
    digits().evaluate(model, "test", CPU)
    assert not any(output.requires_grad for output in outputs)


def test_classes_decide_the_model_and_are_relabelled() -> None:
    task = digits({"classes": [7, 3, 5]})
    assert task.signature == Signature(Image(1, 8, 8), Classes(3))
    model = create_model("lenet-300-100", seed=0, **arguments_for("lenet-300-100", task.signature))
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 3)
    ((_, labels, *_),) = task.batches(10_000, 0, 0, 1, CPU)
    assert labels.unique().tolist() == [0, 1, 2]


def test_an_epoch_counts_its_last_smaller_batch() -> None:
    task = digits({"examples": 100})
    assert {size: task.steps_per_epoch(size) for size in (1, 33, 50, 100, 128)} == {
        1: 100,
        33: 4,
        50: 2,
        100: 1,
        128: 1,
    }
    assert [len(labels) for _, labels, *_ in task.batches(33, 0, 0, 5, CPU)] == [33, 33, 33, 1, 33]


def test_batches_follow_the_seed_and_the_step() -> None:
    task = digits({"examples": 100})

    def sums(seed: int, start: int, stop: int) -> list[float]:
        return [images.sum().item() for images, *_ in task.batches(30, seed, start, stop, CPU)]

    assert sums(0, 0, 9) == sums(0, 0, 9)
    assert sums(0, 5, 9) == sums(0, 0, 9)[5:]
    assert sums(0, 0, 4) != sums(1, 0, 4)
    assert sums(0, 0, 4) != sums(0, 4, 8)  # another order in the second epoch


def test_augmentation_follows_the_global_random_numbers_and_leaves_evaluation_alone() -> None:
    task, model = digits(augment={"crop": 2, "flip": True}), Brightness()
    (batch,) = task.batches(32, 0, 0, 1, CPU)
    assert batch[0].dtype == torch.uint8

    def images(seed: int) -> Tensor:
        torch.manual_seed(derive_seed(seed, "augment", 0))
        with pytest.raises(IndexError):  # two scores for ten classes
            task.loss(model, batch)
        return model.seen

    assert torch.equal(images(0), images(0))
    assert not torch.equal(images(0), images(1))
    assert images(0).dtype == torch.float32
    network = create_model("lenet-300-100", seed=0, **arguments_for("lenet-300-100", task.signature)).eval()
    assert task.evaluate(network, "test", CPU) == digits().evaluate(network, "test", CPU)


def test_without_validation_there_is_none(folder: Path) -> None:
    assert not task_of(folder).has_validation
    assert task_of(folder, dataset={"validation": 2}).has_validation


def test_the_identity_is_of_the_data_s_content_not_of_its_place(folder: Path) -> None:
    copy = shutil.copytree(folder, folder.with_name("elsewhere"))
    first, second = task_of(folder, name="one"), task_of(copy, name="two")
    assert first.identity == second.identity
    assert (first.name, second.name) == ("one", "two")
    assert str(folder) not in str(first.identity)
    grey(254).save(copy / "train" / "bright" / "0000.png")
    assert task_of(copy).identity != first.identity


@pytest.mark.parametrize(
    ("dataset", "keys"),
    [
        ({}, {"normalize": "dataset"}),
        ({}, {"normalize": [0.5, 0.5]}),
        ({}, {"augment": {"crop": 1}}),
        ({}, {"augment": {"flip": True}}),
        ({}, {"label_smoothing": 0.1}),
        ({"classes": [0, 1]}, {}),
        ({"examples": 50}, {}),
        ({"split_seed": 1}, {}),
        ({"validation": 0.2}, {}),
        ({"image_size": 9}, {}),
    ],
)
def test_whatever_decides_the_numbers_is_in_the_identity(dataset: dict[str, Any], keys: dict[str, Any]) -> None:
    assert digits(dataset, **keys).identity != digits().identity


@pytest.mark.parametrize(
    ("path", "classes", "name"),
    [
        ("digits", None, "digits"),
        ("digits", (5, 6, 7), "digits-5-7"),
        ("digits", (7, 5, 6), "digits-7-5-6"),
        ("digits", (4,), "digits-4"),
        ("zalando-datasets/fashion_mnist", None, "fashion-mnist"),
        ("/data/My_Images/", (0, 1), "my-images-0-1"),
    ],
)
def test_data_is_called_after_its_path_and_classes(path: str, classes: tuple[int, ...] | None, name: str) -> None:
    assert ImageDataset(path=path, classes=classes).short_name == name
