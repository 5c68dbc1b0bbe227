"""The key `blur` of image data: pixels by hand, and data that are told apart."""

import pytest
import torch

from ticketzoo.data.images.blur import blurred
from ticketzoo.data.images.config import ImageDataset
from ticketzoo.data.images.splits import load_images
from ticketzoo.errors import DataError


def test_four_pixels_become_their_mean() -> None:
    image = torch.tensor([[[[0, 2], [4, 10]]]], dtype=torch.uint8)
    assert blurred(image, 2).tolist() == [[[[4, 4], [4, 4]]]]
    assert blurred(image, 9).tolist() == [[[[4, 4], [4, 4]]]]
    assert blurred(image[:0], 2).shape == (0, 1, 2, 2)


def test_two_halves_run_into_each_other() -> None:
    """Means 0 and 100 at 1 and 3 of 4: bilinear between these, constant outside."""
    image = torch.tensor([0, 0, 100, 100], dtype=torch.uint8).view(1, 1, 1, 4)
    assert blurred(image, 2).flatten().tolist() == [0, 25, 75, 100]


def test_blurred_data_are_other_data_of_the_same_labels() -> None:
    plain, blur = (load_images(ImageDataset(path="digits", examples=50, blur=factor)) for factor in (None, 4))
    assert plain.in_shape == blur.in_shape and plain.fingerprint != blur.fingerprint
    (first, labels), (second, same) = (of.test.batch(torch.arange(3), torch.device("cpu")) for of in (plain, blur))
    assert torch.equal(labels, same) and not torch.equal(first, second)
    assert torch.equal(second, blurred(first, 4))
    assert ImageDataset(path="digits", blur=4).short_name == "digits-blur-4"
    assert "blur" not in ImageDataset(path="digits").model_dump()


def test_images_that_are_not_in_memory_are_refused() -> None:
    with pytest.raises(DataError, match="blur is for images in memory"):
        load_images(ImageDataset(path="digits", blur=4, in_memory=False))
