import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_folders import numbered, write_folder
from PIL import Image
from torch.utils.data import get_worker_info

from ticketzoo.data.images.batches import MemoryImages, StreamedImages, batches, in_turn
from ticketzoo.data.images.format import ImageFormat
from ticketzoo.data.images.splits import ImageDataset, ImageSplits, load_images
from ticketzoo.errors import DataError

CPU = torch.device("cpu")


def ten_images() -> MemoryImages:
    """Ten 1x1 images of values 0..9, labelled 0..9."""
    return MemoryImages(torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1), torch.arange(10))


def steps(
    images: Any, *, batch_size: int = 4, seed: int = 0, start: int = 0, stop: int = 3, workers: int | None = None
) -> list[Any]:
    return list(batches(images, batch_size=batch_size, seed=seed, start=start, stop=stop, device=CPU, workers=workers))


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for (step, pixels, labels), (other_step, other_pixels, other_labels) in zip(ours, theirs, strict=True):
        assert step == other_step
        assert pixels.dtype == other_pixels.dtype == torch.uint8
        assert torch.equal(pixels, other_pixels)
        assert torch.equal(labels, other_labels)


@pytest.fixture(scope="module")
def in_memory() -> ImageSplits:
    return load_images(ImageDataset(path="digits"))


@pytest.fixture(scope="module")
def streamed() -> ImageSplits:
    return load_images(ImageDataset(path="digits", in_memory=False))


def test_a_batch_is_the_images_asked_for_with_their_labels() -> None:
    pixels, labels = ten_images().batch(torch.tensor([7, 0, 7]), CPU)
    assert pixels.tolist() == [[[[7]]], [[[0]]], [[[7]]]]
    assert labels.tolist() == [7, 0, 7]


def test_an_epoch_visits_every_image_once_and_keeps_its_last_smaller_batch() -> None:
    seen = steps(ten_images(), stop=6)
    assert [step for step, _, _ in seen] == [0, 1, 2, 3, 4, 5]
    assert [len(labels) for _, _, labels in seen] == [4, 4, 2, 4, 4, 2]
    first, second = (torch.cat([labels for _, _, labels in seen[part]]).tolist() for part in (slice(3), slice(3, 6)))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second  # another order in another epoch
    assert first != torch.cat([labels for _, _, labels in steps(ten_images(), seed=1)]).tolist()
    assert all(torch.equal(pixels.flatten().long(), labels) for _, pixels, labels in seen)


@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 20))
def test_starting_late_sees_what_a_run_from_the_beginning_sees_from_there_on(
    batch_size: int, start: int, length: int
) -> None:
    run = steps(ten_images(), batch_size=batch_size, stop=start + length)
    assert_same(steps(ten_images(), batch_size=batch_size, start=start, stop=start + length), run[start:])


def test_the_order_ignores_the_global_random_numbers_and_leaves_them_alone() -> None:
    torch.manual_seed(1)
    ours = steps(ten_images())
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    assert_same(steps(ten_images()), ours)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_images_decoded_by_workers_come_in_the_same_batches_as_from_memory(
    in_memory: ImageSplits, streamed: ImageSplits, workers: int
) -> None:
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    ours = steps(streamed.train, batch_size=300, seed=5, start=3, stop=9, workers=workers)  # into the second epoch
    assert torch.equal(torch.rand(1), expected)  # or resuming would shift every later draw
    assert_same(ours, steps(in_memory.train, batch_size=300, seed=5, start=3, stop=9))
    assert [len(labels) for _, _, labels in ours] == [300, 94, 300, 300, 300, 300]  # 1294 = 4 * 300 + 94
    assert multiprocessing.active_children() == []


class WhoDecodes:
    """A table of images of one value each: the number of the worker that decodes it."""

    described, identity, labels = "who decodes", None, torch.arange(20)

    def read(self, rows: list[int]) -> Iterator[Image.Image]:
        worker = get_worker_info()
        return (Image.new("L", (1000, 1000), worker.id) for _ in rows)

    def where(self, row: int) -> str:
        return f"image {row}"


