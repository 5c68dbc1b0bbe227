"""Post-training pruning and LoTA of a GPT-2 of two layers, by the whole run from recipe to ticket."""

from pathlib import Path
from typing import Any

import pytest
import torch
from text_folders import write_data

from ticketzoo import Ticket, load_ticket
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.start import load_task
from ticketzoo.models import create_from_architecture, load_model_state
from ticketzoo.recipe import parse_recipe
from ticketzoo.zoo.verify import verify_ticket

SIZES = {"vocab_size": 256, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
QUIET = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
LINEAR = 2 * (16 * 48 + 16 * 16 + 2 * 16 * 64)


@pytest.fixture
def texts(tmp_path: Path, caches: Path) -> Path:
    lines = [{"text": f"the {number} cat sat on the mat and sang"} for number in range(40)]
    return write_data(tmp_path / "texts", {"train": lines, "test": lines[:8]})


def recipe_of(texts: Path, finder: dict[str, Any], **keys: Any) -> FindRecipe:
    content = {
        "name": "gpt2.texts",
        "model": {"name": "transformers/gpt2", "kwargs": {"config": SIZES | QUIET}},
        "task": {
            "type": "causal-language-modelling",
            "dataset": {"path": str(texts), "validation": 0},
            "vocabulary": 256,
            "length": 16,
        },
        "training": {"steps": "30it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 0.01}},
        "finder": finder,
        "arms": ["ticket", "dense"],
        "seeds": [0],
    }
    return parse_recipe(content | keys, FindRecipe, "test")


def found(recipe: FindRecipe, out: Path) -> Ticket:
    folder = find_and_package(recipe, out)[1]
    verify_ticket(str(folder))
    return load_ticket(str(folder))


def perplexities(ticket: Ticket) -> dict[int, float]:
    rows = [row for row in ticket.results if row["metric"] == "test_perplexity" and row["arm"] == "ticket"]
    return {row["level"]: row["value"] for row in rows}


@pytest.mark.slow
def test_wanda_of_a_decoder(texts: Path, tmp_path: Path) -> None:
    prune = {"criterion": {"name": "wanda", "sequences": 4}, "schedule": {"levels": [0.3, 0.5]}}
    finder = {"method": "post-training", "pretrain": True, "levels": 2, "prune": prune}
    recipe = recipe_of(texts, finder, package_from=1)
    ticket = found(recipe, tmp_path / "out")
    assert ticket.config.use == "as-is"
    assert ticket.config.pruning.compared == "rows"
    assert ticket.config.pruning.criterion == "wanda (sequences: 4)"
    assert sum(mask.numel() for mask in ticket.masks.values()) == LINEAR
    for name, mask in ticket.at(level=1).masks.items():
        inputs, outputs = mask.shape
        assert mask.sum(0).tolist() == [inputs - int(0.3 * inputs)] * outputs, f"{name} is [inputs, outputs]"
    assert {round(float(mask.float().mean()), 6) for mask in ticket.masks.values()} == {0.5}
    measured = perplexities(ticket)
    assert measured[0] < 60, "the dense network has learned"
    model = ticket.build()
    task = load_task(recipe.task, recipe.model)
    assert task.evaluate(model.eval(), "test", torch.device("cpu"))["perplexity"] == pytest.approx(measured[2])
    again = found(recipe, tmp_path / "out")
    assert again.results == ticket.results
    assert "each output ranked alone" in (tmp_path / "out" / "gpt2.texts" / "README.md").read_text()


@pytest.mark.slow
def test_sparsegpt_packs_the_weights_that_make_up(texts: Path, tmp_path: Path) -> None:
    masks, measured = {}, {}
    for update in (True, False):
        prune = {"criterion": {"name": "sparsegpt", "sequences": 8, "update": update}, "schedule": {"levels": [0.7]}}
        finder = {"method": "post-training", "pretrain": True, "levels": 1, "prune": prune}
        ticket = found(recipe_of(texts, finder, package_from=1), tmp_path / "out")
        masks[update], measured[update] = ticket.masks, perplexities(ticket)
        model, state = ticket.build(), ticket.rewind_state
        assert all(not bool(state[name][~mask].any()) for name, mask in ticket.masks.items())
        assert model is not None
    assert all(torch.equal(mask, masks[False][name]) for name, mask in masks[True].items())
    assert measured[True][0] == measured[False][0]
    assert measured[True][1] < measured[False][1]


@pytest.mark.slow
def test_two_of_four_is_retrained(texts: Path, tmp_path: Path) -> None:
    prune = {"criterion": "wanda", "structure": "n:m", "schedule": {"levels": [0.5]}}
    finder = {"method": "post-training", "retrain": True, "levels": 1, "prune": prune}
    ticket = found(recipe_of(texts, finder), tmp_path / "out")
    assert ticket.config.use == "train"
    for mask in ticket.masks.values():
        assert mask.T.reshape(-1, 4).sum(1).unique().tolist() == [2]


@pytest.mark.slow
def test_lota_trains_what_moved_most_and_nothing_else(texts: Path, tmp_path: Path) -> None:
    finder = {"method": "lota", "calibrate": "5it", "keep": 0.1}
    training = {"steps": "20it", "batch_size": 8}
    training["optimizer"] = {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}
    recipe = recipe_of(texts, finder, training=training, package_trained=True, package_from=1)
    ticket = found(recipe, tmp_path / "out")
    assert ticket.config.masked == "frozen"
    assert sum(int(mask.sum()) for mask in ticket.masks.values()) == round(0.1 * LINEAR)
    begun, ended = ticket.rewind_state, ticket.trained_state
    for name, mask in ticket.masks.items():
        assert torch.equal(begun[name][~mask], ended[name][~mask]), "decay and momentum leave them alone"
        if mask.any():
            assert not torch.equal(begun[name][mask], ended[name][mask])
    model = create_from_architecture(ticket.config.architecture.model_dump(), seed=0)
    load_model_state(model, {f"transformer.{name}": one for name, one in ended.items()})


def test_levels_are_listed(texts: Path) -> None:
    with pytest.raises(RecipeError, match=r"list their sparsities, prune\.schedule\.levels"):
        recipe_of(texts, {"method": "post-training", "prune": {"criterion": "wanda"}})
    with pytest.raises(RecipeError, match="criterion movement compares weights with a training"):
        prune = {"criterion": "movement", "schedule": {"levels": [0.5]}}
        recipe_of(texts, {"method": "post-training", "levels": 1, "prune": prune})
    with pytest.raises(RecipeError, match="calibrate must be longer than 0"):
        recipe_of(texts, {"method": "lota", "calibrate": "0it"})
    with pytest.raises(RecipeError, match=r"lota ranks by movement over all layers, .*: leave prune out"):
        recipe_of(texts, {"method": "lota", "prune": "magnitude"})
