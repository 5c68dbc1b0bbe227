"""Views of images, against torchvision's operations on one image at a time."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from ticketzoo.data.images.views import ViewsConfig, blurred, cropped


def images(count: int = 5, channels: int = 3, height: int = 12, width: int = 10) -> Tensor:
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def views(seed: int = 0, of: Tensor | None = None, total: int | None = None, start: int = 0, **keys: Any) -> Tensor:
    of = images() if of is None else of
    return ViewsConfig.model_validate(keys).of(of, total or len(of), start, seed)


NOTHING = {"crop": [1.0, 1.0], "ratio": [1.0, 1.0], "flip": False, "jitter": 0, "grey": 0, "blur": 0}


def test_without_changes_a_view_is_the_image() -> None:
    square = images(height=10)
    assert torch.allclose(views(of=square, **NOTHING), square / 255, atol=1e-6)


def test_a_part_is_cut_and_resized_as_torchvision_does() -> None:
    pixels = images().float() / 255
    boxes = torch.tensor([[0.2, 0.0], [0.25, 0.0], [0.5, 1.0], [0.5, 1.0]])  # left, top, width, height
    ours = cropped(pixels[:2], boxes, 12)
    for image, (left, top, width, height), view in zip(pixels, [(2, 3, 5, 6), (0, 0, 10, 12)], ours, strict=False):
        theirs = tv.resized_crop(image, top, left, height, width, [12, 12], antialias=False)
        assert torch.allclose(view[:, 2:-2, 2:-2], theirs[:, 2:-2, 2:-2], atol=1e-5)  # edges see beyond the part


def test_a_blur_is_torchvisions() -> None:
    pixels, sigmas = images().float() / 255, torch.tensor([0.1, 0.5, 1.0, 1.5, 2.0])
    for image, sigma, view in zip(pixels, sigmas.tolist(), blurred(pixels, sigmas), strict=True):
        assert torch.allclose(view, tv.gaussian_blur(image, [3, 3], [sigma, sigma]), atol=1e-5)
    large = torch.rand(1, 1, 60, 50)
    assert torch.allclose(blurred(large, sigmas[2:3]), tv.gaussian_blur(large, [5, 5], [1.0, 1.0]), atol=1e-5)


def test_jitter_is_torchvisions_brightness_contrast_and_saturation_in_turn() -> None:
    drawn = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.25, 0.0], [0.75, 0.0, 1.0]])
    pixels = images(3).float() / 255
    ours = ViewsConfig(jitter=0.4)._jittered(pixels, drawn)
    for number, image in enumerate(pixels):
        brightness, contrast, saturation = (1 + 0.4 * (2 * drawn[:, number] - 1)).tolist()
        theirs = tv.adjust_saturation(tv.adjust_contrast(tv.adjust_brightness(image, brightness), contrast), saturation)
        assert torch.allclose(ours[number], theirs, atol=1e-5)


def test_grey_images_have_no_colour_to_lose_and_colour_turns_grey() -> None:
    assert views(**NOTHING | {"grey": 1}).std(1).max() < 1e-6
    grey = images(channels=1)
    assert torch.equal(views(of=grey, **NOTHING | {"grey": 1}), views(of=grey, **NOTHING))


def test_flips_are_tossed_for_each_image() -> None:
    plain, both = views(of=images(64), **NOTHING), views(of=images(64), **NOTHING | {"flip": True})
    flipped = [torch.equal(one, other.flip(-1)) for one, other in zip(both, plain, strict=True)]
    kept = [torch.equal(one, other) for one, other in zip(both, plain, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True)) and 16 < sum(flipped) < 48


@settings(max_examples=20)
@given(total=st.integers(1, 9), start=st.integers(0, 8), seed=st.integers(0, 2**40))
def test_what_happens_to_an_image_does_not_depend_on_the_share_it_is_in(total: int, start: int, seed: int) -> None:
    start = min(start, total - 1)
    pixels = images(total)
    whole = views(seed, pixels)
    assert torch.equal(views(seed, pixels[start:], total, start), whole[start:])
    assert whole.shape == pixels.shape
    assert whole.min() >= 0 and whole.max() <= 1 + 1e-6  # a blurred pixel is a mean, with rounded weights


@pytest.mark.parametrize("size", [1, 6, 10])
def test_views_of_another_size_and_of_tiny_images(size: int) -> None:
    assert views(size=size).shape == (5, 3, size, size)
    assert views(of=images(height=2, width=2)).isfinite().all()
    assert views(of=images(height=1, width=1)).isfinite().all()