def test_each_worker_decodes_as_many_of_a_batch_of_large_images() -> None:
    """Ten megabytes are more than a piece: two of five images, not one of eight and one of two."""
    large = StreamedImages(WhoDecodes(), torch.arange(20), torch.arange(20), ImageFormat(1, 1000, 1000, False, False))
    for pixels, _ in in_turn(large, batch_size=10, device=CPU, workers=2):
        assert pixels[:, 0, 0, 0].tolist() == [0] * 5 + [1] * 5


def test_evaluation_sees_a_split_once_in_stored_order(in_memory: ImageSplits, streamed: ImageSplits) -> None:
    for workers in (0, 2):
        parts = list(in_turn(streamed.test, batch_size=100, device=CPU, workers=workers))
        assert [len(labels) for _, labels in parts] == [100, 100, 100, 59]
        assert torch.equal(torch.cat([pixels for pixels, _ in parts]), in_memory.test.pixels)
        assert torch.equal(torch.cat([labels for _, labels in parts]), in_memory.test.labels)
    assert torch.equal(streamed.test.batch(torch.tensor([3, 1]), CPU)[0], in_memory.test.pixels[[3, 1]])
    assert list(in_turn(MemoryImages(torch.empty(0, 1, 8, 8), torch.empty(0)), batch_size=10, device=CPU)) == []


def test_workers_end_when_nobody_wants_more_batches(streamed: ImageSplits) -> None:
    running = batches(streamed.train, batch_size=10, seed=0, start=0, stop=100, device=CPU, workers=2)
    next(running)
    assert len(multiprocessing.active_children()) == 2
    running.close()
    assert multiprocessing.active_children() == []


def test_workers_go_on_when_a_cluster_signals_all_processes_of_a_job(streamed: ImageSplits) -> None:
    """The training writes a checkpoint then, and needs its batch."""
    keys = {"batch_size": 10, "seed": 0, "start": 0, "stop": 20}
    running = batches(streamed.train, **keys, device=CPU, workers=2)
    first = [next(running), next(running)]  # one of each worker
    subprocess.run(["kill", *(str(worker.pid) for worker in multiprocessing.active_children())], check=True)
    assert_same([*first, *running], steps(streamed.train, **keys, workers=0))


@pytest.mark.slow
def test_a_process_that_ends_amid_its_batches_ends_its_workers() -> None:
    """The generator is still there when the interpreter ends, which then sends SIGTERM and waits."""
    script = """
import multiprocessing
import torch
from ticketzoo.data.images.batches import batches
from ticketzoo.data.images.splits import ImageDataset, load_images
images = load_images(ImageDataset(path="digits", in_memory=False)).train
running = batches(images, batch_size=10, seed=0, start=0, stop=100, device=torch.device("cpu"), workers=2)
next(running)
print(*(worker.pid for worker in multiprocessing.active_children()))
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, timeout=60)
    workers = [int(pid) for pid in done.stdout.split()]
    assert len(workers) == 2
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_met_while_training_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    images = {"a": numbered(150), "b": numbered(10)}
    folder = write_folder(tmp_path / "d", {"train": images, "test": {"a": numbered(1)}})
    splits = load_images(ImageDataset(path=str(folder), in_memory=False, validation=0))
    broken = folder / "train" / "a" / "0149.png"  # found to be broken when its batch is due, not before
    broken.write_bytes(b"no image")
    with pytest.raises(DataError) as refused:
        list(in_turn(splits.train, batch_size=50, device=CPU, workers=workers))
    message = str(refused.value)
    assert message.startswith(f"image 149 of split 'train' of {folder} ({broken}) cannot be read: ")
    assert "\n" not in message
    assert multiprocessing.active_children() == []
