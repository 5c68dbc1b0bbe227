"""ImageNet recipes on the command line: killed and run again, and what is wrong with a folder of photographs."""

import shutil
import signal
import time
from pathlib import Path

import pytest
from command_line import Command, Done, ticketzoo
from small_imagenet import SMALL, write_photos

NARROW = "model={name: resnet-20, kwargs: {width: 0.25}}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imagenet")
    write_photos(folder / "photos")
    return folder


def arguments(out: str, *settings: str) -> list[str]:
    """The command, but for `settings` that come last and may change the photographs."""
    chosen = (*SMALL, NARROW, "task.dataset.mirror=photos", "arms=[ticket]", *settings)
    return ["find", "imagenet/resnet-50", "--out", out, "--json", *(f"--set={setting}" for setting in chosen)]


def caches(folder: Path) -> dict[str, str]:
    return {"TICKETZOO_CACHE": str(folder / "cache"), "HF_DATASETS_CACHE": str(folder / "datasets")}


def find(folder: Path, out: str, *settings: str) -> Done:
    return ticketzoo(folder, *arguments(out, *settings), environment=caches(folder))


@pytest.mark.slow
def test_a_find_killed_in_the_middle_of_a_training_ends_with_the_same_masks(folder: Path) -> None:
    """240 photographs in batches of 40: six iterations an epoch, killed among those of level 0."""
    small = "training.batch_size=40", "training.steps=1ep", "finder.rewind=2it"
    whole = find(folder, "whole", *small)
    assert whole.status == 0, whole.err

    command = Command(folder, *arguments("killed", *small), "--checkpoint-seconds=0", environment=caches(folder))
    while not list((folder / "killed" / "cells").glob("*.partial/checkpoint-*.safetensors")):
        assert command.process.is_alive()
        time.sleep(0.001)
    command.send(signal.SIGKILL)
    assert command.wait().status == -signal.SIGKILL
    assert not list((folder / "killed" / "cells").glob("*/cell.json")), "it was killed too late"

    again = find(folder, "killed", *small)
    assert again.status == 0, again.err
    assert again.json["mask_sha256"] == whole.json["mask_sha256"]
    results = [folder / out / "resnet-50.imagenet-1k-imp-5ep" / "results.jsonl" for out in ("whole", "killed")]
    assert results[0].read_bytes() == results[1].read_bytes()


@pytest.mark.slow
def test_photographs_that_cannot_be_read(folder: Path) -> None:
    shutil.copytree(folder / "photos", folder / "broken")
    broken = [folder / "broken" / "train" / name for name in ("n01443537/7.JPEG", "n01484850/3.JPEG")]
    broken[0].write_bytes(b"no image")
    short = "task.dataset.mirror=broken", "training.steps=1ep", "training.batch_size=80", "finder.rewind=0it"
    refused = find(folder, "refused", *short)
    assert (refused.status, refused.json["ok"]) == (1, False)
    unreadable = f"({broken[0]}) cannot be read: it is not an image of a known kind"
    assert refused.err == (
        f"ticketzoo: image 117 of split 'train' of broken {unreadable}; "
        "fix it, or leave such images out with on_error: skip\n"
    )

    broken[1].write_bytes(broken[1].read_bytes()[:300])
    settings = arguments("skipped", *short, "task.dataset.on_error=skip")
    command = Command(folder, *settings, environment=caches(folder))
    command.wait_for_output("skipped (unreadable images so far: 2)\n")
    command.send(signal.SIGTERM)
    warnings = [line for line in command.wait().err.splitlines() if line.startswith("ticketzoo: warning: image ")][:2]
    assert [sum(f"({path}) cannot be read: " in line for line in warnings) for path in broken] == [1, 1]
    assert warnings[0].endswith("; skipped (unreadable images so far: 1)")


@pytest.mark.slow
def test_other_classes_to_test_on_than_to_train_on(folder: Path) -> None:
    shutil.copytree(folder / "photos", folder / "other")
    (folder / "other" / "val" / "n01443537").rename(folder / "other" / "val" / "n09999999")
    done = find(folder, "differ", "task.dataset.mirror=other")
    assert (done.status, done.json["ok"]) == (1, False)
    assert done.err == (
        "ticketzoo: split 'validation' of other has images of class 'n09999999', of which split 'train' of other has "
        "none: both need the same classes (of image folders: the same folder names)\n"
    )


@pytest.mark.slow
def test_a_rewind_step_past_the_end(folder: Path) -> None:
    """240 photographs in batches of 8 are 30 iterations an epoch."""
    done = find(folder, "past", "finder.rewind=90ep")
    assert (done.status, done.json["ok"]) == (1, False)
    rewind = "finder.rewind: 90ep is iteration 2700, not before the end of training (2700)"
    advice = "rewind to an earlier one, or train longer"
    sample = "all labels and an even sample of 1,000 images of each split"
    streamed = f"ILSVRC/imagenet-1k: images are not kept in memory: the fingerprint is of {sample}"
    assert done.err == f"ticketzoo: {streamed}\nticketzoo: {rewind}: {advice}\n"
