"""Recipes and models that no supermask can be found of: a line each."""

from pathlib import Path
from typing import Any

import pytest

from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, plan_find
from ticketzoo.recipe import parse_recipe


def recipe(finder: dict[str, Any], model: str = "lenet-300-100", init: str = "kaiming_normal") -> FindRecipe:
    content = {
        "name": "digits-supermask",
        "model": {"name": model, "kwargs": {"width": 0.1, "init": init}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 100}},
        "training": {"steps": "2it"},
        "finder": finder,
        "arms": [],
        "seeds": [0],
        "package_from": 1,
    }
    return parse_recipe(content, FindRecipe, "test")


@pytest.mark.parametrize(
    ("finder", "said"),
    [
        ({"method": "edge-popup", "rate": 0}, r"finder.rate: input should be greater than 0 \(got 0\)"),
        ({"method": "biprop", "rate": 1.0}, r"finder.rate: input should be less than 1 \(got 1.0\)"),
        ({"method": "biprop", "levels": 3}, "masks of biprop are not nested"),
        ({"method": "bernoulli", "rate": 0.5}, "how many weights bernoulli keeps is learned: leave out rate"),
        ({"method": "bernoulli", "prune": "snip"}, "how many weights bernoulli keeps is learned: leave out prune"),
        *[
            ({"method": method, "prune": prune}, f"{method} learns {said}: leave it out")
            for method in ("edge-popup", "biprop")
            for prune, said in [
                ("snip", "which weights stay, and criterion snip would not be looked at"),
                (
                    {"criterion": {"name": "magnitude", "sign": "diff", "single": True}},
                    "which weights stay, and criterion magnitude with keys of its own would not be looked at",
                ),
                ({"structure": "filters"}, "a mask of single weights, and not one of structure filters"),
                ({"structure": "filter"}, "a mask of single weights, and not one of structure filter"),
            ]
        ],
    ],
)
def test_keys_that_cannot_be_are_refused(finder: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe(finder)


@pytest.mark.parametrize("method", ["edge-popup", "biprop", "bernoulli", "criterion-supermask"])
def test_biases_and_scales_that_no_mask_chooses_among_are_refused_before_anything_is_trained(
    method: str, tmp_path: Path
) -> None:
    for model, init, said in [
        ("lenet-300-100", "default", "'fc1.bias' is not 0 throughout"),
        ("resnet-20", "kaiming_normal_bn_uniform", "'bn.weight' is not 1 throughout"),
    ]:
        with pytest.raises(
            RecipeError, match=f"{method} seeks masks of weights alone, but {said}: set model.kwargs.init to kaiming"
        ):
            plan_find(recipe({"method": method}, model, init), tmp_path)


def test_a_layer_that_would_keep_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"finder: biprop would keep no weight of 'fc2\.weight': lower the rate"):
        plan_find(recipe({"method": "biprop", "rate": 0.999}), tmp_path)
