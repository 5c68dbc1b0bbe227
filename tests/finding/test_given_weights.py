"""Recipes of image networks that start from given weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ticketzoo import load_ticket
from ticketzoo.errors import ModelError, RecipeError, RegistryError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.given_weights import given_weights
from ticketzoo.models import create_model, model_state
from ticketzoo.models.given import load_given
from ticketzoo.recipe import dump_recipe, parse_recipe


def recipe_of(**model: Any) -> FindRecipe:
    content = {
        "name": "lenet.digits-imp",
        "model": {"name": "lenet-300-100", **model},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 64}},
        "training": {"steps": "2it", "batch_size": 8},
        "finder": {"levels": 1},
        "arms": ["ticket"],
        "seeds": [0],
    }
    return parse_recipe(content, FindRecipe, "test")


def test_a_head_of_other_classes_stays_fresh() -> None:
    model = create_model("lenet-300-100", seed=0, in_shape=(1, 8, 8), width=0.1)
    other = model_state(create_model("lenet-300-100", seed=1, in_shape=(1, 8, 8), width=0.1, num_classes=3))
    before = {name: one.clone() for name, one in model_state(model).items()}
    assert load_given(model, other) == ["fc3.weight", "fc3.bias"]
    for name, one in model_state(model).items():
        assert torch.equal(one, before[name] if name.startswith("fc3") else other[name])
    assert load_given(model, before) == []
    with pytest.raises(ModelError, match=r"weights do not fit the model: 'fc1.weight' is none in them, \(30, 64\)"):
        load_given(model, {"fc2.weight": torch.ones(1)})


def test_the_key_is_written_only_where_it_is_given() -> None:
    assert "weights" not in dump_recipe(recipe_of()).partition("task:")[0]
    assert "weights: a.safetensors" in dump_recipe(recipe_of(weights="a.safetensors"))
    assert recipe_of(weights="a.safetensors").arms == ("ticket",)
    with pytest.raises(RecipeError, match=r"model\.weights goes with image networks; transformers/\./FOLDER is a"):
        recipe_of(name="transformers/./folder", weights="a.safetensors")
    with pytest.raises(RecipeError, match=r"DEFAULT goes with torchvision/NAME and timm/NAME: give a copy"):
        given_weights("lenet-300-100", "DEFAULT")


def test_a_ticket_starts_from_a_file(tmp_path: Path) -> None:
    model = create_model("lenet-300-100", seed=7, in_shape=(1, 8, 8), width=0.1)
    save_file(model.state_dict(), tmp_path / "start.safetensors")
    recipe = recipe_of(kwargs={"width": 0.1}, weights=str(tmp_path / "start.safetensors"))
    _, folder = find_and_package(recipe, tmp_path / "run")
    start = load_ticket(str(folder), level=0).rewind_state
    assert all(torch.equal(one, start[name]) for name, one in model.state_dict().items())


def test_a_ticket_starts_from_a_finished_training_of_another_run(tmp_path: Path) -> None:
    find_and_package(recipe_of(kwargs={"width": 0.1}), tmp_path / "before")
    cells = {(path / "final.safetensors").is_file(): path for path in (tmp_path / "before" / "cells").iterdir()}
    recipe = recipe_of(kwargs={"width": 0.1}, weights=str(cells[True]))
    _, folder = find_and_package(recipe, tmp_path / "after")
    start = load_ticket(str(folder), level=0).rewind_state
    trained = load_file(cells[True] / "final.safetensors")
    assert start.keys() == trained.keys() and all(torch.equal(start[name], one) for name, one in trained.items())
    (cells[True] / "final.safetensors").unlink()
    with pytest.raises(
        RecipeError, match=r"model\.weights: .*: this training did not keep its weights: it has no final"
    ):
        given_weights("lenet-300-100", str(cells[True]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torchvision/squeezenet1_1", "timm/test_vit"])
def test_published_weights_that_cannot_be_fetched_are_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caches: Path
) -> None:
    pytest.importorskip(name.partition("/")[0])
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(RegistryError, match=r"^[^\n]*give a copy, --set model\.weights=FILE$"):
        given_weights(name, "DEFAULT")
