"""ImageNet recipes on the command line: killed and run again, and what is wrong with a folder of photographs."""

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


def test_a_find_killed_in_the_middle_of_a_training_ends_with_the_same_masks(folder: Path) -> None:
    """240 photographs in batches of 24: ten iterations an epoch, killed among the 20 of level 0."""
    small = "training.batch_size=24", "training.steps=2ep", "finder.rewind=1ep"
    whole = find(folder, "whole", *small)
    assert whole.status == 0, whole.err

    command = Command(folder, *arguments("killed", *small), "--checkpoint-seconds=0", environment=caches(folder))
    while not (written := list((folder / "killed" / "cells").glob("*.partial/checkpoint-*.safetensors"))):
        assert command.process.is_alive()
        time.sleep(0.001)
    command.send(signal.SIGKILL)
    assert command.wait().status == -signal.SIGKILL
    assert not list((folder / "killed" / "cells").glob("*/cell.json")), "it was killed too late"
    assert written

    again = find(folder, "killed", *small)
    assert again.status == 0, again.err
    assert again.json["mask_sha256"] == whole.json["mask_sha256"]
    results = [folder / out / "resnet-50.imagenet-1k-imp-5ep" / "results.jsonl" for out in ("whole", "killed")]
    assert results[0].read_bytes() == results[1].read_bytes()
