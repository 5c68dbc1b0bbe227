"""Recipes of image networks that start from given weights."""

import re
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
from ticketzoo.models.efficientnet_names import in_timms_names
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


LITE = {
    "_conv_stem": 1, "_bn0": 1, "_blocks.0._depthwise_conv": 1, "_blocks.0._bn1": 1, "_blocks.0._project_conv": 16,
    "_blocks.1._expand_conv": 1, "_blocks.1._bn0": 1, "_blocks.1._depthwise_conv": 1, "_blocks.1._bn1": 1,
    "_blocks.1._project_conv": 24, "_blocks.1._bn2": 1, "_blocks.2._expand_conv": 1, "_blocks.2._project_conv": 24,
    "_blocks.3._expand_conv": 1, "_blocks.3._project_conv": 40, "_conv_head": 1, "_bn1": 1, "_fc": 1,
}  # fmt: skip
"""Layers of the beginning of EfficientNet-Lite0 as it is published, and channels."""


def test_efficientnet_lite_is_read_by_the_names_of_timm() -> None:
    published = {f"{name}.weight": torch.zeros(channels) for name, channels in LITE.items()}
    assert [name.removesuffix(".weight") for name in in_timms_names(published)] == [
        "conv_stem", "bn1", "blocks.0.0.conv_dw", "blocks.0.0.bn1", "blocks.0.0.conv_pw",
        "blocks.1.0.conv_pw", "blocks.1.0.bn1", "blocks.1.0.conv_dw", "blocks.1.0.bn2",
        "blocks.1.0.conv_pwl", "blocks.1.0.bn3", "blocks.1.1.conv_pw", "blocks.1.1.conv_pwl",
        "blocks.2.0.conv_pw", "blocks.2.0.conv_pwl", "conv_head", "bn2", "classifier",
    ]  # fmt: skip
    strange = published | {"_blocks.9._bn0.weight": torch.zeros(1), "_blocks.0._se_reduce.weight": torch.zeros(1)}
    assert strange.keys() - published.keys() <= in_timms_names(strange).keys(), "what is not known keeps its name"
    assert in_timms_names(in_timms_names(published)).keys() == in_timms_names(published).keys()


@pytest.mark.slow
def test_a_ticket_starts_from_efficientnet_lite_as_it_is_published(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    model = create_model("timm/tf_efficientnet_lite0", seed=7, in_shape=(3, 32, 32), num_classes=10)
    timms, published = list(model_state(model)), dict[str, str]()
    for block, place in enumerate(dict.fromkeys(re.findall(r"blocks\.\d\.\d\.", " ".join(timms)))):
        layers = ["expand_conv", "bn0", "depthwise_conv", "bn1", "project_conv", "bn2"][0 if block else 2 :]
        theirs = dict.fromkeys(name.removeprefix(place).split(".")[0] for name in timms if name.startswith(place))
        published |= {f"{place}{own}": f"_blocks.{block}._{layer}" for own, layer in zip(theirs, layers, strict=True)}
    published |= {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    published["classifier"] = "_fc"
    renamed = {f"{published[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": name for name in timms}
    save_file({name: model.state_dict()[own] for name, own in renamed.items()}, tmp_path / "lite0.safetensors")
    found = given_weights("timm/tf_efficientnet_lite0", str(tmp_path / "lite0.safetensors"))
    other = create_model("timm/tf_efficientnet_lite0", seed=8, in_shape=(3, 32, 32), num_classes=10)
    assert load_given(other, found) == []
    assert all(torch.equal(one, model_state(model)[name]) for name, one in model_state(other).items())


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
