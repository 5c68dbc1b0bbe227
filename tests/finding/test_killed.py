"""`kill -9` at random moments of `find`, then the same command again."""

import random
from pathlib import Path

import pytest
from killed_find import killed, start

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


@pytest.mark.slow
def test_a_find_killed_again_and_again_ends_with_the_same_ticket(tmp_path: Path) -> None:
    """Trap 11: resuming after a crash without the random state gives another ticket."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
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
