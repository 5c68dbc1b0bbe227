import copy
import io
import pickle
import sys
import threading
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.masks.attach import attach, detach, hooks_paused
from ticketzoo.masks.checks import attached_masks

MASKS = {
    "0.weight": torch.tensor([[True, False, True], [False, True, False]]),
    "2.weight": torch.tensor([[True, False]]),
}


def small_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    generator = torch.Generator().manual_seed(1)
    dtype = next(model.parameters()).dtype
    for _ in range(steps):
        x = torch.randn(4, 3, generator=generator).to(dtype)
        optimizer.zero_grad()
        (model(x) - 3).square().mean().backward()
        optimizer.step()


def pruned_values(model: nn.Module) -> Tensor:
    named = dict(model.named_parameters())
    return torch.cat([named[name][~mask] for name, mask in MASKS.items()]).detach()


def assert_trains_masked(model: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    before = model.get_parameter("0.weight").detach().clone()
    train(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    assert torch.equal(pruned_values(model), torch.zeros(4, dtype=dtype))
    assert not torch.equal(model.get_parameter("0.weight"), before)


OPTIMIZERS = {
    "sgd with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adam with coupled decay": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1, amsgrad=True),
    "fused adam": lambda p: torch.optim.Adam(p, lr=0.1, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_pruned_weights_are_exactly_zero_after_every_step(optimizer: str) -> None:
    model = small_model()
    attach(model, MASKS)
    chosen = OPTIMIZERS[optimizer](model.parameters())
    assert torch.equal(pruned_values(model), torch.zeros(4))
    for _ in range(3):
        kept = model.get_parameter("0.weight")[0, [0, 2]].detach()  # of the one hidden unit that reaches the output
        train(model, chosen, steps=1)
        assert torch.equal(pruned_values(model), torch.zeros(4))
        assert not torch.signbit(pruned_values(model)).any()
        assert not torch.isclose(model.get_parameter("0.weight")[0, [0, 2]], kept).any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stale_optimiser_state_does_not_revive_pruned_weights(optimizer: str) -> None:
    model = small_model()
    chosen = OPTIMIZERS[optimizer](model.parameters())
    train(model, chosen)
    attach(model, MASKS)
    train(model, chosen, steps=1)
    assert torch.equal(pruned_values(model), torch.zeros(4))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_an_optimiser_that_mixes_entries_does_not_revive_pruned_weights() -> None:
    model = small_model()
    attach(model, MASKS)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    train(model, torch.optim.Muon(matrices, lr=0.1))
    assert torch.equal(pruned_values(model), torch.zeros(4))


def test_lbfgs_with_its_closure() -> None:
    model = small_model()
    attach(model, MASKS)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(torch.ones(1, 3)) - 3).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.equal(pruned_values(model), torch.zeros(4))


def test_clipping_sees_no_pruned_gradient() -> None:
    layer = nn.Linear(2, 1, bias=False)
    attach(layer, {"weight": torch.tensor([[True, False]])})
    layer(torch.tensor([[3.0, 1000.0]])).sum().backward()
    assert torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0) == 3.0  # the dense norm would be 1000.0045
    assert torch.allclose(layer.weight.grad, torch.tensor([[1.0, 0.0]]))


def test_gradients_accumulated_over_two_batches_stay_masked() -> None:
    layer = nn.Linear(2, 1, bias=False)
    attach(layer, {"weight": torch.tensor([[True, False]])})
    for _ in range(2):
        layer(torch.tensor([[1.0, 1.0]])).sum().backward()
    assert torch.equal(layer.weight.grad, torch.tensor([[2.0, 0.0]]))


def test_nan_and_infinite_gradients_of_pruned_weights_are_dropped() -> None:
    layer = nn.Linear(3, 1, bias=False)
    attach(layer, {"weight": torch.tensor([[True, False, False]])})
    layer(torch.tensor([[1.0, float("nan"), float("inf")]])).sum().backward()
    assert torch.equal(layer.weight.grad, torch.tensor([[1.0, 0.0, 0.0]]))


def test_a_gradient_present_when_attaching_is_masked_too() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer(torch.ones(1, 2)).sum().backward()
    attach(layer, {"weight": torch.tensor([[True, False]])})
    assert torch.equal(layer.weight.grad, torch.tensor([[1.0, 0.0]]))


def test_a_kept_zero_is_not_a_pruned_weight() -> None:
    layer = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(layer.weight)
    attach(layer, {"weight": torch.tensor([[True, False]])})
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert torch.equal(layer.weight, torch.tensor([[-1.0, 0.0]]))


def test_a_deep_copy_is_masked_and_independent() -> None:
    model = small_model()
    attach(model, MASKS)
    twin = copy.deepcopy(model)
    assert_trains_masked(twin)
    detach(model)
    assert_trains_masked(twin)
    assert attached_masks(model) is None
    assert torch.equal(attached_masks(twin)["0.weight"], MASKS["0.weight"])


def test_a_deep_copy_of_a_model_around_the_masked_one_is_masked() -> None:
    inner = small_model()
    attach(inner, MASKS)
    twin = copy.deepcopy(nn.Sequential(inner, nn.Linear(1, 1)))
    del inner
    train(twin, torch.optim.SGD(twin.parameters(), lr=0.1))
    assert torch.equal(pruned_values(twin[0]), torch.zeros(4))


def test_a_pickled_model_comes_back_masked() -> None:
    model = small_model()
    attach(model, MASKS)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    assert_trains_masked(torch.load(buffer, weights_only=False))


def test_the_state_dict_is_that_of_the_plain_model() -> None:
    model = small_model()
    attach(model, MASKS)
    assert list(model.state_dict()) == list(small_model().state_dict())


@pytest.mark.parametrize("assign", [False, True])
def test_dense_weights_loaded_later_are_masked(assign: bool) -> None:
    model = small_model()
    attach(model, MASKS)
    model.load_state_dict(small_model().state_dict(), assign=assign)
    assert torch.equal(pruned_values(model), torch.zeros(4))
    assert_trains_masked(model)
    twin = copy.deepcopy(model)
    twin.load_state_dict(small_model().state_dict(), assign=assign)
    assert torch.equal(pruned_values(twin), torch.zeros(4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_masks_follow_a_moved_model(dtype: torch.dtype) -> None:
    model = small_model()
    attach(model, MASKS)
    assert_trains_masked(model)
    assert_trains_masked(model.to(dtype), dtype)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_masks_follow_a_model_to_the_gpu() -> None:
    model = small_model()
    attach(model, MASKS)
    model.to("cuda")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 3, device="cuda")).sum().backward()
        optimizer.step()
    assert torch.equal(pruned_values(model.cpu()), torch.zeros(4))


@pytest.mark.slow
@pytest.mark.parametrize("attach_to", ["model", "compiled"])
def test_under_torch_compile(attach_to: str) -> None:
    torch._dynamo.reset()
    model = small_model()
    compiled = torch.compile(model, backend="aot_eager")
    attach(compiled if attach_to == "compiled" else model, MASKS)
    train(compiled, torch.optim.SGD(compiled.parameters(), lr=0.1, momentum=0.9))
    assert torch.equal(pruned_values(model), torch.zeros(4))
    detach(compiled)
    assert attached_masks(model) is None


def test_attached_after_compilation_and_a_first_run() -> None:
    torch._dynamo.reset()
    model = small_model()
    compiled = torch.compile(model, backend="aot_eager")
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.1, momentum=0.9)
    train(compiled, optimizer)
    attach(compiled, MASKS)
    train(compiled, optimizer)
    assert torch.equal(pruned_values(model), torch.zeros(4))
    assert torch.equal(model.get_parameter("0.weight").grad[~MASKS["0.weight"]], torch.zeros(3))


