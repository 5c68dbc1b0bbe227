"""`kill -9` at random moments of `find`, then the same command again."""

import multiprocessing
import random
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from launched import PRELOADED

RECIPE = """
name: lenet.digits-imp
model: {name: lenet-300-100, kwargs: {width: 0.05}}
task:
  type: image-classification
  dataset: {path: digits, classes: [0, 1, 2], examples: 64}
  augment: {crop: 1, flip: true}
training: {steps: 30it, batch_size: 16, optimizer: {name: adam, lr: 0.01}, evaluate_every: 7it}
finder: {levels: 2, rewind: 5it}
arms: [random_mask]
arm_levels: [1]
seeds: [0, 1]
"""
COMPARED = ["ticket.json", "results.jsonl", "recipe.yaml"] + [
    f"seed-{seed}/{part}.safetensors" for seed in (0, 1) for part in ("masks", "rewind")
]


def find(recipe: Path, out: Path) -> None:
    """The command line, in a process of its own."""
    import torch

    from ticketzoo.cli import main

    torch.set_num_threads(1)
    sys.argv = ["ticketzoo", "find", str(recipe), "--out", str(out), "--checkpoint-seconds", "0", "--json"]
    main()


def start(recipe: Path, out: Path) -> ForkServerProcess:
    """Start the command in a process forked from one that has imported everything: a start costs nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=find, args=(recipe, out))
    process.start()
    return process


def progress_in(out: Path) -> set[tuple[str, int]]:
    """The files of the cells, and when they were written."""
    found = set()
    for path in out.glob("cells/*/*"):
        try:
            found.add((str(path), path.stat().st_mtime_ns))
        except FileNotFoundError:
            continue  # a temporary file, or a cell just finished
    return found


def killed(process: ForkServerProcess, out: Path, after: float) -> bool:
    """Kill `process` some seconds after it has got anywhere; False if it was done before."""
    before = progress_in(out)
    while process.is_alive() and progress_in(out) == before:
        time.sleep(0.001)
    process.join(after)
    process.kill()
    process.join()
    return process.exitcode != 0


NOISY = "label_noise: {kind: redraw, fraction: 0.2}"
ATTACKED = "adversarial: {epsilon: 8/255, steps: 2, evaluate: {steps: 2, restarts: 2}}"
MODIFIED = RECIPE.replace("examples: 64", f"examples: 64, {NOISY}").replace("  augment", f"  {ATTACKED}\n  augment")

WITHOUT_LABELS = RECIPE.replace("image-classification", "self-supervised\n  projection: [16, 8]").replace(
    "crop: 1, ", ""
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", [RECIPE, MODIFIED, WITHOUT_LABELS], ids=["plain", "noisy and attacked", "without labels"]
)
def test_a_find_killed_again_and_again_ends_with_the_same_ticket(content: str, tmp_path: Path) -> None:
    """Trap 11: resuming after a crash without the random state gives another ticket."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(content)
    undisturbed = start(recipe, tmp_path / "undisturbed")
    undisturbed.join()
    assert undisturbed.exitcode == 0

    moments = random.Random(1)
    kills = 0
    for longest in (0.02, 0.4) * 4:
        kills += killed(start(recipe, tmp_path / "killed"), tmp_path / "killed", after=moments.uniform(0, longest))
    (tmp_path / "killed" / ".lenet.digits-imp.0a1b2c3d.new").mkdir()  # as one killed while it writes the ticket leaves
    last = start(recipe, tmp_path / "killed")
    last.join()
    assert last.exitcode == 0
    assert kills >= 3, "the command was done too soon to be killed"

    for name in COMPARED:
        ours, theirs = (tmp_path / run / "lenet.digits-imp" / name for run in ("killed", "undisturbed"))
        assert ours.read_bytes() == theirs.read_bytes(), name
    assert {path.name for path in (tmp_path / "killed").iterdir()} - {"watch"} == {"cells", "lenet.digits-imp"}
    cells = [path.name for path in (tmp_path / "killed" / "cells").rglob("*") if path.is_file()]
    assert set(cells) == {".lock", "cell.json", "final.safetensors", "step-5.safetensors"}
