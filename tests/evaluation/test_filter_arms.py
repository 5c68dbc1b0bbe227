"""Beside a ticket of whole filters stand other filters and the smaller network; only above both do filters matter."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.evaluation.again import VerdictConfig
from ticketzoo.evaluation.arms import ARMS, Draw
from ticketzoo.evaluation.verdict import judge, judge_all, sentence
from ticketzoo.finding import FindRecipe, plan_find
from ticketzoo.masks.masks import Masks
from ticketzoo.models import architecture_of, create_from_architecture, model_state, prunable_parameters
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.recipe import parse_recipe, read_recipe
from ticketzoo.training import TrainingConfig
from ticketzoo.training.job import Job

ARCHITECTURE = architecture_of("lenet-5", {"in_shape": [1, 12, 12]})


def job(rate: float = 0.5) -> Job:
    """Return the training of a ticket that keeps 3 of 6 and 8 of 16 filters."""
    model = create_from_architecture(ARCHITECTURE, seed=0)
    masks: Masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}
    prune = Pruner.of(PruningConfig(rate=rate, prune={"structure": "filters"}), model)
    masks = prune(Weights(model_state(model), masks), to=1)
    training = TrainingConfig(steps="100it", batch_size=8)
    return Job(ARCHITECTURE, model_state(model), masks, None, training, 7, start_step=5)


def test_random_filters_are_as_many_of_each_layer_and_whole() -> None:
    ticket = job()
    drawn = [ARMS["random_filters"].make(ticket, Draw("random_filters", number)) for number in (0, 1)]
    again = ARMS["random_filters"].make(ticket, Draw("random_filters", 1))
    rows = [one.masks["conv2.weight"].flatten(1).any(1) for one in (ticket, *drawn)]
    assert [int(kept.sum()) for kept in rows] == [8, 8, 8]
    assert not torch.equal(rows[1], rows[2])
    assert torch.equal(again.masks["conv2.weight"], drawn[1].masks["conv2.weight"])
    for one in drawn:
        assert {name: int(mask.sum()) for name, mask in one.masks.items()} == {
            name: int(mask.sum()) for name, mask in ticket.masks.items()
        }
        first = one.masks["conv1.weight"].flatten(1).any(1)
        assert torch.equal(one.masks["conv2.weight"].any(3).any(2).any(0), first)
        assert (one.start_step, one.state) == (5, ticket.state)


def test_the_small_network_starts_afresh_and_trains_as_long_or_for_as_much() -> None:
    ticket = job()
    small = ARMS["small_dense"].make(ticket, Draw("small_dense"))
    assert small.architecture["kwargs"]["widths"] == [3, 8]
    assert (small.masks, small.start_step, small.training) == ({}, 0, ticket.training)
    assert list(small.state["fc1.weight"].shape) == [120, 8]
    other = ARMS["small_dense"].make(ticket, Draw("small_dense", 1))
    assert not torch.equal(small.state["fc1.weight"], other.state["fc1.weight"])
    # Multiplications: 25 x 144 a filter of conv1, 25 x inputs x 4 of conv2, then 120 a filter, 84 x 120 and 840.
    whole, left = 21_600 + 9_600 + 1_920 + 10_920, 10_800 + 2_400 + 960 + 10_920
    long = ARMS["small_dense_long"].make(ticket, Draw("small_dense_long"))
    assert str(long.training.steps) == f"{round(100 * whole / left)}it"


def test_masks_of_single_weights_have_no_such_arms() -> None:
    ticket = job()
    masks = {name: mask.clone() for name, mask in ticket.masks.items()}
    masks["fc1.weight"][0] = False
    for broken, message in ((masks, "the mask of 'fc1.weight' removes single weights"), ({}, "remove no filter")):
        with pytest.raises(RunError, match=message):
            ARMS["random_filters"].make(replace(ticket, masks=broken), Draw("random_filters"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"finder": {"levels": 1}}, "arms: random_filters, small_dense goes with finder.prune.structure: filters"),
        ({"model": "torchvision/resnet18"}, "arms: small_dense: model torchvision/resnet18 takes no widths"),
    ],
)
def test_a_recipe_that_cannot_have_them_is_refused_before_anything_is_trained(
    changed: dict[str, Any], message: str
) -> None:
    recipe = {
        "name": "t",
        "model": "lenet-5",
        "task": {"type": "image-classification", "dataset": {"path": "digits"}},
        "finder": {"levels": 1, "prune": {"structure": "filters"}},
        "arms": ["random_filters", "small_dense"],
    }
    parse_recipe(recipe, FindRecipe, "test")
    with pytest.raises(RecipeError, match=message):
        parse_recipe(recipe | changed, FindRecipe, "test").check_widths()


def test_a_network_without_convolutions_is_refused_as_one_whatever_the_arms(tmp_path: Path) -> None:
    overrides = ["model.name=lenet-300-100", "task.dataset.examples=100"]
    recipe = read_recipe(Path(__file__).parents[2] / "recipes/finders/filters.yaml", FindRecipe, overrides)
    with pytest.raises(RecipeError, match=r"the network has no convolution whose filters can go$"):
        plan_find(recipe, tmp_path)


def rows(arm: str, mean: float) -> list[dict[str, Any]]:
    level = 0 if arm == "dense" else 1
    return [
        {
            "ticket": "t", "level": level, "sparsity": 0.3 * level, "arm": arm, "target": "mnist", "seed": seed,
            "draw": 0, "at": "final", "step": 100, "metric": "test_accuracy", "value": mean + 0.01 * (seed - 1),
        }
        for seed in range(3)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("others", "small", "label"),
    [
        (0.8, 0.8, "filters matter"),
        (0.8, 0.9, "matching"),
        (0.9, 0.8, "matching"),
        (0.8, None, "matching"),
        (None, 0.8, "matching"),
    ],
)
def test_filters_matter_only_above_both(others: float | None, small: float | None, label: str) -> None:
    measured = rows("dense", 0.9) + rows("ticket", 0.9)
    measured += [] if others is None else rows("random_filters", others)
    measured += [] if small is None else rows("small_dense", small)
    verdict = judge(measured, margin=0.02, transfer=())
    assert verdict.label == label
    assert "filters matter: matching, with at least 3 seeds" in verdict.rule
    assert "winning" not in verdict.rule + sentence(verdict)
    assert ("filters matter at 0.300 (level 1)" in sentence(verdict)) == (label == "filters matter")


def test_the_structure_says_so_whatever_arms_were_measured() -> None:
    """Above fresh weights and random positions a ticket wins; of whole filters these show nothing."""
    measured = rows("dense", 0.9) + rows("ticket", 0.9) + rows("random_mask", 0.8) + rows("random_reinit", 0.8)
    assert judge(measured, margin=0.02, transfer=()).label == "winning"
    verdict = judge(measured, margin=0.02, transfer=(), use="filters")
    assert (verdict.label, judge_all(measured, margin=0.02, transfer={"t": ()}, filters=["t"])["t"]) == (
        "matching",
        verdict,
    )
    assert "winning" not in verdict.rule
    assert "has random_filters 0, small_dense 0" in verdict.levels[0].reason


@pytest.mark.parametrize("beside", ["small_dense_long", "random_mask", "random_reinit"])
def test_other_arms_are_shown_and_no_controls(beside: str) -> None:
    measured = [*rows("dense", 0.9), *rows("ticket", 0.9), *rows("random_filters", 0.8), *rows("small_dense", 0.8)]
    verdict = judge(measured + rows(beside, 0.95), margin=0.02, transfer=())
    assert verdict.label == "filters matter"
    assert beside not in verdict.levels[0].reason


@pytest.mark.parametrize(
    ("model", "structure", "arms"),
    [
        ("lenet-5", "filters", ("ticket", "dense", "random_filters", "small_dense")),
        ("torchvision/resnet18", "filters", ("ticket", "dense", "random_filters")),
        ("lenet-5", "weight", ("ticket", "dense", "random_reinit", "random_mask")),
    ],
)
def test_the_default_arms_follow_from_the_structure(model: str, structure: str, arms: tuple[str, ...]) -> None:
    task = {"type": "image-classification", "dataset": {"path": "digits"}}
    content = {"name": "t", "model": model, "task": task, "finder": {"levels": 1, "prune": {"structure": structure}}}
    recipe = parse_recipe(content, FindRecipe, "test")
    assert recipe.arms == arms
    measured = rows("dense", 0.9) + rows("ticket", 0.9) + rows("random_mask", 0.8) + rows("random_reinit", 0.8)
    assert recipe.model_copy(update={"verdict": VerdictConfig(margin=0.02)}).judge(measured, transfer=()).label == (
        "winning" if structure == "weight" else "matching"
    )
