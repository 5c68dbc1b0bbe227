"""A ticket's files missing, cut, changed or swapped: one line that names the file, and both values."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_ticket import MASKS, REWIND, assert_refused, rewind_state

from ticketzoo.ticket import Ticket


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def swap_replicates(folder: Path) -> None:
    one, other = folder / REWIND.replace("7", "3"), folder / REWIND
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


def folder_for_masks(folder: Path) -> None:
    (folder / MASKS).unlink()
    (folder / MASKS).mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no such ticket folder"),
    "no ticket.json": (lambda f: (f / "ticket.json").unlink(), r"not a ticket: there is no ticket\.json"),
    "masks missing": (lambda f: (f / MASKS).unlink(), r"seed-7/masks\.safetensors: missing"),
    "rewind missing": (lambda f: (f / REWIND).unlink(), r"seed-7/rewind\.safetensors: missing"),
    "replicate missing": (lambda f: shutil.rmtree(f / "seed-3"), r"seed-3/masks\.safetensors: missing"),
    "recipe missing": (lambda f: (f / "recipe.yaml").unlink(), r"recipe\.yaml: missing"),
    "a folder for a file": (
        folder_for_masks,
        r"seed-7/masks\.safetensors: is a folder, not a file",
    ),
    "masks truncated": (
        lambda f: (f / MASKS).write_bytes((f / MASKS).read_bytes()[:-1]),
        r"masks\.safetensors: truncated: it has \d+ bytes, but ticket\.json says \d+",
    ),
    "rewind oversized": (
        lambda f: (f / REWIND).write_bytes((f / REWIND).read_bytes() + b"x"),
        r"rewind\.safetensors: oversized: it has \d+ bytes, but ticket\.json says \d+",
    ),
    "masks bit-flipped": (
        lambda f: flip_last_bit(f / MASKS),
        r"masks\.safetensors: damaged: its sha256 is \w{64}, but ticket\.json says \w{64}",
    ),
    "rewind bit-flipped": (lambda f: flip_last_bit(f / REWIND), r"rewind\.safetensors: damaged: its sha256 is"),
    "rewind swapped between replicates": (swap_replicates, r"rewind\.safetensors: damaged: its sha256 is"),
    "results changed": (lambda f: flip_last_bit(f / "results.jsonl"), r"results\.jsonl: damaged"),
    "recipe changed": (lambda f: flip_last_bit(f / "recipe.yaml"), r"recipe\.yaml: damaged"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named(folder: Path, kind: str) -> None:
    damage, message = DAMAGE[kind]
    damage(folder)
    assert_refused(folder, message)


def test_files_may_be_links_into_a_cache(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        blob = path.rename(tmp_path / "blobs" / str(number))
        path.symlink_to(blob)
    assert Ticket.from_pretrained(folder, level=4).rewind_state["fc2.bias"] == rewind_state()["fc2.bias"]
