"""`info` says how a ticket was found, in words, and its accuracy beside dense; a supermask how its inputs are made."""

from pathlib import Path
from typing import Any

import pytest
import torch
from toy_zoo import ROWS, make_ticket

from ticketzoo.finding import FindRecipe
from ticketzoo.finding.method import found_words
from ticketzoo.finding.package import make_card
from ticketzoo.finding.package import make_ticket as packaged
from ticketzoo.finding.run import find_tickets
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.tasks import create_task
from ticketzoo.ticket import Ticket
from ticketzoo.zoo.summary import read_summary


def info(folder: Path, ticket: Ticket) -> list[str]:
    return read_summary(ticket.save_pretrained(folder / "ticket")).lines()


@pytest.mark.parametrize(
    ("criterion", "said"),
    [
        ("snip", "Lee et al. 2019"),
        ("synflow", "smallest synaptic flow (Tanaka et al. 2020, section 5)"),
        ("grasp", "Wang"),
    ],
)
def test_criterion_structure_and_schedule_are_said(criterion: str, said: str, tmp_path: Path) -> None:
    pruning = {"method": "at-init", "scope": "global", "criterion": criterion, "schedule": "levels"}
    lines = info(tmp_path, make_ticket(pruning=pruning | {"words": found_words(pruning)}))
    (line,) = [line for line in lines if line.startswith("criterion ")]
    assert said in line
    assert "structure     single weights (LeCun et al. 1990)" in lines
    assert "schedule      a list of sparsities, one a level (Frankle et al. 2021, section 2)" in lines
    assert not any("None" in line for line in lines)


def test_a_rate_and_the_accuracy_beside_dense(tmp_path: Path) -> None:
    lines = info(tmp_path, make_ticket(results=ROWS))
    assert "method        imp" in lines
    assert "schedule      a round removes 0.5 of the surviving weights" in lines
    assert "measured      accuracy: 90.00% at 0.503; dense 90.00%" in lines


def test_a_supermask_states_how_its_inputs_are_normalised(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "name": "lenet.digits-edge-popup",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1, "init": "kaiming_normal"}},
        "task": {
            "type": "image-classification",
            "normalize": [0.5, 0.25],
            "dataset": {"path": "digits", "examples": 60},
        },
        "training": {"steps": "2it", "batch_size": 20},
        "finder": {"method": "edge-popup"},
        "arms": ["ticket", "dense"],
        "seeds": [0],
        "package_from": 1,
    }
    recipe = parse_recipe(content, FindRecipe, "test")
    task = create_task(recipe.task)
    with Store(tmp_path / "run", device=torch.device("cpu")) as cells:
        finding = find_tickets(recipe, task, cells)
        ticket = packaged(recipe, task, finding)
    said = "pixels from 0 to 1, normalised by mean 0.5, std 0.25"
    assert f"inputs        {said}" in info(tmp_path, ticket)
    assert said in make_card(ticket, finding, torch.device("cpu"))["README.md"].decode().replace("\\", "")
