from pathlib import Path
from typing import Any

import pytest
import yaml

from ticketzoo.errors import DataError, RecipeError
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.start import load_task
from ticketzoo.recipe import Steps, dump_recipe, parse_recipe, read_recipe

SMALLEST: dict[str, Any] = {
    "name": "lenet.digits-imp",
    "model": "lenet-300-100",
    "task": {"type": "image-classification", "dataset": {"path": "digits"}},
}
FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = [
    path
    for path in sorted(FOLDER.glob("**/*.yaml"))
    if "\nfinder:" in path.read_text() and path.parent.name != "stability"
]


def test_a_model_s_name_alone_is_enough() -> None:
    recipe = parse_recipe(SMALLEST, FindRecipe, "test")
    assert (recipe.model.name, recipe.model.kwargs) == ("lenet-300-100", {})
    assert recipe == parse_recipe(SMALLEST | {"model": {"name": "lenet-300-100"}}, FindRecipe, "test")


def test_keys_that_are_not_used_are_not_written_and_those_of_a_task_keep_their_order() -> None:
    assert "include" not in dump_recipe(parse_recipe(SMALLEST, FindRecipe, "test"))
    content = SMALLEST | {"finder": {"include": ["*.bias"]}, "task": SMALLEST["task"] | {"name": "mine"}}
    written = dump_recipe(parse_recipe(content, FindRecipe, "test"))
    assert "include:\n  - '*.bias'\n" in written
    assert list(yaml.safe_load(written)["task"])[:3] == ["type", "dataset", "name"]
    assert parse_recipe(yaml.safe_load(written), FindRecipe, "test") == parse_recipe(content, FindRecipe, "test")


def test_the_defaults_are_the_paper_s_rate_and_rewinding_to_initialisation() -> None:
    recipe = parse_recipe(SMALLEST, FindRecipe, "test")
    finder = recipe.finder
    assert (finder.method, finder.scope, finder.rate, finder.rewind) == ("imp", "global", 0.2, Steps(0, "it"))
    assert finder.rewinding == "weights"
    assert recipe.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("keys", "trainings"),
    [
        # a seed: levels 0 to 3; then a re-initialisation and two random masks at 3 levels
        ({}, 4 + 3 * 3),
        ({"seeds": [5, 7]}, 2 * (4 + 3 * 3)),
        ({"arm_levels": [2]}, 4 + 3),
        ({"draws": 1}, 4 + 2 * 3),
        ({"arm_levels": [2], "draws": 3}, 4 + 2 * 3),
        ({"arms": ["ticket", "dense"]}, 4),
        ({"arms": ["shuffled_mask", "shuffled_mask"]}, 4 + 3),
        ({"arms": ["dense_long", "large_init"]}, 4 + 1 + 3),
    ],
)
def test_how_many_trainings_a_recipe_asks_for(keys: dict[str, Any], trainings: int) -> None:
    content = SMALLEST | {"finder": {"levels": 3}, "seeds": [0]} | keys
    assert parse_recipe(content, FindRecipe, "test").trainings == trainings