def test_a_compiled_submodule_keeps_its_plain_names() -> None:
    model = small_model()
    model[0] = cast(nn.Module, torch.compile(model[0], backend="aot_eager"))
    attach(model, MASKS)
    assert model[0]._orig_mod.weight[0, 1] == 0


def test_inside_data_parallel() -> None:
    wrapped = nn.DataParallel(small_model())
    attach(wrapped, MASKS)
    assert torch.equal(pruned_values(wrapped.module), torch.zeros(4))


def test_a_frozen_parameter_is_masked_when_thawed() -> None:
    model = small_model()
    model.requires_grad_(False)
    attach(model, MASKS)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    model.requires_grad_(True)
    assert_trains_masked(model)
    assert torch.equal(model.get_parameter("0.weight").grad[~MASKS["0.weight"]], torch.zeros(3))


def test_detach_leaves_an_ordinary_model() -> None:
    model, plain = small_model(), small_model()
    attach(model, MASKS)
    detach(model)
    assert model.__dict__.keys() == plain.__dict__.keys()
    assert torch.equal(pruned_values(model), torch.zeros(4))
    train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert not (pruned_values(model) == 0).any()
    detach(model)


def test_attaching_again_replaces_the_masks() -> None:
    layer = nn.Linear(2, 1, bias=False)
    attach(layer, {"weight": torch.tensor([[True, False]])})
    attach(layer, {"weight": torch.tensor([[False, True]])})
    layer(torch.ones(1, 2)).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=1.0).step()
    assert torch.equal(layer.weight, torch.tensor([[0.0, -1.0]]))


