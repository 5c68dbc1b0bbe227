"""Mask training of a pretrained encoder (Liu et al. 2022): the weights are frozen, and the mask is learned."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from text_folders import LETTERS, write_data, write_tokenizer
from tiny_bert import save_tiny_bert, tiny_bert, tokens
from torch import nn

from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, find_tickets
from ticketzoo.finding.package import make_ticket
from ticketzoo.finding.start import load_task
from ticketzoo.masks.topk import keep_largest
from ticketzoo.models import prunable_parameters
from ticketzoo.models.state import copy_state
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.training.mask_training import MaskTraining

COMMIT = "1" * 40
LINES = [" ".join(LETTERS[(start + place) % 26] for place in range(3 + start % 9)) for start in range(60)]
LAYERWISE = {"scope": "layerwise", "schedule": {"rate": 0.5}}


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_mask_begins_as_magnitudes_and_counts_are_exact_at_every_step(rate: float) -> None:
    """At a learning rate of 0 it stays so; at any, no weight moves."""
    model = tiny_bert()
    before = copy_state(model)
    masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}
    kept = {name: round(0.3 * mask.numel()) for name, mask in masks.items()}
    learn = MaskTraining(kept)
    optimizer = torch.optim.SGD(learn.install(model, masks, seed=0), lr=rate)
    by_magnitude = {name: keep_largest(before, {name: mask}, kept[name])[name] for name, mask in masks.items()}
    for step in range(4):
        found = learn.learned(model)
        assert {name: int(mask.sum()) for name, mask in found.masks.items()} == kept
        same = all(torch.equal(mask, by_magnitude[name]) for name, mask in found.masks.items())
        assert same is (rate == 0 or step == 0)
        model(input_ids=tokens()).last_hidden_state[..., 0].sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(torch.equal(tensor, before[name]) for name, tensor in found.weights.items())


def test_the_gradient_passes_straight_through_to_kept_and_pruned_alike() -> None:
    """Kept are -1 and 2: y = -2 - 2 = -4, dL/dy = -7; ds = -7 * x * w."""
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[0.5, -1.0, 2.0, 0.25]])
    learn = MaskTraining({"weight": 2}, threshold=0.5)
    (scores,) = learn.install(layer, {"weight": torch.ones(1, 4, dtype=torch.bool)}, seed=0)
    assert scores.tolist() == [[0.0, 1.0, 1.0, 0.0]]
    y = layer(torch.tensor([1.0, 2.0, -1.0, 4.0]))
    (0.5 * (y - 3) ** 2).backward()
    assert y.item() == -4.0
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-3.5, 14.0, 14.0, -7.0]]


def recipe(base: Path, data: Path, **finder: Any) -> FindRecipe:
    content = {
        "name": "tiny-bert.letters-mask-training",
        "model": {"name": f"transformers/big/bert@{COMMIT}", "mirror": str(base)},
        "task": {
            "type": "fill-mask",
            "dataset": {"path": "letters", "mirror": str(data), "validation": 0},
            "sequences": "lines",
            "max_length": 16,
        },
        "head_first": {"steps": "3it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 0.01}},
        "training": {"steps": "3it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 1e-3}},
        "finder": {
            "method": "mask-training",
            **({} if "prune" in finder else {"rate": 0.7}),
            "training": {"steps": "5it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 0.01}},
            **finder,
        },
        "arms": ["ticket", "magnitude"],
        "seeds": [0],
        "package_from": 1,
    }
    return parse_recipe(content, FindRecipe, "test")


@pytest.mark.slow
def test_a_ticket_of_an_encoder_refers_to_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    write_tokenizer(tmp_path / "base", limit=32)
    save_tiny_bert(tmp_path / "base")
    write_data(tmp_path / "text", {"train": [{"text": line} for line in LINES], "test": [{"text": LINES[0]}]})
    made = recipe(tmp_path / "base", tmp_path / "text")
    task = load_task(made.task, made.model)
    with Store(tmp_path / "run", device=torch.device("cpu")) as cells:
        ticket = make_ticket(made, task, find_tickets(made, task, cells))
    assert (ticket.config.use, ticket.config.rewind.kind) == ("train", "base")
    weights = load_file(tmp_path / "base" / "model.safetensors")
    moved = []
    for name, mask in ticket.masks.items():
        kept = mask.numel() - round(0.7 * mask.numel())
        assert int(mask.sum()) == kept
        moved.append(not torch.equal(mask, keep_largest(weights, {name: torch.ones_like(mask)}, kept)[name]))
    assert all(moved)
    assert {row["arm"] for row in ticket.results} >= {"ticket", "dense", "magnitude"}


@pytest.mark.parametrize(
    ("finder", "said"),
    [
        ({"levels": 2}, "masks of mask-training are not nested"),
        ({"rate": 1}, "finder.rate: input should be less than 1"),
        ({"prune": "snip"}, "mask-training begins with the largest weights of each matrix"),
        (
            {"prune": {"criterion": {"name": "magnitude", "sign": "diff", "single": True}, **LAYERWISE}},
            "prune.criterion: mask-training asks magnitudes once: leave out sign, single",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(finder: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe(tmp_path, tmp_path, **finder)
