"""Images of differing sizes: cut out of the middle to evaluate, cropped at random from their own size to train."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from image_folders import photograph, write_folder
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms import v2

from ticketzoo.data.images.augment import RandomResizedCrop
from ticketzoo.data.images.format import ImageFormat, RandomCrop
from ticketzoo.data.images.splits import ImageDataset, batches, load_images
from ticketzoo.errors import DataError
from ticketzoo.models import create_model, signature
from ticketzoo.models.create import arguments_for
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig

CPU = torch.device("cpu")
SIZES = [(100, 60), (60, 100), (50, 50), (31, 47), (90, 33), (64, 64)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Six images to train on and two to test on, of two classes; blue tells them apart."""
    images = [photograph(number, *size) for number, size in enumerate(SIZES)]
    test = [photograph(100, 40, 30), photograph(200, 30, 40)]
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("crops")
        patch.setenv("TICKETZOO_CACHE", str(root / "cache"))
        patch.setattr("datasets.config.HF_DATASETS_CACHE", root / "datasets-cache")
        train = {"a": images[:3], "b": images[3:]}
        yield write_folder(root / "d", {"train": train, "test": {"a": test[:1], "b": test[1:]}})


def task_of(folder: Path, **augment: Any) -> Any:
    """The task with random crops of these settings, and torchvision's otherwise."""
    dataset = {"path": str(folder), "image_size": 16, "resize": 20, "validation": 0, "workers": 0}
    content = {"type": "image-classification", "dataset": dataset, "normalize": "unit"}
    return create_task(
        ImageClassificationConfig.model_validate({**content, "augment": {"random_resized_crop": augment}})
    )


def crop(
    side: int = 8, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3), seed: int = 0
) -> RandomCrop:
    return RandomCrop(side, scale, ratio, seed)


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (31, 47)])
def test_the_middle_of_an_image_is_evaluated_as_torchvision_cuts_it(size: tuple[int, int]) -> None:
    image = photograph(7, *size)
    ours = ImageFormat(3, 8, 8, True, True, shorter=10).pixels(image)
    theirs = v2.Compose([v2.Resize(10), v2.CenterCrop(8), v2.PILToTensor()])(image)
    assert torch.equal(torch.from_numpy(ours.copy()), theirs)


def test_the_middle_of_an_image_keeps_its_proportions() -> None:
    bands = Image.new("L", (40, 20))
    bands.paste(100, (10, 0, 30, 20))  # the middle half is grey, the outer quarters are black
    cut = ImageFormat(1, 10, 10, True, True, shorter=10).pixels(bands)
    assert (cut[:, :, 1:-1] == 100).all()  # its edge columns blend with their neighbours
    assert (ImageFormat(1, 10, 10, True, True).pixels(bands)[0, 5] == 0).sum() >= 4  # squashed, the black is there too


@pytest.mark.parametrize("row", range(20))
def test_a_random_crop_is_torchvision_s_drawn_from_the_seed_and_the_row(row: int) -> None:
    image = photograph(7, 100, 60)
    before = torch.get_rng_state()
    ours = crop(seed=3).cut(image, row)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(3, row))
        theirs = v2.RandomResizedCrop(8)(image)
    assert ours.tobytes() == theirs.tobytes()


def test_a_random_crop_takes_a_part_of_the_area_and_shape_asked_for() -> None:
    image = photograph(0, 120, 120)
    areas = []
    for row in range(60):
        red, green, _ = crop(20, (0.25, 0.5), (0.5, 2.0)).cut(image, row).split()
        # Red says which column, green which row a pixel is from; the outermost pixels stand half a step inside.
        width, height = ((high - low) * 20 / 19 for low, high in (red.getextrema(), green.getextrema()))
        areas.append(width * height / 120**2)
        assert 0.45 < width / height < 2.2
    assert 0.22 < min(areas) < 0.32
    assert 0.43 < max(areas) < 0.55


def test_batches_of_crops_follow_the_seed_and_the_step_however_they_are_made(folder: Path) -> None:
    images = load_images(ImageDataset(path=str(folder), image_size=16, validation=0), crop_train=True)

    def steps(seed: int, start: int, stop: int, workers: int) -> list[Any]:
        def at(step: int) -> RandomCrop:
            return crop(seed=derive_seed(seed, "crop", step))

        keys = {"batch_size": 4, "seed": seed, "device": CPU, "crop": at}
        return list(batches(images.train, start=start, stop=stop, workers=workers, **keys))

    whole = steps(0, 0, 6, 0)
    assert [tuple(pixels.shape) for _, pixels, _ in whole] == [(4, 3, 8, 8), (2, 3, 8, 8)] * 3
    for late in (steps(0, 2, 6, 0), steps(0, 2, 6, 2)):
        for (_, pixels, labels), (_, expected_pixels, expected_labels) in zip(late, whole[2:], strict=True):
            assert torch.equal(pixels, expected_pixels)
            assert torch.equal(labels, expected_labels)
    assert not torch.equal(steps(1, 0, 1, 0)[0][1], whole[0][1])
    first, second = (torch.cat([pixels for _, pixels, _ in epoch]) for epoch in (whole[:2], whole[2:4]))
    one, other = ({int(image[2, 0, 0]): image for image in epoch} for epoch in (first, second))
    assert one.keys() == other.keys() == set(range(6))  # each image once in an epoch,
    assert not any(torch.equal(one[number], other[number]) for number in range(6))  # cropped anew


