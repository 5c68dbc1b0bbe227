"""The arm `inverted_mask`: the same search, which keeps the lowest scores."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo import load_ticket
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, find_and_package, find_tickets, plan_find
from ticketzoo.finding.start import load_task
from ticketzoo.masks.masks import Masks, kept
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.targets import TransferRecipe
from ticketzoo.targets.reproduce import Request, run_reproduction
from ticketzoo.zoo.verify import verify_ticket

CONTENT: dict[str, Any] = {
    "name": "lenet.digits-inverted",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 120}},
    "training": {"steps": "6it", "batch_size": 20},
    "arms": ["ticket", "dense", "inverted_mask"],
    "seeds": [0],
}
SNIP = {"method": "at-init", "levels": 2, "prune": {"criterion": "snip", "schedule": {"levels": [0.5, 0.9]}}}


def recipe(finder: dict[str, Any], **keys: Any) -> FindRecipe:
    return parse_recipe(CONTENT | {"finder": finder} | keys, FindRecipe, "test")


def inverted(values: list[float], start: list[float], criterion: str, keep: int) -> list[int]:
    """The positions that stay of so many when the lowest scores are kept."""
    config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [1 - keep / len(values)]}})
    probe = Weights(
        {"w": torch.tensor(values)}, {"w": torch.ones(len(values), dtype=torch.bool)}, {"w": torch.tensor(start)}
    )
    return Pruner.of(config, inverted=True)(probe, to=1)["w"].nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("magnitude", [3, 4, 5]),  # small final
        ("large-init", [2, 3, 4]),  # small init
        ("magnitude-increase", [1, 4, 5]),
        ("large-final-same-sign", [1, 2, 4]),  # the two of another sign, and the smallest of the others
    ],
)
def test_the_lowest_scores_stay(criterion: str, expected: list[int]) -> None:
    start, end = [0.5, -0.4, 0.1, -0.2, 0.3, -0.6], [0.6, 0.3, -0.5, -0.25, 0.05, -0.1]
    assert inverted(end, start, criterion, 3) == expected


def masks_of(tmp_path: Path, finder: dict[str, Any], **keys: Any) -> tuple[list[Masks], list[Masks], int]:
    """The ticket's masks and the inverted ones, level by level, and the trainings that they took."""
    asked = recipe(finder, **keys)
    with Store(tmp_path / "cells") as cells:
        (found,) = find_tickets(asked, load_task(asked.task, asked.model), cells).replicates
    levels = range(1, asked.finder.levels + 1)
    trainings = len(list((tmp_path / "cells").glob("*/cell.json")))
    return [found.levels[level] for level in levels], [found.inverted[level] for level in levels], trainings


def test_a_criterion_before_training_is_inverted_over_all_layers(tmp_path: Path) -> None:
    """With half of the weights kept, the lowest half is what the ticket removes; no training more than the arm's."""
    ticket, other, trainings = masks_of(tmp_path, SNIP)
    assert all(torch.equal(other[0][name], ~mask) for name, mask in ticket[0].items())
    assert [kept(masks) for masks in other] == [kept(masks) for masks in ticket]
    assert not any((other[1][name] & mask).any() for name, mask in ticket[1].items())
    assert trainings == 1 + 2 + 2


def test_layerwise_counts_are_those_of_the_ticket(tmp_path: Path) -> None:
    finder = {"method": "at-init", "levels": 2, "scope": "layerwise", "rate": 0.4}
    ticket, other, _ = masks_of(tmp_path, finder)
    for mine, its in zip(ticket, other, strict=True):
        assert {name: int(mask.sum()) for name, mask in mine.items()} == {n: int(m.sum()) for n, m in its.items()}


def test_iterative_pruning_keeps_the_lowest_in_each_round(tmp_path: Path) -> None:
    """The second level is pruned by what the first, inverted, trained to; both are the arm's own trainings."""
    ticket, other, trainings = masks_of(tmp_path, {"levels": 2, "rate": 0.5})
    assert all((other[1][name] <= other[0][name]).all() for name in ticket[0])
    assert [kept(masks) for masks in other] == [kept(masks) for masks in ticket]
    assert trainings == 1 + 2 + 2
    assert plan_find(recipe({"levels": 2, "rate": 0.5}), tmp_path / "new", seconds=0.01).trainings == 1 + 2 + 2


def test_the_arm_is_measured_and_on_the_card_and_not_reproduced(tmp_path: Path) -> None:
    arms = ["ticket", "dense", "random_mask", "shuffled_mask", "inverted_mask"]
    _, folder = find_and_package(recipe(SNIP, arm_levels=[2], arms=arms), tmp_path / "run")
    ticket = load_ticket(str(folder))
    assert {row["level"] for row in ticket.results if row["arm"] == "inverted_mask"} == {2}
    card = (folder / "README.md").read_text()
    assert "inverted mask: masks the weights of lowest score" in card
    assert card.count("shuffled mask: further draws of random mask, one control with it") == 1
    assert not [check for check in verify_ticket(folder) if check.holds.startswith("NOTE")]
    again = run_reproduction(Request(ticket, [2], [0]), tmp_path / "again")
    assert again.left_out == ["level 2 seed 0 inverted_mask again: it needs the scores of the search"]
    assert {one.outcome for one in again.trainings} == {"bit-identical"}


def test_a_transfer_has_no_search_to_ask() -> None:
    with pytest.raises(RecipeError, match="inverted_mask asks a search for its lowest scores"):
        parse_recipe(
            {
                "name": "x",
                "tickets": ["x"],
                "levels": [1],
                "targets": [{"task": CONTENT["task"]}],
                "arms": ["inverted_mask"],
            },
            TransferRecipe,
            "test",
        )


@pytest.mark.parametrize(
    ("finder", "what"),
    [
        ({"method": "edge-popup"}, "method edge-popup ranks by none"),
        ({"levels": 1, "prune": "random"}, "criterion random ranks by none"),
    ],
)
def test_what_ranks_by_nothing_is_refused(finder: dict[str, Any], what: str) -> None:
    with pytest.raises(RecipeError, match=what):
        recipe(finder, package_from=1)
