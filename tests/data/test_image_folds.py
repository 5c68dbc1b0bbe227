"""Folds of the training split, and nested subsets of it."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_folders import grey, write_folder
from pydantic import ValidationError
from torch import Tensor

from ticketzoo.data.images.splits import ImageDataset, ImageSplits, load_images
from ticketzoo.data.splits import stratified_fold
from ticketzoo.errors import DataError, RecipeError
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "ticketzoo-cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def digits(**settings: Any) -> ImageSplits:
    return load_images(ImageDataset(path="digits", **settings))


def pictures(splits: ImageSplits) -> set[tuple[int, ...]]:
    return {tuple(image.flatten().tolist()) for image in splits.train.pixels}


def test_two_folds_of_50_000_images_of_ten_classes_have_2_500_of_each_class() -> None:
    """The shape of CIFAR-10, as Morcos et al. (2019) divide it."""
    labels = torch.arange(10).repeat_interleave(5000)[
        torch.randperm(50_000, generator=torch.Generator().manual_seed(3))
    ]
    for fold in (0, 1):
        assert labels[stratified_fold(labels, fold, 2)].bincount().tolist() == [2500] * 10


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(2, 7))
def test_folds_are_disjoint_and_their_union_is_the_split(classes: list[int], of: int) -> None:
    labels = torch.tensor(classes)
    folds = torch.stack([stratified_fold(labels, fold, of) for fold in range(of)])
    assert (folds.sum(0) == 1).all()
    sizes = folds.sum(1)
    assert sizes.max() - sizes.min() <= 1
    for label in labels.unique():
        of_class = (folds & (labels == label)).sum(1)
        assert of_class.max() - of_class.min() <= 1
    again: Tensor = torch.stack([stratified_fold(labels.clone(), fold, of) for fold in range(of)])
    assert torch.equal(folds, again)


def test_folds_of_digits_are_disjoint_and_their_union_is_the_split() -> None:
    whole, *folds = digits(validation=0), *(digits(validation=0, part={"fold": fold, "of": 3}) for fold in range(3))
    assert [len(fold.train) for fold in folds] == [480, 479, 479]  # of 1,438
    assert set.union(*map(pictures, folds)) == pictures(whole)
    assert sum(len(pictures(fold)) for fold in folds) == len(pictures(whole))
    assert all(torch.equal(fold.test.pixels, whole.test.pixels) for fold in folds)
    other = digits(validation=0, part={"fold": 0, "of": 3}, examples=100)
    assert pictures(other) < pictures(folds[0]), "examples are drawn from the fold"
    assert pictures(digits(validation=0.5, part={"fold": 0, "of": 3})) < pictures(folds[0])


def test_100_examples_lie_within_300_and_these_within_1_000_in_equal_classes() -> None:
    whole = digits(validation=0)
    subsets = [digits(validation=0, examples=count) for count in (100, 300, 1000)]
    assert [subset.train.labels.bincount().unique().tolist() for subset in subsets] == [[10], [30], [100]]
    of_each = [pictures(subset) for subset in [*subsets, whole]]
    assert all(fewer < more for fewer, more in pairwise(of_each))


def test_a_fold_is_other_data_with_another_name() -> None:
    def task(**keys: Any) -> Any:
        return create_task(ImageClassificationConfig(type="image-classification", dataset={"path": "digits", **keys}))

    whole, first, second = task(), *(task(part={"fold": fold, "of": 2}) for fold in (0, 1))
    assert [one.name for one in (whole, first, second)] == ["digits", "digits-fold-0-of-2", "digits-fold-1-of-2"]
    assert len({one.identity["fingerprint"] for one in (whole, first, second)}) == 3
    assert task(part=None).identity == whole.identity
    assert "part" not in ImageDataset(path="digits").model_dump(mode="json")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"fold": 2, "of": 2}, "fold 2 of 2 is none: folds count from 0, so give 0 to 1"),
        ({"fold": -1, "of": 2}, "part.fold: input should be greater than or equal to 0"),
        ({"fold": 0, "of": 1}, "part.of: input should be greater than or equal to 2"),
        ({"fold": 0}, "part.of"),
        ({"fold": 0, "of": 2, "seed": 1}, "unknown key 'targets.0.task.dataset.part.seed'"),
    ],
)
def test_a_fold_that_cannot_be_is_refused_with_its_key(part: dict[str, int], said: str) -> None:
    task = {"type": "image-classification", "dataset": {"path": "digits", "part": part}}
    content = {"name": "folds", "tickets": ["a"], "levels": [1], "targets": [{"task": task}]}
    with pytest.raises(RecipeError) as error:
        parse_recipe(content, TransferRecipe, "test")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(ValidationError):
        ImageDataset(path="digits", part=part)


def test_folds_that_leave_a_class_empty_are_refused(tmp_path: Path) -> None:
    images = {"a": [grey(shade) for shade in range(6)], "b": [grey(100 + shade) for shade in range(2)]}
    folder = write_folder(tmp_path / "d", {"train": images, "test": {"a": [grey(200)], "b": [grey(210)]}})
    assert len(load_images(ImageDataset(path=str(folder), validation=0, part={"fold": 1, "of": 2})).train) == 4
    for fold in range(3):
        said = r"part: .* has 2 images of class 'b', too few for 3 folds: lower task\.dataset\.part\.of"
        with pytest.raises(DataError, match=said):
            load_images(ImageDataset(path=str(folder), validation=0, part={"fold": fold, "of": 3}))
