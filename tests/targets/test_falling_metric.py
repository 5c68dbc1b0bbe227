"""A target whose arms are compared by a metric of which less is better, from training to report."""

import json
from pathlib import Path

import pytest
import torch
from toy_zoo import make_ticket

from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.targets import TransferRecipe
from ticketzoo.targets.report import write_report
from ticketzoo.targets.run import evaluate_transfer, load_targets
from ticketzoo.tasks.metrics import LOSS


def test_the_loss_decides_from_training_to_report(tmp_path: Path) -> None:
    dataset = {"path": "digits", "classes": [5, 6], "image_size": 4}
    content = {
        "name": "transfer",
        "tickets": ["lenet.digits-imp"],
        "levels": [2],
        "targets": [{"task": {"type": "image-classification", "dataset": dataset}, "name": "pairs"}],
        "training": {"steps": "3it", "batch_size": 16, "optimizer": {"lr": 0.1}},
        "arms": [],
        "seeds": [0, 1],
    }
    recipe = parse_recipe(content, TransferRecipe, "test")
    targets = load_targets(recipe, [])
    targets[0].task.metric = LOSS
    with Store(tmp_path / "cells", device=torch.device("cpu")) as store:
        rows = evaluate_transfer(recipe, [make_ticket()], targets, store)
    deciding = [row for row in rows if "decides" in row and row["at"] == "final"]
    assert {(row["metric"], row["higher_is_better"]) for row in deciding} == {("test_loss", False)}

    report = write_report(recipe, rows, tmp_path)
    by_arm = {arm: [row["value"] for row in deciding if row["arm"] == arm] for arm in ("ticket", "dense")}
    ticket, dense = (sum(by_arm[arm]) / len(by_arm[arm]) for arm in ("ticket", "dense"))
    verdict = report.verdicts["lenet.digits-imp"]
    assert verdict.metric == "test_loss"
    assert verdict.levels[0].dense is not None
    assert verdict.levels[0].dense.difference == pytest.approx(ticket - dense)
    assert verdict.targets[0].margin == pytest.approx(0.02 * dense)
    assert verdict.rule.endswith("less is better of test_loss: read above as below, below as above")
    assert "Test loss (less is better) at the end of training on pairs" in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "verdicts.json").read_text()) == {"lenet.digits-imp": verdict.model_dump(mode="json")}
    assert (tmp_path / "lenet.digits-imp.on-pairs.loss.png").is_file()
