"""Every recipe in recipes/finders, shortened: found, packaged, verified and loaded; killed; by two processes."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from killed_find import killed, start
from launched import results_of

from ticketzoo import load_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.method import found_words
from ticketzoo.finding.package import make_ticket
from ticketzoo.finding.run import find_tickets
from ticketzoo.models import bare_names
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.tasks import create_task
from ticketzoo.zoo.verify import verify_ticket

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "finders"
RECIPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
ALIKE = {
    "biprop-binary", "edge-popup", "filters-greedy", "grad", "grasp-abs", "large-init-large-final", "lota",
    "magnitude-increase", "movement", "random-er", "random-smart-ratio", "random-uniform", "small-final",
    "wanda",
}  # fmt: skip
"""Recipes that differ from another one by a key or by a criterion of the same kind, or are slow."""


def shortened(value: Any, key: str = "") -> Any:
    """Return a part of a recipe with trainings of 6 iterations, on fewer digits, of one seed."""
    if key == "watch":
        return {"every": "2it", "window": 2, "threshold": 1.0}
    if isinstance(value, dict):
        return {name: shortened(one, name) for name, one in value.items()}
    if key == "seeds":
        return value[:1]
    if key == "iterations":
        return 3
    if isinstance(value, list):
        return [shortened(one) for one in value]
    if isinstance(value, str) and re.fullmatch(r"[0-9.]+(it|ep)", value) and float(value[:-2]):
        return "6it" if key == "steps" else "3it"
    return value


def recipe_of(name: str) -> dict[str, Any]:
    content = shortened(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))
    content["task"]["dataset"] |= {"examples": 200}
    if isinstance(content["model"], dict) and "width" in content["model"].get("kwargs", {}):
        content["model"]["kwargs"]["width"] = 0.1
    return content


def found(name: str, folder: Path) -> Path:
    return find_and_package(parse_recipe(recipe_of(name), FindRecipe, name), folder)[1]


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow) if one in ALIKE else one for one in RECIPES]
)
def test_the_recipe_makes_a_ticket_that_is_verified_and_loads(name: str, tmp_path: Path) -> None:
    """Saved without its plots, which take longer to draw than all else."""
    recipe = parse_recipe(recipe_of(name) | {"arms": ["ticket", "dense"]}, FindRecipe, name)
    task = create_task(recipe.task)
    with Store(tmp_path / "run", device=torch.device("cpu")) as cells:
        made = make_ticket(recipe, task, find_tickets(recipe, task, cells))
    made.save_pretrained(tmp_path / "ticket")
    checks = verify_ticket(tmp_path / "ticket", found_words=found_words)
    assert {one.holds for one in checks if "NOTE" in one.holds} == {"NOTE: there is none"}  # no card
    ticket = load_ticket(str(tmp_path / "ticket"))
    model = ticket.build(allow_empty=True)
    weights = bare_names(dict(model.named_parameters()), model)
    for masked, mask in ticket.masks.items():
        start = ticket.rewind_state[masked] if ticket.kind == "frozen" else torch.zeros(mask.shape)
        assert torch.equal(weights[masked][~mask], start[~mask])
    deciding = f"test_{task.metric.name}"
    assert any(row["arm"] == "ticket" and row["metric"] == deciding for row in ticket.results)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_the_card_of_the_recipe_is_verified_and_all_arms_are_measured(name: str, tmp_path: Path) -> None:
    folder = found(name, tmp_path)
    verify_ticket(folder, found_words=found_words)
    measured = {row["arm"] for row in load_ticket(str(folder)).results}
    assert measured >= set(recipe_of(name)["arms"])


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_killed_and_resumed_makes_the_same_bytes(name: str, tmp_path: Path) -> None:
    (recipe := tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe_of(name)))
    folders = tmp_path / "whole", tmp_path / "killed"
    process = start(recipe, folders[0])
    process.join()
    assert process.exitcode == 0
    for after in (0.0, 0.02, 0.05):
        killed(start(recipe, folders[1]), folders[1], after)
    process = start(recipe, folders[1])
    process.join()
    assert process.exitcode == 0
    (whole,), (resumed,) = ([path.parent for path in folder.glob("*/ticket.json")] for folder in folders)
    files = [path.relative_to(whole) for path in whole.rglob("*") if path.suffix in (".json", ".jsonl", ".safetensors")]
    assert [str(file) for file in files if (whole / file).read_bytes() != (resumed / file).read_bytes()] == []


def masks_digest(name: str, folder: str) -> str:
    return load_ticket(str(found(name, Path(folder)))).config.mask_sha256


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_find_the_same_mask(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    first, second = results_of(2, masks_digest, tmp_path, name, str(tmp_path / "two"))
    assert first == second
    if name != "wanda":  # ranked after training, and sums over processes round otherwise
        assert first == masks_digest(name, str(tmp_path / "one"))
