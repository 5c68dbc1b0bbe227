"""The key `label_noise` of image data: exact counts, drawn from the seed and the split alone."""

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_folders import grey, write_folder
from pydantic import ValidationError

from ticketzoo.data.images.label_noise import LabelNoise
from ticketzoo.data.images.splits import ImageDataset, ImageSplits, load_images
from ticketzoo.errors import DataError, RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig
from ticketzoo.ticket.card_kinds import data_facts


def noise(kind: Literal["redraw", "flip"], fraction: float) -> LabelNoise:
    return LabelNoise(kind=kind, fraction=fraction)


def digits(**settings: Any) -> ImageSplits:
    return load_images(ImageDataset(path="digits", **settings))


@given(st.integers(1, 300), st.integers(2, 6), st.sampled_from([0.01, 0.1, 0.2, 1 / 3, 1.0]), st.integers(0, 9))
def test_flip_gives_exactly_so_many_labels_another_class(n: int, classes: int, fraction: float, seed: int) -> None:
    labels = torch.arange(n) % classes
    noisy = noise("flip", fraction).on(labels, classes, seed)
    assert int((noisy != labels).sum()) == noise("flip", fraction).count(n) >= fraction * n - 1e-6
    assert noisy.min() >= 0 and noisy.max() < classes
    assert torch.equal(noisy, noise("flip", fraction).on(labels.clone(), classes, seed))


def test_the_fraction_is_taken_as_it_is_written() -> None:
    """In binary 0.07 * 100 is more than 7."""
    assert [noise("flip", fraction).count(100) for fraction in (0.07, 0.2, 0.201)] == [7, 20, 21]


def test_redraw_leaves_a_tenth_of_ten_classes_as_it_was() -> None:
    """Of 60,000 labels 12,000 are drawn anew, and 0.9 * 12,000 change: 18% of all, +- 4 standard deviations of 32.9."""
    labels = torch.arange(60_000) % 10
    noisy = noise("redraw", 0.2).on(labels, 10, 0)
    assert abs(int((noisy != labels).sum()) - 10_800) < 4 * 33
    assert all(abs(count - 6000) < 4 * 33 for count in noisy.bincount().tolist())


def test_more_noise_contains_the_changes_of_less_and_seeds_differ() -> None:
    labels = torch.zeros(1000, dtype=torch.int64)
    some, more, other = (noise("redraw", share).on(labels, 5, seed) for share, seed in ((0.1, 0), (0.3, 0), (0.1, 1)))
    assert torch.equal(more[some != 0], some[some != 0])
    assert not torch.equal(some, other)


def test_only_training_labels_are_noisy() -> None:
    plain = digits(examples=100, validation=50)
    noisy = digits(examples=100, validation=50, label_noise={"kind": "flip", "fraction": 0.2})
    for split in ("validation", "test"):
        assert torch.equal(getattr(noisy, split).labels, getattr(plain, split).labels)
        assert getattr(noisy, split).clean is None
    assert int((noisy.train.labels != plain.train.labels).sum()) == 20
    assert torch.equal(noisy.train.clean, plain.train.labels)
    assert noisy.fingerprint != plain.fingerprint


def test_noise_of_images_that_are_not_in_memory_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "cache"))
    splits = {split: {"a": [grey(9)] * 6, "b": [grey(200)] * 6} for split in ("train", "test")}
    folder = write_folder(tmp_path / "images", splits)
    keys = {"path": str(folder), "validation": 0, "label_noise": {"kind": "flip", "fraction": 0.5}}
    kept, streamed = (load_images(ImageDataset(**keys, in_memory=memory, workers=0)) for memory in (True, False))
    assert torch.equal(kept.train.labels, streamed.train.labels) and torch.equal(kept.train.clean, streamed.train.clean)
    assert streamed.train.clean is not None
    both = torch.stack([streamed.train.labels, streamed.train.clean], 1)
    _, rows = streamed.train.labelled(both).batch(torch.tensor([3, 1]), torch.device("cpu"))
    assert torch.equal(rows, both[[3, 1]])
    task = create_task(ImageClassificationConfig(type="image-classification", dataset=ImageDataset(**keys)))
    assert task.examples["train"] == 12


def test_the_noise_is_part_of_what_the_numbers_depend_on() -> None:
    def identity(**keys: Any) -> dict[str, Any]:
        section = {"type": "image-classification", "dataset": {"path": "digits", "examples": 50, **keys}}
        return create_task(ImageClassificationConfig.model_validate(section)).identity

    named = {"kind": "redraw", "fraction": 0.2}
    assert "label_noise" not in identity() and identity(label_noise=named)["label_noise"] == named
    assert "label_noise" not in ImageDataset(path="digits").model_dump()
    assert ImageDataset(path="digits", label_noise=noise("redraw", 0.2)).short_name == "digits-redraw-0.2"


@pytest.mark.parametrize("fraction", [0, -0.1, 1.2, "half"])
def test_a_fraction_that_cannot_be_is_an_error_of_one_line(fraction: object) -> None:
    section = {"type": "image-classification", "dataset": {"path": "digits", "label_noise": {"kind": "flip"}}}
    section["dataset"]["label_noise"]["fraction"] = fraction
    with pytest.raises(RecipeError, match=r"^recipe.*label_noise\.fraction") as refused:
        parse_recipe(section, ImageClassificationConfig, "recipe")
    assert "\n" not in str(refused.value)
    with pytest.raises(ValidationError):
        LabelNoise.model_validate({"kind": "shuffle", "fraction": 0.2})


def test_one_class_has_no_other_label() -> None:
    with pytest.raises(DataError, match="two classes or more"):
        noise("flip", 0.2).on(torch.zeros(4, dtype=torch.int64), 1, 0)
    with pytest.raises(DataError, match="images of one class only of classes 3"):
        digits(classes=[3], label_noise={"kind": "flip", "fraction": 0.2})


def test_the_card_says_what_the_labels_went_through() -> None:
    text = "task: {dataset: {path: digits, label_noise: {kind: redraw, fraction: 0.2}}}"
    (_, words), (_, adversarial) = data_facts(text)
    assert words is not None and words.startswith("0.2 of the training labels are drawn anew") and adversarial is None
    assert data_facts("task: {dataset: {label_noise: {kind: redraw, fraction: 20}}}")[0][1] is None
    assert data_facts(None) == [("noise in labels", None), ("adversarial", None)]