def test_tied_parameters_share_one_mask() -> None:
    tied = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    tied["b"].weight = tied["a"].weight
    mask = torch.eye(2, dtype=torch.bool)
    attach(tied, {"a.weight": mask, "b.weight": mask})
    assert torch.equal(tied["b"].weight == 0, ~mask)
    with pytest.raises(TicketError, match=r"masks 'a\.weight' and 'b.weight' differ"):
        attach(tied, {"a.weight": mask, "b.weight": ~mask})


def test_parameters_tied_no_more_are_both_held_after_a_step() -> None:
    tied = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    tied["b"].weight = tied["a"].weight
    mask = torch.eye(2, dtype=torch.bool)
    attach(tied, {"a.weight": mask, "b.weight": mask}, masked="frozen")
    before = tied["a"].weight.detach().clone()
    tied["b"].weight = nn.Parameter(before.clone())
    optimizer = torch.optim.SGD(tied.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(2):
        sum(layer(torch.ones(1, 2)).sum() for layer in tied.values()).backward()
        optimizer.step()
        for layer in tied.values():
            assert torch.equal(layer.weight[~mask], before[~mask])
            assert not torch.equal(layer.weight, before)


def test_a_layer_of_two_models_is_held_by_one_when_the_other_lets_go() -> None:
    layer, mask = nn.Linear(2, 2, bias=False), torch.eye(2, dtype=torch.bool)
    before = layer.weight.detach().clone()
    one, other = nn.Sequential(layer), nn.Sequential(layer, nn.ReLU())
    for model in (one, other):
        attach(model, {"0.weight": mask}, masked="frozen")
    detach(other)
    one(torch.ones(1, 2)).sum().backward()
    torch.optim.SGD(one.parameters(), lr=0.1, weight_decay=0.5).step()
    assert torch.equal(layer.weight[~mask], before[~mask])


def test_masks_are_attached_in_one_thread_while_another_trains() -> None:
    mask = {"weight": torch.eye(2, dtype=torch.bool)}
    stop, interval = threading.Event(), sys.getswitchinterval()

    def masked() -> nn.Linear:
        layer = nn.Linear(2, 2)
        attach(layer, mask)
        return layer

    others, model = [masked() for _ in range(1000)], masked()

    def attach_more() -> None:
        while not stop.is_set():
            others.append(masked())
            del others[:-1000]

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    thread = threading.Thread(target=attach_more)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(200):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        thread.join()
    assert torch.equal(model.weight == 0, ~mask["weight"])


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"fc9.weight": torch.ones(2, 3).bool()}, "mask 'fc9.weight' has no parameter of that name"),
        ({"0.weight": torch.ones(3, 2).bool()}, r"shape \(3, 2\), its parameter \(2, 3\)"),
        ({"0.weight": torch.ones(2, 3)}, "must be a bool tensor, True = kept, not torch.float32"),
    ],
)
def test_masks_that_do_not_fit_change_nothing(masks: dict[str, Tensor], message: str) -> None:
    model = small_model()
    with pytest.raises(TicketError, match=message):
        attach(model, {"2.weight": MASKS["2.weight"], **masks})
    assert attached_masks(model) is None
    assert torch.equal(model.get_parameter("2.weight"), small_model().get_parameter("2.weight"))