def test_default_arms_of_a_pretrained_model_have_one_shot_magnitude_in_place_of_fresh_weights() -> None:
    assert parse_recipe(SMALLEST, FindRecipe, "test").arms == ("ticket", "dense", "random_reinit", "random_mask")
    pretrained = SMALLEST | {"model": "transformers/./folder"}
    assert parse_recipe(pretrained, FindRecipe, "test").arms == ("ticket", "dense", "magnitude", "random_mask")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"finder": {"rate": 1.5}}, "finder.rate: input should be less than 1 (got 1.5)"),
        ({"finder": {"rate": 0}}, "finder.rate: input should be greater than 0 (got 0)"),
        ({"finder": {"rate": "a fifth"}}, "finder.rate: input should be a valid number"),
        ({"finder": {"levels": -1}}, "finder.levels: input should be greater than or equal to 1 (got -1)"),
        ({"finder": {"levels": 10**30}}, "finder.levels: input should be less than or equal to 1000"),
        (
            {"finder": {"method": "snip"}},
            "finder.method: unknown 'snip'; known: at-init, ",
        ),
        ({"finder": {"rewind": 500}}, "finder.rewind: write iterations as '500it' or epochs as '2ep', not 500"),
        ({"finder": {"rates": {"fc3": 0.1}}}, "rates (per layer) go with scope: layerwise"),
        ({"finder": {"scope": "layerwise", "rates": {"fc3": 1.1}}}, "finder.rates.fc3: input should be less than 1"),
        ({"finder": {"level": 3}}, "unknown key 'finder.level', did you mean 'levels'?"),
        ({"model": {"nme": "lenet-5"}}, "unknown key 'model.nme', did you mean 'name'?"),
        ({"model": {"name": "lenet-5", "kwargs": {"since": object()}}}, "not a valid JSON value"),
        ({"model": 5}, "model: write keys and values"),
        ({"tasks": {}}, "unknown key 'tasks', did you mean 'task'?"),
        ({"task": {"type": "image-classification", "dataset": {"paht": "digits"}}}, "did you mean 'path'?"),
        ({"training": {"optimizer": {"learning_rate": 1}}}, "unknown key 'training.optimizer.learning_rate'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [0, 0]}, "seeds must differ from each other"),
        ({"seeds": [-1]}, "seeds.0: input should be greater than or equal to 0 (got -1)"),
        ({"seeds": 3}, "seeds: write a list, such as [a, b] (got 3)"),
        ({"arms": ["tickets"]}, "arms.0: unknown arm 'tickets'; did you mean ticket or random_ticket?"),
        ({"arm_levels": [4], "finder": {"levels": 3}}, "arm_levels [4] are beyond finder.levels (3)"),
        ({"arm_levels": [2, 2], "finder": {"levels": 3}}, "arm_levels must differ from each other"),
        ({"package_from": 4, "finder": {"levels": 3}}, "package_from is beyond finder.levels (3)"),
        (
            {"finder": {"method": "at-init", "prune": "movement"}},
            "criterion movement compares weights with a training, and at-init prunes before",
        ),
        (
            {"finder": {"method": "one-shot-initial", "prune": "magnitude-increase"}},
            "criterion magnitude-increase compares weights with a training, and one-shot-initial prunes before",
        ),
        (
            {"finder": {"prune": {"criterion": "random", "structure": "filter"}}},
            "criterion random scores single weights: it goes with structure: weight",
        ),
        (
            {"finder": {"method": "edge-popup"}},
            "a ticket of method: edge-popup holds its last level alone: set package_from to finder.levels (1)",
        ),
        ({"finder": {"method": "one-shot-initial", "rewinding": "learning-rate"}}, "one-shot-initial prunes none"),
        (
            {"finder": {"rewinding": "none"}},
            "finder.rewinding: unknown rewinding 'none'; known are weights, learning-rate, late-reset",
        ),
        (
            {"name": "../evil"},
            "name: write small letters and digits, after the first also '.', '_' and '-', 96 at most",
        ),
        ({"name": ""}, "name: write small letters and digits"),
    ],
)
def test_an_impossible_recipe_is_refused_with_the_key(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(SMALLEST | keys, FindRecipe, "test")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_said_and_nothing_else() -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe({"name": "mine", "model": {"name": "lenet-300-100", "kwarg": {}}}, FindRecipe, "test")
    first = "unknown key 'model.kwarg', did you mean 'kwargs'?"
    assert str(error.value) == f"recipe test: {first}; key 'task' is missing"


@pytest.mark.parametrize("keys", [{"finder": {"rate": 20}}, {"finder": {"scope": "layerwise", "rates": {"fc3": 10}}}])
def test_a_percentage_is_refused(keys: dict[str, Any]) -> None:
    """Trap 8: percent and fraction mixed in one formula. Every rate and sparsity is a fraction."""
    with pytest.raises(RecipeError, match="input should be less than 1"):
        parse_recipe(SMALLEST | keys, FindRecipe, "test")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_shipped_recipe_reads_and_its_dump_reads_back_equal(path: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path, FindRecipe)
    dumped = tmp_path / "recipe.yaml"
    dumped.write_text(dump_recipe(recipe))
    assert read_recipe(dumped, FindRecipe) == recipe
    finder = yaml.safe_load(dumped.read_text())["finder"]
    scope = finder.get("prune", finder)["scope"]
    assert (scope if isinstance(scope, str) else scope["name"]) == recipe.finder.stated()["scope"]
    if path.parent == FOLDER and path.stem not in ("quickstart", "my-images", "my-texts"):
        assert path.stem == recipe.name


def test_there_are_shipped_recipes() -> None:
    assert len(RECIPES) >= 3


def test_the_reproduction_recipe_follows_the_paper_to_the_letter() -> None:
    recipe = read_recipe(FOLDER / "lenet-300-100.mnist-imp-frankle2019.yaml", FindRecipe)
    training, finder = recipe.training, recipe.finder
    assert (training.steps, training.batch_size, training.evaluate_every) == (
        Steps(50_000, "it"), 60, Steps(100, "it")
    )  # fmt: skip
    assert (training.optimizer.name, training.optimizer.lr, training.optimizer.weight_decay) == ("adam", 1.2e-3, 0)
    assert training.schedule.name == "constant"
    assert (finder.scope, finder.rate, finder.rates) == ("layerwise", 0.2, {"fc3": 0.1})
    assert finder.rewind.count == 0
    assert recipe.task.dataset.validation == 5000
    assert len(recipe.seeds) == 5
    assert recipe.draws == 3


@pytest.mark.parametrize("name", ["my-images", "my-texts"])
def test_a_recipe_for_ones_own_data_says_how_to_name_them_before_it_fetches_a_model(name: str) -> None:
    recipe = read_recipe(FOLDER / f"{name}.yaml", FindRecipe)
    said = r"no data set at \./FOLDER: there is no such folder.*: give one with --set task\.dataset\.path=FOLDER$"
    with pytest.raises(DataError, match=said):
        load_task(recipe.task, recipe.model)
