"""Binary activations (Diffenderfer & Kailkhura 2021): the sign, with a gradient that passes."""

import pytest
import torch

from ticketzoo.errors import ModelError
from ticketzoo.models import architecture_of, create_model, prunable_parameters
from ticketzoo.models.binary import binary_sign
from ticketzoo.models.effective_masks import effective_masks


def test_the_sign_has_the_gradient_of_a_parabola() -> None:
    x = torch.tensor([0.0, 0.25, -0.5, 1.0, -1.0, 3.0], requires_grad=True)
    y = binary_sign(x)
    y.backward(torch.ones(6))
    assert y.tolist() == [1, 1, -1, 1, -1, 1]
    assert x.grad is not None
    assert x.grad.tolist() == [2, 1.5, 1, 0, 0, 0]


@pytest.mark.parametrize("name", ["conv-2", "conv-4"])
def test_all_layers_but_the_first_see_signs_and_zeros_of_padding(name: str) -> None:
    model = create_model(name, seed=0, width=0.1, in_shape=(1, 8, 8), init="kaiming_normal", activations="binary")
    seen = {}
    for layer, module in model.named_modules():
        if layer.startswith(("conv", "fc")):
            module.register_forward_hook(lambda _, inputs, out, layer=layer: seen.update({layer: (inputs[0], out)}))
    scores = model(torch.randn(6, 1, 8, 8))
    first, *others = seen
    assert len(seen[first][0].unique()) > 2
    assert all(seen[layer][0].unique().tolist() == [-1, 1] for layer in others)
    assert torch.equal(seen[others[-1]][1], scores)


def test_the_usual_network_is_described_as_ever() -> None:
    assert "activations" not in architecture_of("conv-2", {})["kwargs"]
    binary = architecture_of("conv-2", {"activations": "binary"})
    assert binary["kwargs"]["activations"] == "binary"
    usual, other = (create_model("conv-2", seed=0, width=0.1, activations=kind) for kind in ("relu", "binary"))
    weights = zip(prunable_parameters(usual).values(), prunable_parameters(other).values(), strict=True)
    assert all(torch.equal(one, same) for one, same in weights)
    with pytest.raises(ModelError, match="activations='ternary'"):
        create_model("conv-2", seed=0, activations="ternary")


def test_paths_lead_through_signs() -> None:
    """All weights are on one where all are kept; a sign of 0 is +1, and begins one."""
    model = create_model("conv-2", seed=0, width=0.1, in_shape=(1, 4, 4), activations="binary")
    masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}
    masks["fc1.weight"][:] = False
    found = effective_masks(model, masks, {"": torch.ones(1, 1, 4, 4)})
    assert [bool(mask.any()) for mask in found.values()] == [False, False, False, True, True]
