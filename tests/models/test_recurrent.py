"""LSTM language models: parameters counted by hand, the start, and masks on weights that cuDNN keeps in one piece."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ticketzoo.errors import ModelError
from ticketzoo.masks.attach import attach
from ticketzoo.models import create_model, head_modules, prunable_parameters
from ticketzoo.models.architecture import ARCHITECTURES

SMALL = {"vocabulary": 50, "embedding": 8, "hidden": 8, "layers": 2, "dropout": 0.0}


def test_parameters_of_the_paper_s_sizes() -> None:
    """A layer has 4 h (e + h) + 8 h of them: 3,385,200 where both are 650."""
    model = ARCHITECTURES["lstm-lm"].outline({"vocabulary": 33_278})
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert counts == {"dropout": 0, "embedding": 21_630_700, "lstm": 2 * 3_385_200, "decoder": 21_663_978}
    assert sum(counts.values()) == 50_065_078


def test_what_is_prunable() -> None:
    model = create_model("lstm-lm", seed=0, **SMALL)
    lstm = [f"lstm.weight_{kind}_l{layer}" for layer in (0, 1) for kind in ("ih", "hh")]
    assert list(prunable_parameters(model)) == ["decoder.weight"]
    assert list(prunable_parameters(model, ["lstm.weight_*"], ["decoder"])) == lstm
    assert prunable_parameters(model, ["*"]).keys() == dict(model.named_parameters()).keys()
    assert head_modules(model) == ["embedding", "decoder"]


@pytest.mark.parametrize("tied", [False, True])
def test_the_first_loss_is_that_of_all_words_alike(tied: bool) -> None:
    sizes = SMALL | {"vocabulary": 1000, "embedding": 64, "hidden": 64, "tied": tied}
    model = create_model("lstm-lm", seed=0, **sizes)
    tokens = torch.randint(1000, (20, 51), generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(model(tokens[:, :-1]).logits.flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(1000), rel=0.01)


def test_a_state_goes_on_as_if_the_text_had_not_been_cut() -> None:
    model = create_model("lstm-lm", seed=0, **SMALL)
    tokens = torch.arange(24).view(2, 12)
    whole, half = model(tokens), model(tokens[:, :5])
    rest = model(tokens[:, 5:], half.state)
    torch.testing.assert_close(torch.cat([half.logits, rest.logits], 1), whole.logits)
    assert [tuple(part.shape) for part in rest.state] == [(2, 2, 8)] * 2


def test_tied_weights_are_one_and_no_mask_covers_them_unasked() -> None:
    model = create_model("lstm-lm", seed=0, **SMALL, tied=True)
    assert model.decoder.weight is model.embedding.weight
    assert list(prunable_parameters(model)) == []
    assert "embedding.weight" in prunable_parameters(model, ["decoder"])
    with pytest.raises(ModelError, match="lstm-lm: tied needs embedding and hidden to be the same, not 4 and 8"):
        create_model("lstm-lm", seed=0, **SMALL | {"embedding": 4}, tied=True)


def masks_of(model: Any) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    named = prunable_parameters(model, ["*"])
    return {name: torch.rand(one.shape, generator=generator) < 0.5 for name, one in named.items()}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU"))])  # fmt: skip
def test_masks_stay_in_the_memory_that_the_layer_computes_with(device: str) -> None:
    """On a GPU all weights of an LSTM are one piece of memory: a mask must leave them in place."""
    model = create_model("lstm-lm", seed=0, **SMALL).to(device)
    masks = masks_of(model)
    places = [weight.data_ptr() for weight in model.lstm._flat_weights]
    attach(model, masks)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
    tokens = torch.arange(24, device=device).view(2, 12)
    for _ in range(3):
        logits = model(tokens[:, :-1]).logits
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert [weight.data_ptr() for weight in model.lstm._flat_weights] == places
    for weight, name in zip(model.lstm._flat_weights, model.lstm._flat_weights_names, strict=True):
        assert weight is getattr(model.lstm, name)
        assert not weight[~masks[f"lstm.{name}"].to(device)].any()
        assert weight[masks[f"lstm.{name}"].to(device)].all()


def test_a_masked_model_computes_with_its_masks() -> None:
    """The same as one whose weights were set to zero by hand."""
    model, plain = (create_model("lstm-lm", seed=0, **SMALL) for _ in range(2))
    masks = masks_of(model)
    attach(model, masks)
    with torch.no_grad():
        for name, mask in masks.items():
            plain.get_parameter(name).mul_(mask)
    tokens = torch.arange(24).view(2, 12)
    assert torch.equal(model(tokens).logits, plain(tokens).logits)


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"dropout": 1.0}, {"hidden": 8.0}, {"vocabulary": 3_000_000}])
def test_sizes_are_bounded(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        create_model("lstm-lm", seed=0, **SMALL | wrong)


def test_a_network_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(ModelError, match=r"lstm-lm has .* parameters with .*; at most 200,000,000 are allowed"):
        create_model("lstm-lm", seed=0, vocabulary=2_000_000)
