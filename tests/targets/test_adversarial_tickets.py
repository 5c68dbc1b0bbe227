"""Tickets of adversarial training and of noisy labels, from recipe to verdict."""

from pathlib import Path
from typing import Any

import pytest
from command_line import ticketzoo
from small_run import RECIPE

from ticketzoo import load_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.ticket.ticket import Ticket

TRAINING = {"steps": "40it", "batch_size": 16, "optimizer": {"name": "adam", "lr": 0.01}}
DIGITS = {"path": "digits", "classes": [0, 1, 2], "examples": 64}


def found(folder: Path, task: dict[str, Any]) -> Ticket:
    task = {"type": "image-classification", "dataset": DIGITS} | task
    keys = {"finder": {"levels": 1, "rate": 0.5}, "task": task, "verdict": {"margin": 0.5}, "training": TRAINING}
    return find_and_package(parse_recipe(RECIPE | keys, FindRecipe, "small"), folder)[0]


def test_an_adversarial_ticket_is_found_loaded_carried_over_and_judged(tmp_path: Path) -> None:
    attacks = {"epsilon": "4/255", "attack": "fgsm", "evaluate": {"steps": 2}}
    ticket = found(tmp_path / "run", {"adversarial": attacks})
    assert {row["metric"] for row in ticket.results} >= {"test_accuracy", "test_robust_accuracy", "test_loss"}
    deciding = [row for row in ticket.results if row.get("decides")]
    assert {row["metric"] for row in deciding} == {"test_robust_accuracy"}
    verdict = ticket.config.verdict
    assert verdict is not None and verdict.metric == "test_robust_accuracy"
    assert all("by test accuracy" in level.reason for level in verdict.levels)
    folder = tmp_path / "run" / "small"
    card = (folder / "README.md").read_text()
    for part in ("Test robust accuracy (%)", "Test accuracy (%)", "changed by 4/255 at most; trained on FGSM"):
        assert part in card
    loaded = load_ticket(str(folder))
    loaded.apply(loaded.build())
    target = {"type": "image-classification", "dataset": DIGITS | {"classes": [3, 4, 5]}, "adversarial": attacks}
    content = {
        "name": "over", "tickets": [str(folder)], "levels": [1], "seeds": [0, 1], "arms": ["ticket", "dense"],
        "targets": [{"task": target, "training": TRAINING}],
    }  # fmt: skip
    report = run_transfer(parse_recipe(content, TransferRecipe, "over"), tmp_path / "over")
    assert report.verdicts["small"].metric == "test_robust_accuracy"
    assert (tmp_path / "over" / "report.md").read_text().count("on digits-3-5-adversarial") >= 2


def test_accuracy_on_the_training_split_is_recorded_by_both_labels_where_they_are_noisy(tmp_path: Path) -> None:
    ticket = found(tmp_path, {"dataset": DIGITS | {"label_noise": {"kind": "flip", "fraction": 0.25}}})
    rows = {(row["arm"], row["level"], row["seed"], row["metric"]): row["value"] for row in ticket.results}
    noisy, clean = (rows["ticket", 1, 0, f"train_{name}"] for name in ("accuracy", "clean_accuracy"))
    assert 0 <= noisy <= 1 and (noisy * 64).is_integer() and (clean * 64).is_integer()
    assert ("dense", 0, 1, "train_clean_accuracy") in rows
    assert "0.25 of the training labels are turned into another class" in (tmp_path / "small" / "README.md").read_text()


def test_what_a_plain_task_records_has_not_changed(tmp_path: Path) -> None:
    assert not {row["metric"] for row in found(tmp_path, {}).results} & {"train_accuracy", "test_robust_accuracy"}


RECIPE_TEXT = """
name: robust
model: {name: lenet-300-100, kwargs: {width: 0.05}}
task:
  type: image-classification
  dataset: {path: digits, classes: [0, 1, 2], examples: 64, label_noise: {kind: redraw, fraction: 0.2}}
  augment: {crop: 1, flip: true}
  adversarial: {epsilon: 8/255, steps: 2, evaluate: {steps: 2, restarts: 2}}
training: {steps: 30it, batch_size: 16, optimizer: {name: adam, lr: 0.01}, evaluate_every: 7it}
finder: {levels: 1, rewind: 5it}
arms: [random_mask]
seeds: [0, 1]
"""


@pytest.mark.slow
def test_the_command_line_takes_fractions_and_prints_both_accuracies(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE_TEXT)
    done = ticketzoo(tmp_path, "find", "recipe.yaml", "--set", "task.adversarial.epsilon=4/255")
    assert done.status == 0, done.err
    assert "robust accuracy" in done.out and "Test accuracy" in done.out
    refused = ticketzoo(tmp_path, "find", "recipe.yaml", "--set", "task.adversarial.epsilon=4")
    assert refused.status == 1 and "beyond the range of pixels" in refused.err