def test_a_discarded_model_leaves_nothing_behind() -> None:
    import gc

    from ticketzoo.masks import entry as masking

    gc.collect()
    before = len(masking.HELD)
    model = small_model()
    attach(model, MASKS)
    assert len(masking.HELD) == before + 2
    del model
    gc.collect()
    assert len(masking.HELD) == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_masks_of_millions_of_weights_zero_the_same_as_small_ones(dtype: torch.dtype) -> None:
    model = nn.Linear(1500, 1100, bias=False, dtype=dtype)
    mask = torch.arange(1_650_000).view(1100, 1500) % 7 == 0
    kept = model.weight.detach()[mask].clone()
    attach(model, {"weight": mask})
    assert model.weight.detach()[~mask].count_nonzero() == 0
    assert torch.equal(model.weight.detach()[mask], kept)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    (-model.weight.sum()).backward()
    assert torch.equal(-model.weight.grad, mask.to(dtype))
    optimizer.step()
    assert model.weight.detach()[~mask].count_nonzero() == 0
    assert torch.equal(model.weight.detach()[mask], kept + 1)
    assert torch.equal(attached_masks(model)["weight"], mask)


def test_without_its_hooks_a_loop_zeroes_gradients_itself_and_they_come_back() -> None:
    model = small_model()
    attach(model, MASKS)
    with hooks_paused(model) as zero_gradients:
        model(torch.ones(1, 3)).sum().backward()
        gradient = model.get_parameter("0.weight").grad
        assert gradient[~MASKS["0.weight"]].any()
        zero_gradients()
        assert not gradient[~MASKS["0.weight"]].any()
        assert gradient[MASKS["0.weight"]].any()
    assert_trains_masked(model)


def test_hooks_of_a_model_without_masks_can_be_paused() -> None:
    with hooks_paused(small_model()) as zero_gradients:
        zero_gradients()


FROZEN = torch.tensor([0.5, -0.0, 7.0])


def frozen_layer() -> nn.Linear:
    """Weights 1, 0.5, -0.0, 7, of which the first alone may move."""
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.cat([torch.ones(1), FROZEN])[None]
    attach(layer, {"weight": torch.tensor([[True, False, False, False]])}, masked="frozen")
    return layer


def assert_frozen(layer: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    weights = layer.get_parameter("weight").detach()[0]
    width = {4: torch.int32, 2: torch.int16}[dtype.itemsize]
    assert torch.equal(weights[1:].view(width), FROZEN.to(dtype).view(width))  # the bits, so -0.0 too
    assert weights[0] != 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_weights_stay_where_they_were_whatever_the_optimiser_does(optimizer: str) -> None:
    layer = frozen_layer()
    chosen = OPTIMIZERS[optimizer](layer.parameters())
    for _ in range(3):
        chosen.zero_grad()
        layer(torch.ones(2, 4)).sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad[0].tolist() == [2.0, 0.0, 0.0, 0.0]
        chosen.step()
        assert_frozen(layer)


def steps_of(layer: nn.Module) -> None:
    """Updates with weight decay, which moves every weight that is not held."""
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5)
    for _ in range(2):
        layer(torch.ones(2, 4, dtype=layer.get_parameter("weight").dtype)).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copy_holds_its_frozen_weights_too(copied: Callable[[nn.Module], nn.Module]) -> None:
    twin = copied(frozen_layer())
    steps_of(twin)
    assert_frozen(twin)


def test_frozen_weights_follow_another_dtype() -> None:
    layer = frozen_layer().to(torch.bfloat16)
    steps_of(layer)
    assert_frozen(layer, torch.bfloat16)


def test_loaded_weights_are_frozen_where_they_were_loaded() -> None:
    layer = frozen_layer()
    layer.load_state_dict({"weight": torch.tensor([[2.0, 3.0, 4.0, 5.0]])})
    steps_of(layer)
    assert layer.weight[0, 1:].tolist() == [3.0, 4.0, 5.0]


def test_frozen_weights_are_held_in_a_loop_without_hooks_too() -> None:
    layer = frozen_layer()
    with hooks_paused(layer) as zero_gradients:
        layer(torch.ones(2, 4)).sum().backward()
        zero_gradients()
        torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.5).step()
    assert_frozen(layer)


def test_detached_frozen_weights_move_again() -> None:
    layer = frozen_layer()
    detach(layer)
    steps_of(layer)
    assert not (layer.weight[0, 1:] == FROZEN).any()
