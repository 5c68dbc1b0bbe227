"""Masks of many parameters set back by one call: the same as one by one, and what they cannot be set back together."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from ticketzoo.masks import gradients, together
from ticketzoo.masks.attach import attach, hooks_paused

MASK = torch.tensor([[True, False, True], [False, True, False]])
WAYS = ["together", "one by one"]


@pytest.fixture
def at_the_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gradients wait for the end of the backward pass, as on a GPU."""
    monkeypatch.setattr(gradients, "waits", lambda parameter: True)
    yield
    assert len(gradients._PASSES) == 0


class Layers(nn.ModuleList):
    """Called, it gives the sum of all weights."""

    def forward(self) -> Tensor:
        return torch.stack([weight.sum().real.float() for weight in self.parameters()]).sum()


def model_of(*dtypes: torch.dtype) -> Layers:
    layers = Layers(nn.Linear(3, 2, bias=False, dtype=dtype) for dtype in dtypes)
    for layer in layers:
        nn.init.ones_(layer.weight)
    attach(layers, {f"{index}.weight": MASK for index in range(len(layers))})
    return layers


def weights_of(model: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in model.parameters()]


def assert_held(values: list[Tensor]) -> None:
    for value in values:
        pruned = value[~MASK]
        assert torch.equal(pruned, torch.zeros(3, dtype=value.dtype))
        assert not torch.signbit(torch.view_as_real(pruned) if pruned.is_complex() else pruned).any()


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.float32]
EXTREME = [float("nan"), float("inf"), float("-inf"), -0.0, -1.5, 1e-7]


@pytest.mark.parametrize("way", WAYS)
def test_changes_of_every_dtype_are_set_back_before_a_call(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "one by one":
        monkeypatch.setattr(together, "fits", lambda hold, parameter: False)
    model = model_of(*DTYPES)
    for value in EXTREME:
        for weights in weights_of(model):
            weights.data.fill_(value)
        model()
        assert_held(weights_of(model))
        for weights in weights_of(model):
            assert torch.equal(weights[MASK], torch.full((3,), value, dtype=weights.dtype)) or value != value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_both_ways_train_the_same(way: str, optimizer: type[SGD | AdamW], monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
        masks = {"0.weight": torch.arange(12).view(4, 3) % 2 == 0, "2.weight": torch.arange(12).view(3, 4) % 3 == 0}
        attach(model, masks)
        steps = optimizer(model.parameters(), lr=0.1, weight_decay=0.1)
        for _ in range(3):
            steps.zero_grad()
            model(torch.linspace(-1, 1, 12).view(4, 3)).square().sum().backward()
            steps.step()
            for name, mask in masks.items():
                assert model.get_parameter(name).detach()[~mask].count_nonzero() == 0
        return weights_of(model)

    expected = trained()
    if way == "one by one":
        monkeypatch.setattr(together, "fits", lambda hold, parameter: False)
    else:
        monkeypatch.setattr(gradients, "waits", lambda parameter: True)
    assert all(torch.equal(*pair) for pair in zip(trained(), expected, strict=True))


def gradients_of(model: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


@pytest.mark.usefixtures("at_the_end")
def test_gradients_that_wait_are_zero_once_backward_returns() -> None:
    model = model_of(torch.float32, torch.bfloat16, torch.float64)
    for factor in (1.0, float("nan")):
        (factor * model()).backward()
        assert_held(gradients_of(model))
    assert all(gradient[MASK].isnan().all() for gradient in gradients_of(model))


@pytest.mark.usefixtures("at_the_end")
def test_a_gradient_that_another_hook_reads_does_not_wait() -> None:
    model = model_of(torch.float32)
    seen: list[Tensor] = []
    model[0].weight.register_post_accumulate_grad_hook(lambda parameter: seen.append(parameter.grad.clone()))
    model().backward()
    assert torch.equal(seen[0], MASK.float())


@pytest.mark.usefixtures("at_the_end")
def test_nothing_waits_after_a_backward_pass_that_failed() -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(context: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(context: object, gradient: Tensor) -> Tensor:
            raise ArithmeticError

    model = model_of(torch.float32, torch.float32)
    first, second = (layer.weight for layer in model)
    loss = Fails.apply(first).sum() + second.sum()
    with pytest.raises(ArithmeticError):
        loss.backward()
    assert len(gradients._PASSES) == 0
    model().backward()
    assert_held(gradients_of(model))


@pytest.mark.usefixtures("at_the_end")
def test_a_gradient_zeroed_by_the_loop_itself_waits_for_nothing() -> None:
    model = model_of(torch.float32, torch.float64)
    with hooks_paused(model) as zero_gradients:
        model().backward()
        zero_gradients()
        assert_held(gradients_of(model))


def test_a_call_in_inference_mode_leaves_the_model_trainable() -> None:
    model = model_of(torch.float32)
    optimizer = SGD(model.parameters(), lr=0.1)
    with torch.inference_mode():
        model[0].weight.data.fill_(1)
        assert model() == 3
    for _ in range(2):
        model().backward()
        optimizer.step()
    with torch.inference_mode():
        model[0].weight.data.fill_(1)
        assert model() == 3
    assert_held(weights_of(model))


def transposed(weight: nn.Parameter) -> None:
    weight.data = weight.data.t().contiguous().t()


def another_memory(weight: nn.Parameter) -> None:
    weight.data = torch.ones(2, 3)


def another_dtype(weight: nn.Parameter) -> None:
    weight.data = weight.data.double()


@pytest.mark.parametrize("change", [transposed, another_memory, another_dtype], ids=lambda change: change.__name__)
def test_weights_that_have_moved_are_found(change: Callable[[nn.Parameter], None]) -> None:
    model = model_of(torch.float32, torch.float32)
    optimizer = SGD(model.parameters(), lr=0.1, weight_decay=0.1)

    def step() -> None:
        optimizer.zero_grad()
        model().backward()
        optimizer.step()

    step()
    change(model[1].weight)
    model[1].weight.data.fill_(1)
    optimizer.step()
    assert_held(weights_of(model))
    model[1].weight.data.fill_(1)
    model()
    assert_held(weights_of(model))
    step()
    assert_held(weights_of(model))


def test_an_optimizer_that_is_given_other_parameters_holds_those() -> None:
    first, second = model_of(torch.float32), model_of(torch.float32)
    optimizer = SGD(first.parameters(), lr=0.1, weight_decay=0.1)
    for model in (first, second):
        optimizer.param_groups[0]["params"] = list(model.parameters())
        model().backward()
        model[0].weight.data.fill_(1)
        optimizer.step()
        assert_held(weights_of(model))


def test_masks_that_come_and_go_between_steps_are_seen() -> None:
    layer = nn.Linear(3, 2, bias=False)
    optimizer = SGD(layer.parameters(), lr=0.1)
    for mask in (MASK, ~MASK):
        attach(layer, {"weight": mask})
        for _ in range(2):
            layer.weight.data.fill_(1)
            optimizer.step()
            assert torch.equal(layer.weight.detach(), mask.float())