def test_crops_are_the_same_however_a_worker_s_share_is_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = list(task_of(folder).batches(6, 0, 0, 1, CPU))
    monkeypatch.setattr("ticketzoo.data.images.batches._PIECE", 3 * 16 * 16 * 2)  # two images at a time
    (parts,) = list(task_of(folder).batches(6, 0, 0, 1, CPU))
    assert torch.equal(whole[0], parts[0])
    assert torch.equal(whole[1], parts[1])


def test_training_is_on_crops_and_evaluation_on_the_middle(folder: Path) -> None:
    task = task_of(folder, scale=[0.1, 0.1])
    assert task.signature == signature.Signature(signature.Image(3, 16, 16), signature.Classes(2))
    ((images, labels, *_),) = task.batches(6, 0, 0, 1, CPU)
    assert (images.dtype, images.shape) == (torch.uint8, (6, 3, 16, 16))
    assert {int(image[2, 0, 0]) // 3 for image in images} == {0, 1}
    assert [int(image[2, 0, 0]) // 3 for image in images] == labels.tolist()  # images 0 to 2 are of class a
    assert images[0, 0].max() - images[0, 0].min() < 40  # a tenth of the area is a third of the width
    seen = []
    model = create_model("lenet-300-100", seed=0, **arguments_for("lenet-300-100", task.signature))
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    task.evaluate(model, "test", CPU)
    middle = v2.Compose([v2.Resize(20), v2.CenterCrop(16), v2.PILToTensor()])
    expected = torch.stack([middle(photograph(100, 40, 30)), middle(photograph(200, 30, 40))]).float() / 255
    assert torch.equal(torch.cat(seen), expected)


def test_the_size_of_training_images_grows_at_the_points_given(folder: Path) -> None:
    task = task_of(folder, sizes={"0ep": 8, "1ep": 12, "5it": 16})
    sides = [images.shape[-1] for images, *_ in task.batches(4, 0, 0, 7, CPU)]  # two iterations are an epoch
    assert sides == [8, 8, 12, 12, 12, 16, 16]
    assert [images.shape[-1] for images, *_ in task.batches(4, 0, 4, 6, CPU)] == [12, 16]
    network = create_model("resnet-20", seed=0, width=0.1, **arguments_for("lenet-300-100", task.signature))
    (small,) = task.batches(4, 0, 0, 1, CPU)
    assert task.loss(network, small).isfinite()


def test_a_model_of_fixed_size_refuses_images_that_grow(folder: Path) -> None:
    task = task_of(folder, sizes={"0ep": 8})
    model = create_model("lenet-300-100", seed=0, **arguments_for("lenet-300-100", task.signature))
    (batch,) = task.batches(4, 0, 0, 1, CPU)
    said = "the model takes no images of 8 pixels, only of 16: leave sizes of random_resized_crop out"
    with pytest.raises(DataError, match=said):
        task.loss(model, batch)


def test_crops_decide_the_numbers_and_their_defaults_are_written_as_nothing(folder: Path) -> None:
    identities = [
        task_of(folder).identity,
        task_of(folder, scale=[0.25, 1.0]).identity,
        task_of(folder, sizes={"0ep": 8, "1.5ep": 16}).identity,
    ]
    assert [identity["augment"] for identity in identities] == [
        {"random_resized_crop": {}},
        {"random_resized_crop": {"scale": [0.25, 1.0]}},
        {"random_resized_crop": {"sizes": {"0ep": 8, "1.5ep": 16}}},
    ]
    assert len({identity["fingerprint"] for identity in identities}) == 1


def test_how_images_are_cut_to_be_evaluated_is_in_the_fingerprint(folder: Path) -> None:
    settings = [{}, {"resize": 16}, {"resize": 20}, {"resize": 24}]
    for in_memory in (True, False):
        prints = [
            load_images(ImageDataset(path=str(folder), image_size=16, in_memory=in_memory, **keys)).fingerprint
            for keys in settings
        ]
        assert len(set(prints)) == 4


def test_what_decided_the_numbers_before_crops_existed_still_has_the_same_fingerprint() -> None:
    """Else trainings that are finished would be done again."""
    prints = [load_images(ImageDataset(path="digits", in_memory=in_memory)).fingerprint for in_memory in (True, False)]
    assert [text[:16] for text in prints] == ["dff0354172567d50", "cad5e90b3e781d47"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"scale": [0.5, 0.1]}, r"scale: write \[least, most\], as fractions of the area"),
        ({"scale": [0.5, 1.5]}, r"scale: write \[least, most\], as fractions of the area"),
        ({"ratio": [2, 1]}, r"ratio: write \[least, most\]"),
        ({"sizes": {"1ep": 8}}, "say what to begin with"),
        ({"sizes": {"soon": 8}}, "write iterations as '500it'"),
        ({"sizes": {"0ep": 0}}, "greater than or equal to 1"),
    ],
)
def test_impossible_crops_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RandomResizedCrop.model_validate(keys)


def test_crops_need_a_size() -> None:
    content = {"type": "image-classification", "dataset": {"path": "digits"}, "augment": {"random_resized_crop": {}}}
    with pytest.raises(ValidationError, match=r"augment.random_resized_crop needs dataset.image_size"):
        ImageClassificationConfig.model_validate(content)
    with pytest.raises(ValidationError, match="resize needs an image_size, at most as large"):
        ImageDataset(path="digits", image_size=32, resize=24)


def test_small_images_can_be_cropped_too() -> None:
    content = {"path": "digits", "image_size": 8}
    config = {"type": "image-classification", "dataset": content, "augment": {"random_resized_crop": {}}}
    task = create_task(ImageClassificationConfig.model_validate(config))
    ((images, *_),) = task.batches(50, 0, 0, 1, CPU)
    assert images.shape == (50, 1, 8, 8)
