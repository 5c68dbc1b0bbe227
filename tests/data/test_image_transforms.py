import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ticketzoo.data.images import augment as image_transforms
from ticketzoo.data.images.augment import Augmentation, Normalization, normalized, pixel_statistics
from ticketzoo.data.images.batches import MemoryImages
from ticketzoo.errors import DataError


def images(*values: Any, channels: int = 1) -> MemoryImages:
    """1x1 images of these grey values, or of these lists of channel values."""
    pixels = torch.tensor(values, dtype=torch.uint8).view(len(values), channels, 1, 1)
    return MemoryImages(pixels, torch.zeros(len(values), dtype=torch.int64))


def normalize(value: Any, train: Any, pixels: Any = None) -> torch.Tensor:
    return Normalization(value).build(train)(train.pixels if pixels is None else pixels)


def test_pixels_are_scaled_to_one_then_shifted_by_mean_and_divided_by_std() -> None:
    out = normalize([0.5, 0.25], images(0, 255))
    assert out.dtype == torch.float32
    assert out.flatten().tolist() == [-2.0, 2.0]  # (0 - .5) / .25, (1 - .5) / .25
    per_channel = normalize([[0.0, 0.5, 1.0], [1.0, 0.5, 0.25]], images([255, 255, 255], channels=3))
    assert per_channel.flatten().tolist() == [1.0, 1.0, 0.0]
    assert normalize("unit", images(0, 255, 51)).flatten().tolist() == pytest.approx([0.0, 1.0, 0.2])
    imagenet = normalize("imagenet", images([255, 0, 0], channels=3)).flatten()
    assert imagenet.tolist() == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225])


def test_normalising_leaves_the_stored_pixels_alone() -> None:
    train = images(0, 255)
    normalize("unit", train)
    assert train.pixels.flatten().tolist() == [0, 255]


def test_dataset_statistics_are_those_of_the_training_pixels() -> None:
    train = images([0, 10, 0], [255, 10, 0], [0, 30, 0], [255, 30, 51], channels=3)
    mean, std = pixel_statistics(train)
    # 0 255 0 255: mean .5, std .5. 10 10 30 30: mean 20, std 10. 0 0 0 51: mean 12.75, std sqrt(3) / 4 * 51
    assert mean.tolist() == pytest.approx([0.5, 20 / 255, 12.75 / 255])
    assert std.tolist() == pytest.approx([0.5, 10 / 255, 3**0.5 / 4 * 51 / 255])
    out = normalize("dataset", train)
    assert out.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert out.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1, 1])


def test_a_normalisation_that_does_not_fit_is_refused() -> None:
    expected = "normalize has 3 channels, the images have 1: change normalize, or the data set's channels"
    with pytest.raises(DataError) as refused:
        Normalization("imagenet").build(images(0, 255))
    assert str(refused.value) == expected
    with pytest.raises(DataError, match="channel 1 has one value in all training images"):
        Normalization("dataset").build(images([0, 7, 1], [1, 7, 2], channels=3))


@pytest.mark.parametrize(
    "value", ["mnist", [0.5], [0.5, 0.0], [0.5, -1], [0.5, [0.5, 0]], [0, float("nan")], [[], []], 3]
)
def test_a_normalisation_that_cannot_be_is_refused_in_a_recipe(value: Any) -> None:
    with pytest.raises(ValidationError, match='write "dataset", "imagenet", "unit" or'):
        Normalization.model_validate(value)


@pytest.mark.parametrize("value", ["dataset", [0.1307, 0.3081], [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]])
def test_a_normalisation_is_written_as_it_was_read(value: Any) -> None:
    assert Normalization.model_validate(value).model_dump(mode="json") == value


def test_normalising_a_split_once_equals_normalising_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    train = images(*range(200))
    transform = Normalization("dataset").build(train)
    once = normalized(train, transform)
    rows = torch.tensor([5, 150, 5])
    device = torch.device("cpu")
    assert torch.equal(once.batch(rows, device)[0], transform(train.batch(rows, device)[0]))
    assert once.labels is train.labels
    monkeypatch.setattr(image_transforms, "MEMORY_LIMIT", 799)  # 200 pixels of 4 bytes don't fit
    assert normalized(train, transform) is train


def test_no_augmentation_is_nothing() -> None:
    assert Augmentation().build() is None


def augment(**settings: Any) -> nn.Module:
    built = Augmentation(**settings).build()
    assert built is not None
    return built


def windows(image: Any, padding: int) -> dict[tuple[int, int], torch.Tensor]:
    """Every crop of the zero-padded image, by top and left."""
    height, width = image.shape[1:]
    padded = torch.nn.functional.pad(image, [padding] * 4)
    places = itertools.product(range(2 * padding + 1), repeat=2)
    return {(top, left): padded[:, top : top + height, left : left + width] for top, left in places}


def test_every_image_is_cropped_at_its_own_uniformly_drawn_place() -> None:
    image = torch.arange(1, 25, dtype=torch.uint8).view(2, 3, 4)  # no two windows are alike
    torch.manual_seed(0)
    cropped = augment(crop=1)(image.repeat(900, 1, 1, 1))
    assert cropped.dtype == torch.uint8
    places = {tuple(window.flatten().tolist()): place for place, window in windows(image, 1).items()}
    drawn = Counter(places[tuple(out.flatten().tolist())] for out in cropped)  # KeyError: no window of the image
    assert len(drawn) == 9
    assert all(60 < times < 140 for times in drawn.values())  # 100 each, standard deviation 9.4


def test_a_crop_takes_the_same_place_of_each_channel_and_only_of_its_own_image() -> None:
    batch = torch.arange(1, 121, dtype=torch.uint8).view(5, 2, 3, 4)
    for _ in range(20):
        for image, out in zip(batch, augment(crop=2)(batch), strict=True):
            assert any(torch.equal(out, window) for window in windows(image, 2).values())


def test_every_image_is_flipped_on_its_own_coin() -> None:
    image = torch.tensor([[[1, 2], [3, 4]]], dtype=torch.uint8)
    torch.manual_seed(0)
    flipped = augment(flip=True)(image.repeat(1000, 1, 1, 1))
    drawn = Counter(tuple(out.flatten().tolist()) for out in flipped)
    assert set(drawn) == {(1, 2, 3, 4), (2, 1, 4, 3)}
    assert 400 < drawn[2, 1, 4, 3] < 600  # 500, standard deviation 16


def test_augmentation_repeats_with_the_global_seed() -> None:
    batch = torch.randint(0, 256, (8, 3, 5, 5), dtype=torch.uint8)
    augmented = augment(crop=2, flip=True)
    outs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outs.append(augmented(batch))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
