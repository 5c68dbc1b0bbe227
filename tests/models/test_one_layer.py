"""The transformer of one layer: its size, and what it computes, beside torch's own attention."""

import pytest
import torch
from torch.nn import functional as F

from ticketzoo.errors import ModelError
from ticketzoo.models import create_model, prunable_parameters


def test_it_has_115456_weights_and_a_pattern_brings_in_its_embedding() -> None:
    model = create_model("one-layer-transformer", seed=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == 2 * 67 * 128 + 6 * 128 * 128 == 115_456
    assert sum(p.numel() for p in prunable_parameters(model, include=["*"]).values()) == 115_456
    assert "embedding.weight" not in prunable_parameters(model)


@pytest.mark.parametrize("heads", [1, 4])
def test_it_attends_as_torch_does(heads: int) -> None:
    model = create_model("one-layer-transformer", seed=1, width=16, units=8, heads=heads, vocabulary=9, num_classes=5)
    symbols = torch.tensor([[0, 3, 8], [3, 0, 8], [4, 4, 4]])
    read = model.embedding(symbols)
    query, key, value = (of(read).view(3, 3, heads, -1).transpose(1, 2) for of in (model.query, model.key, model.value))
    attended = F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)
    read = read + model.out(attended)
    read = read + model.mlp_out(F.relu(model.mlp_in(read)))
    scores = model(symbols)
    torch.testing.assert_close(scores, model.decoder(read)[:, -1])
    torch.testing.assert_close(scores[0], scores[1])  # it knows no places but the last


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ModelError, match="heads=3 do not divide the width, 16"):
        create_model("one-layer-transformer", seed=0, width=16, heads=3)
