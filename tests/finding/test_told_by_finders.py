"""Lines that finders tell: labels of their trainings, suggestions, overrides to blame, recipes with every key."""

import logging
from dataclasses import replace

import pytest
import yaml
from typer.testing import CliRunner

from ticketzoo.api.recipes import read_for, recipe_path
from ticketzoo.cli.main import app
from ticketzoo.cli.plan import print_plan
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe
from ticketzoo.recipe import dump_recipe, parse_recipe
from ticketzoo.recipe.reading import _blamed
from ticketzoo.runs.plan import Plan
from ticketzoo.runs.timing import Timing
from ticketzoo.ticket.empty import heading


def test_recipe_show_has_every_key_of_the_criterion_and_reads_back_as_the_same_recipe() -> None:
    recipe = read_for("find", "finders/snip", FindRecipe, None)
    shown = dump_recipe(recipe, every_key=True)
    expected = {"sign": None, "single": False, "iterations": 1, "examples_per_class": None, "batch_size": None}
    content = yaml.safe_load(shown)
    assert content["finder"]["prune"]["criterion"] == {"name": "snip", **expected, "batches": 1}
    assert dump_recipe(parse_recipe(content, FindRecipe, "shown")) == dump_recipe(recipe)
    assert yaml.safe_load(dump_recipe(recipe))["finder"]["prune"]["criterion"] == "snip"
    assert "examples_per_class: null" in CliRunner().invoke(app, ["recipe", "show", "finders/snip"]).output


@pytest.mark.parametrize(("given", "near"), [("freze", "freeze"), ("snp", "finders/snip"), ("finders/snp", "finders")])
def test_a_recipe_that_is_not_there_gets_near_names(given: str, near: str) -> None:
    with pytest.raises(RecipeError, match=f"did you mean .*{near}"):
        recipe_path(given)


@pytest.mark.parametrize("override", ["finder={method: edge-popup, rate: 0.5}", "finder.levels=1"])
def test_arm_levels_of_the_recipe_stay_within_the_levels(override: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ticketzoo"):
        recipe = read_for("find", "finders/imp", FindRecipe, [override, "package_from=1"])
    assert recipe.arm_levels == (1,)
    assert "arm_levels: [3, 5] of the recipe becomes [1], as finder.levels is 1" in caplog.text


def test_an_error_of_no_key_repeats_few_overrides() -> None:
    overrides = ["training.steps=9ep", "training.batch_size=8", "license=mit", "draws=1", "seeds=[0,0]"]
    with pytest.raises(RecipeError) as raised:
        read_for("find", "finders/imp", FindRecipe, overrides)
    assert str(raised.value) == "--set seeds=[0,0]: seeds must differ from each other"
    of_none = [*overrides[:4], "finder={method: edge-popup}"]
    with pytest.raises(
        RecipeError, match=r"^--set finder=\{method: edge-popup\}: a ticket of method: edge-popup holds"
    ):
        read_for("find", "finders/imp", FindRecipe, of_none)
    of_none = ["draws=1", "license=mit", "draws=2", "name=a", "model=lenet-300-100"]
    assert _blamed(of_none, {"it is wrong": ""}) == "--set draws=1 --set license=mit --set draws=2 and 2 more"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fc2.weight keeps 5 of 7,680 weights at level 1", "nearly empty layer"),
        ("fc2.weight keeps nothing from level 6 (sparsity 0.600) on", "empty layer"),
    ],
)
def test_a_layer_with_a_few_weights_is_nearly_empty(line: str, said: str) -> None:
    assert heading(line) == said


def test_a_plan_says_nothing_of_the_time_of_what_is_not_trained(capsys: pytest.CaptureFixture[str]) -> None:
    trained = Timing(0.5, 12, (3, 1), {"test": 0.1}, (), 1000, None, 1)
    timings = {"level 0/1": trained, "level 1/1 as it is": replace(trained, iteration=0.0, timed=0)}
    print_plan(Plan("cpu", "cells", 0, trainings=2, iterations=12, timings=timings), as_json=False)
    printed = capsys.readouterr().out
    assert "500 ms an iteration, loading of data included: 12 timed" in printed
    assert "(level 0/1)" in printed
    assert "as it is" not in printed
