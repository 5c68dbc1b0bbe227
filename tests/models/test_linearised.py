"""Networks made linear in their weights, by hand."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import RunError
from ticketzoo.models import create_model
from ticketzoo.models.linearised import Tangent, linearise


class Made(nn.Module):
    """A function of weights `w`."""

    def __init__(self, function: Any, *weights: float) -> None:
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.tensor(weights))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.function(self.w, x))


def changed(model: nn.Module, *changes: float, masks: Any = None) -> Tangent:
    tangent = linearise(model, masks)
    tangent.changes["w"].data = torch.tensor(changes)
    return tangent


def test_a_square_at_1_is_2x_at_one_and_a_half() -> None:
    model = Made(lambda w, x: w[0] ** 2 * x, 1.0)
    changed(model, 0.5)
    assert model(torch.tensor(3.0)).item() == pytest.approx(2 * 3.0)  # the network itself gives 2.25 x


def test_a_relu_of_b_x_times_a_is_5_9_and_not_5_88() -> None:
    model = Made(lambda w, x: w[0] * F.relu(w[1] * x), 2.0, 3.0)
    tangent = changed(model, 0.1, -0.2)
    assert model(torch.tensor(1.0)).item() == pytest.approx(5.9)
    other = Made(lambda w, x: w[0] * F.relu(w[1] * x), *tangent.weights()["w"].tolist())
    assert other(torch.tensor(1.0)).item() == pytest.approx(5.88)


@given(st.lists(st.floats(-10, 10, width=32), min_size=6, max_size=6))
def test_a_linear_model_is_its_own_tangent(changes: list[float]) -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(2, 2), torch.randn(5, 2)
    plain = nn.Linear(2, 2)
    tangent = linearise(model)
    tangent.changes["weight"].data = torch.tensor(changes[:4]).view(2, 2)
    tangent.changes["bias"].data = torch.tensor(changes[4:])
    plain.load_state_dict(tangent.weights())
    torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["lenet-300-100", "one-layer-transformer"])
def test_at_0_output_and_gradient_are_the_ordinary_ones(name: str) -> None:
    image = {"in_shape": [1, 4, 4], "num_classes": 3, "width": 0.05} if name.startswith("lenet") else {}
    x = torch.randn(6, 1, 4, 4) if image else torch.randint(67, (6, 2))
    labels, plain, model = torch.arange(6) % 3, create_model(name, seed=0, **image), create_model(name, seed=0, **image)
    tangent = linearise(model)
    torch.testing.assert_close(model(x), plain(x))
    F.cross_entropy(plain(x), labels).backward()
    F.cross_entropy(model(x), labels).backward()
    for key, parameter in plain.named_parameters():
        torch.testing.assert_close(tangent.changes[key].grad, parameter.grad)
    assert all(parameter.grad is None for key, parameter in model.named_parameters() if not key.startswith("tangent"))


def test_what_a_mask_prunes_neither_counts_nor_moves() -> None:
    model = Made(lambda w, x: w[0] * w[1] * x + w[1], 2.0, 3.0)
    tangent = changed(model, 5.0, 0.5, masks={"w": torch.tensor([False, True])})
    assert model(torch.tensor(1.0)).item() == pytest.approx(3.5)  # around w = (0, 3): w1 alone
    assert tangent.weights()["w"].tolist() == [0.0, 3.5]
    model(torch.tensor(1.0)).backward()
    grad = tangent.changes["w"].grad
    assert grad is not None and grad.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("layer", "kind"), [(nn.BatchNorm1d(3), "BatchNorm"), (nn.Dropout(), "dropout")])
def test_batch_norm_and_dropout_in_training_mode_are_refused(layer: nn.Module, kind: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), layer)
    with pytest.raises(RunError, match=f"a linearised network with {kind} in training mode \\('1'\\)"):
        linearise(model)
    linearise(model.eval())
    model.train()
    assert model.training and not layer.training
    x = torch.randn(4, 3)
    torch.testing.assert_close(model(x), model(x))


def test_torchs_fused_attention_is_done_step_by_step() -> None:
    model = Made(lambda w, x: F.scaled_dot_product_attention(w.view(1, 2, 2), x, x), 1.0, 2.0, 3.0, 4.0)
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    before = model(x).detach()
    linearise(model)
    torch.testing.assert_close(model(x), before)
