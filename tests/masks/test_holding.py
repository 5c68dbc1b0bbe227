"""Everything that docs/masks.md says about what holds masks, row by row, and the table there against the one here."""

import copy
import gc
import io
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.func import functional_call, grad
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from ticketzoo import check
from ticketzoo.errors import TicketError
from ticketzoo.masks.attach import attach, detach
from ticketzoo.masks.checks import attached_masks, reapply, strayed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "masks.md"


class Net(nn.Module):
    """Two masked layers, of 12 and 6 weights, of which half are pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.body(x)))


MASKS = {
    "body.0.weight": torch.arange(12).view(4, 3) % 2 == 0,
    "head.weight": torch.arange(12).view(3, 4) % 2 == 1,
}


def masked_net() -> Net:
    torch.manual_seed(0)
    model = Net()
    attach(model, MASKS)
    return model


def revived(model: nn.Module) -> int:
    """Pruned weights that are not 0.0, of those layers that are still there."""
    named = {name.replace("_orig_mod.", ""): value for name, value in model.named_parameters()}
    return sum(int(named[name].detach()[~mask].count_nonzero()) for name, mask in MASKS.items() if name in named)


def loss_of(model: Callable[[Tensor], Tensor]) -> Tensor:
    return (model(torch.linspace(-1, 1, 12).view(4, 3)) - 2).square().mean()


def train(model: nn.Module) -> None:
    """Two steps in which weight decay and momentum move every weight."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()


Change = Callable[[Net], nn.Module | None]
HELD: dict[str, Change] = {}
REFUSED: dict[str, Change] = {}
GONE: dict[str, Change] = {}


def changed(change: Change, model: Net) -> nn.Module:
    other = change(model)
    return model if other is None else other


def row(table: dict[str, Change], words: str) -> Callable[[Change], Change]:
    def add(change: Change) -> Change:
        table[words] = change
        return change

    return add


@pytest.fixture(scope="module", autouse=True)
def process_group() -> Iterator[None]:
    """A group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def mesh() -> DeviceMesh:
    return init_device_mesh("cpu", (1,))


def whole(tensor: Tensor | None) -> Tensor:
    """The values of a parameter or gradient, sharded or not."""
    assert tensor is not None
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


# Held: training afterwards leaves every pruned weight at 0.0.


@row(HELD, "nothing")
def nothing(model: Net) -> None:
    pass


@row(HELD, "`copy.deepcopy`")
def deep_copy(model: Net) -> nn.Module:
    return copy.deepcopy(model)


@row(HELD, "`copy.copy`")
def shallow_copy(model: Net) -> nn.Module:
    twin = copy.copy(model)
    detach(twin)  # the weights are those of the model, and so are the masks
    attach(twin, MASKS)
    detach(twin)
    return twin


@row(HELD, "`pickle`, `torch.save` and `torch.load` of the whole model")
def saved_whole(model: Net) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(pickle.loads(pickle.dumps(model)), buffer)
    buffer.seek(0)
    return cast(nn.Module, torch.load(buffer, weights_only=False))


@row(HELD, "`load_state_dict`, also with `assign=True`")
def loaded(model: Net) -> None:
    model.load_state_dict(Net().state_dict())
    model.load_state_dict(Net().state_dict(), assign=True)
    assert revived(model) == 0


@row(HELD, "`.to(dtype)`, `.half()`, `.to(device)`")
def converted(model: Net) -> None:
    model.to(torch.float64).float()


@row(HELD, "the same with `torch.__future__.set_overwrite_module_params_on_conversion(True)`")
def overwritten(model: Net) -> None:
    before = model.head.weight
    with future("overwrite_module_params_on_conversion"):
        model.to(torch.float64).float()
    assert model.head.weight is not before


@row(HELD, "the same with `torch.__future__.set_swap_module_params_on_conversion(True)`")
def swapped_on_conversion(model: Net) -> None:
    with future("swap_module_params_on_conversion"):
        model.to(torch.float64).float()


@row(HELD, "`torch.utils.swap_tensors`")
def swapped(model: Net) -> None:
    torch.utils.swap_tensors(model.head.weight, nn.Parameter(torch.ones(3, 4)))


@row(HELD, '`.to("meta")`, then `to_empty` and `load_state_dict` or `reset_parameters`')
def emptied(model: Net) -> None:
    model.to("meta").to_empty(device="cpu")
    for layer in (model.body[0], model.head):
        cast(nn.Linear, layer).reset_parameters()


@row(HELD, "another parameter of the same shape: `layer.weight = nn.Parameter(...)`")
def reassigned(model: Net) -> None:
    model.head.weight = nn.Parameter(torch.ones(3, 4))


@row(HELD, "`layer.weight.data = ...`, of the same shape")
def data_assigned(model: Net) -> None:
    model.head.weight.data = torch.ones(3, 4)


@row(HELD, "a layer moved elsewhere in the model, or wrapped there")
def moved(model: Net) -> None:
    model.body = nn.Sequential(nn.Identity(), *model.body)


@row(HELD, "a layer taken out and put back")
def put_back(model: Net) -> None:
    head, model.head = model.head, nn.Identity()  # type: ignore[assignment]
    model(torch.ones(1, 3))
    assert set(attached_masks(model) or {}) == {"body.0.weight"}
    model.head = head


@row(HELD, "`torch.compile`, before or after, of the model or of a layer")
def compiled(model: Net) -> nn.Module:
    torch._dynamo.reset()
    model.head = cast(nn.Linear, torch.compile(model.head, backend="aot_eager"))
    return cast(nn.Module, torch.compile(model, backend="aot_eager"))


@row(HELD, "`DataParallel`")
def data_parallel(model: Net) -> nn.Module:
    return nn.DataParallel(model)


@row(HELD, "`DistributedDataParallel`")
def distributed_data_parallel(model: Net) -> nn.Module:
    return nn.parallel.DistributedDataParallel(model)


@row(HELD, "FSDP2: `fully_shard` of the model, of its layers, or of a model around it")
def fsdp2(model: Net) -> None:
    fully_shard(model.body, mesh=mesh())
    fully_shard(model, mesh=mesh())


@row(HELD, "tensor parallelism: `parallelize_module`")
def tensor_parallel(model: Net) -> None:
    parallelize_module(model, mesh(), {"body.0": ColwiseParallel(), "head": RowwiseParallel()})


@row(HELD, "layers replaced by others with the same parameter: `convert_sync_batchnorm`, `prepare_qat`")
def same_parameter(model: Net) -> None:
    other = nn.Linear(4, 3)
    other.weight = model.head.weight
    model.head = other


@row(HELD, "`torch.nn.utils.prune` on top")
def pruned_on_top(model: Net) -> None:
    prune.random_unstructured(model.head, "weight", 0.2)


@row(HELD, "activation checkpointing by `checkpoint_wrapper`")
def checkpointed(model: Net) -> None:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    model.head = cast(nn.Linear, checkpoint_wrapper(model.head))


class Adapter(nn.Module):
    """As a layer of peft is: around another, with weights of its own that can be merged into it."""

    adapter_layer_names = ("lora",)

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora = nn.Parameter(torch.ones(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.base_layer(x) + F.linear(x, self.lora))


@row(HELD, "adapters of peft, merged or not")
def adapted(model: Net) -> None:
    model.head = Adapter(model.head)  # type: ignore[assignment]
    train(model)
    assert set(attached_masks(model) or {}) == set(MASKS)
    assert strayed(model) == {}
    adapter = cast(Adapter, model.head)
    adapter.base_layer.weight.data += adapter.lora.data
    model.head = adapter.base_layer


@row(HELD, "`requires_grad_(False)`, and `True` later")
def thawed(model: Net) -> None:
    model.requires_grad_(False)
    model.head.weight.data.fill_(1)
    model(torch.ones(1, 3))
    assert revived(model) == 0
    model.requires_grad_(True)


@row(HELD, "a running average of the model: `torch.optim.swa_utils.AveragedModel`")
def averaged(model: Net) -> nn.Module:
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    train(model)
    average.update_parameters(model)
    assert revived(average.module) == 0
    return average.module


@row(HELD, "`torch.func.functional_call` with other weights")
def called_with_others(model: Net) -> None:
    ones = {name: torch.ones_like(value) for name, value in model.named_parameters()}
    assert functional_call(model, ones, torch.zeros(1, 3)).tolist() == [[1 + 2 * torch.tanh(torch.tensor(1.0))] * 3]


@row(HELD, "activations recomputed by `torch.utils.checkpoint`")
def recomputed(model: Net) -> nn.Module:
    class Recomputed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor) -> Any:
            return checkpoint(self.inner, x, use_reentrant=False)

    return Recomputed()


class Tied(Net):
    """As `Net`, with weights of one shape, the same if they are tied."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) @ self.head.weight


def tied(own: Tensor, other: Tensor) -> Tied:
    """A model whose weights are tied after they were masked."""
    model = Tied()
    attach(model, {"body.0.weight": own, "head.weight": other})
    model.head.weight = model.body[0].weight  # type: ignore[assignment]
    return model


@row(HELD, "weights tied that have the same mask, or tied no more")
def tied_and_untied(model: Net) -> nn.Module:
    mask = MASKS["body.0.weight"]
    tied_now = tied(mask, mask)
    train(tied_now)
    assert strayed(tied_now) == {}
    assert tied_now.head.weight.detach()[~mask].count_nonzero() == 0
    tied_now.head.weight = nn.Parameter(torch.ones(4, 3))
    return tied_now


@row(HELD, "another parameter in a model that is compiled and was called")
def exchanged_when_compiled(model: Net) -> nn.Module:
    torch._dynamo.reset()
    compiled = cast(nn.Module, torch.compile(model, backend="aot_eager"))
    loss_of(compiled)
    model.head.weight = nn.Parameter(torch.ones(3, 4))
    loss_of(compiled)
    assert revived(model) == 6  # until an optimizer makes a step
    return compiled


@row(HELD, "layers taken out of a model that is no more")
def survivors(model: Net) -> nn.Module:
    other = masked_net()
    layers = nn.Sequential(other.body, other.head)
    del other
    gc.collect()
    return layers


@row(HELD, "the same masks on a part of the model, too")
def twice(model: Net) -> None:
    attach(model.body, {"0.weight": MASKS["body.0.weight"]})
    detach(model)
    attach(model.head, {"weight": MASKS["head.weight"]})
    attach(model, MASKS)


@row(HELD, "tickets on several parts, or on a part and on the rest")
def in_parts(model: Net) -> None:
    detach(model)
    attach(model.body, {"0.weight": MASKS["body.0.weight"]})
    attach(model, {"head.weight": MASKS["head.weight"]})


# Refused: TicketError, which names the parameter, when the model is called or an optimizer makes a step.


@row(REFUSED, "another layer of the same shape: `model.head = nn.Linear(...)`")
def same_shape_head(model: Net) -> None:
    model.head = nn.Linear(4, 3)


@row(REFUSED, "`weight_norm`, `spectral_norm`, `orthogonal`, any parametrization")
def weight_norm(model: Net) -> None:
    parametrizations.weight_norm(model.head)


@row(REFUSED, "FSDP1: `FullyShardedDataParallel`")
def fsdp1(model: Net) -> nn.Module:
    return FullyShardedDataParallel(model, device_id=torch.device("cpu"))


@row(REFUSED, "another parameter of another shape in the same layer, by assignment or by `.data`")
def resized(model: Net) -> None:
    model.head.weight = nn.Parameter(torch.ones(5, 4))


@row(REFUSED, "a weight that is a plain tensor instead of a parameter")
def plain_tensor(model: Net) -> None:
    weight = model.head.weight.detach()
    del model.head.weight
    model.head.weight = weight


@row(REFUSED, "weights of several models stacked under `vmap` and `functional_call`")
def stacked(model: Net) -> nn.Module:
    class Stacked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            several = {name: torch.stack([value, value]) for name, value in model.named_parameters()}
            return torch.vmap(lambda one: functional_call(model, one, x))(several)

    return Stacked()


@row(REFUSED, "weights tied whose masks differ")
def tied_unlike(model: Net) -> nn.Module:
    return tied(MASKS["body.0.weight"], ~MASKS["body.0.weight"])


@row(REFUSED, "weights stored sparsely: `to_sparse_csr()`")
def stored_sparsely(model: Net) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.head.weight = nn.Parameter(model.head.weight.detach().to_sparse_csr())


# Gone: the layer is not there any more, nor is its mask; the others hold.


@row(GONE, "a layer replaced by one without that parameter: `model.head = nn.Identity()`")
def identity(model: Net) -> None:
    model.head = nn.Identity()  # type: ignore[assignment]


@row(GONE, "a layer removed: `model.pooler = None`, `del model.head`")
def removed(model: Net) -> nn.Module:
    model.head = None  # type: ignore[assignment]
    model.forward = lambda x: model.body(x)  # type: ignore[method-assign]
    return model


@row(GONE, "layers quantized: `quantize_dynamic`")
def quantized(model: Net) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.head = cast(Any, torch.ao.quantization.quantize_dynamic(nn.Sequential(model.head), {nn.Linear}))[0]
    model.forward = lambda x: model.body(x)  # type: ignore[method-assign]
    return model


@row(GONE, "a layer replaced by one of another shape, with a warning: `model.head = nn.Linear(4, 5)`")
def other_head(model: Net) -> None:
    model.head = nn.Linear(4, 5)
    with pytest.warns(UserWarning, match=r"the layer of 'head\.weight' was replaced by one of another shape"):
        model(torch.ones(1, 3))


@contextmanager
def future(name: str) -> Iterator[None]:
    before = getattr(torch.__future__, f"get_{name}")()
    getattr(torch.__future__, f"set_{name}")(True)
    try:
        yield
    finally:
        getattr(torch.__future__, f"set_{name}")(before)


@pytest.mark.parametrize("words", HELD)
def test_held(words: str) -> None:
    model = masked_net()
    trained = changed(HELD[words], model)
    before = [whole(parameter).clone() for parameter in trained.parameters()]
    train(trained)
    plain = getattr(trained, "module", trained)
    assert strayed(trained) == {}
    masks = attached_masks(trained) or {}
    assert sorted(mask.numel() for mask in masks.values()) == [12, 12]
    named = {name.replace("_orig_mod.", "").replace("_checkpoint_wrapped_module.", ""): value
             for name, value in plain.named_parameters(remove_duplicate=False)}  # fmt: skip
    for name, mask in masks.items():
        assert whole(named[name])[~mask].count_nonzero() == 0
        assert whole(named[name].grad)[~mask].count_nonzero() == 0
        assert int(mask.sum()) == 6
    assert any(not torch.equal(one, whole(other)) for one, other in zip(before, trained.parameters(), strict=True))


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words: str) -> None:
    model = masked_net()
    trained = changed(REFUSED[words], model)
    with pytest.raises(TicketError, match=r"'head\.weight'|'body\.0\.weight'"):
        loss_of(trained)


@pytest.mark.parametrize("change", [same_shape_head, weight_norm, resized], ids=lambda change: change.__name__)
def test_refused_by_a_step_too_where_the_model_is_not_called(change: Change) -> None:
    model = masked_net()
    change(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.stack([parameter.sum() for parameter in model.parameters()]).sum().backward()
    with pytest.raises(TicketError, match=r"'head\.weight'"):
        optimizer.step()
    other = nn.Linear(2, 2)
    other(torch.ones(1, 2)).sum().backward()
    torch.optim.SGD(other.parameters(), lr=0.1).step()  # another model's optimizer is not in the way


def test_data_of_another_shape_is_refused() -> None:
    model = masked_net()
    model.body[0].weight.data = torch.ones(4, 5)
    with pytest.raises(TicketError, match=r"the mask of 'body\.0\.weight' no longer holds: shape \(4, 5\) now"):
        model(torch.ones(1, 5))
    with pytest.raises(TicketError, match=r"'body\.0\.weight'"):
        check(model)


@pytest.mark.parametrize("words", GONE)
def test_gone(words: str) -> None:
    model = masked_net()
    trained = changed(GONE[words], model)
    train(trained)
    assert set(attached_masks(model) or {}) == {"body.0.weight"}
    assert model.body[0].weight.detach()[~MASKS["body.0.weight"]].count_nonzero() == 0
    check(model)


UNSAVED = [weight_norm, removed, quantized, fsdp1, fsdp2, tensor_parallel]


@pytest.mark.parametrize("change", [*GONE.values(), *REFUSED.values(), *HELD.values()], ids=[*GONE, *REFUSED, *HELD])
def test_whatever_was_done_weights_load_as_into_the_model_without_masks(change: Change) -> None:
    model = masked_net()
    trained = changed(change, model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained.load_state_dict(trained.state_dict())
    if change in UNSAVED or isinstance(trained, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return  # torch cannot save these whole
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    again = torch.load(buffer, weights_only=False)
    again.load_state_dict(again.state_dict())


def test_the_page_has_the_same_rows() -> None:
    text = PAGE.read_text()
    for title, table in (("held", HELD), ("refused", REFUSED), ("gone", GONE)):
        section = text.split(f"<!-- {title} -->\n")[1].split("\n\n")[0]
        assert [line.strip("| ").split(" | ")[0] for line in section.splitlines()[2:]] == list(table), title


# What is changed outside an optimizer of torch.


def manual(model: Net, update: Callable[[nn.Parameter, Tensor], None]) -> None:
    for _ in range(3):
        gradients = torch.autograd.grad(loss_of(model), list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                update(parameter, gradient)


def subtract(parameter: nn.Parameter, gradient: Tensor) -> None:
    parameter.sub_(0.1 * gradient)


def subtract_data(parameter: nn.Parameter, gradient: Tensor) -> None:
    parameter.data.sub_(0.1 * gradient)


def assign_data(parameter: nn.Parameter, gradient: Tensor) -> None:
    parameter.data = parameter.data - 0.1 * gradient


@pytest.mark.parametrize("update", [subtract, subtract_data, assign_data], ids=lambda update: update.__name__)
def test_a_loop_without_optimizer(update: Callable[[nn.Parameter, Tensor], None]) -> None:
    model, reference = masked_net(), masked_net()
    manual(model, update)
    assert revived(model) > 0  # after the last update nobody has called the model
    with pytest.raises(TicketError, match=r"pruned weights are not where they belong: \d of 'body\.0\.weight'"):
        check(model)
    model(torch.ones(1, 3))
    assert revived(model) == 0
    detach(reference)
    for _ in range(3):  # the same by hand
        gradients = torch.autograd.grad(loss_of(reference), list(reference.parameters()))
        for (name, parameter), gradient in zip(reference.named_parameters(), gradients, strict=True):
            parameter.data -= 0.1 * gradient
            if name in MASKS:
                parameter.data[~MASKS[name]] = 0
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), reference.parameters(), strict=True))


def test_a_loop_of_torch_func() -> None:
    model = masked_net()
    weights = {name: value.detach().clone() + 1 for name, value in model.named_parameters()}
    own = {name: value.detach().clone() for name, value in model.named_parameters()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return loss_of(lambda x: functional_call(model, weights, x))

    sparse = {name: value * MASKS.get(name, torch.ones(())) for name, value in weights.items()}
    detached = copy.deepcopy(model)
    detach(detached)
    expected = loss_of(lambda x: functional_call(detached, sparse, x))
    assert torch.equal(loss(weights), expected)
    for name, gradient in grad(loss)(weights).items():
        if name in MASKS:
            assert gradient[~MASKS[name]].count_nonzero() == 0
            assert gradient.count_nonzero() == {"body.0.weight": 2, "head.weight": 6}[name]  # 2 hidden units are used
    assert all(torch.equal(own[name], value) for name, value in model.named_parameters())
    assert all(torch.equal(model.get_parameter(name), value) for name, value in own.items())


def test_weights_given_for_one_call_are_left_as_they_are() -> None:
    model, other = masked_net(), Net()
    before = copy.deepcopy(other.state_dict())
    given = dict(other.named_parameters())
    loss_of(lambda x: functional_call(model, given, x)).backward()
    assert all(torch.equal(before[name], value) for name, value in other.named_parameters())
    assert all(given[name] is value for name, value in other.named_parameters())
    assert other.head.weight.grad[~MASKS["head.weight"]].count_nonzero() == 0
    train(model)
    assert revived(model) == 0


def test_a_call_that_fails_leaves_the_parameters_in_place() -> None:
    model = masked_net()
    with pytest.raises(RuntimeError):
        functional_call(model, {name: value.detach() for name, value in model.named_parameters()}, torch.ones(1, 9))
    train(model)
    assert revived(model) == 0


def test_changes_before_an_evaluation_are_set_back() -> None:
    model = masked_net().eval()
    x = torch.ones(2, 3)
    for change in (lambda w: w.data.add_(1), lambda w: w.detach().mul_(-1), lambda w: w.data.fill_(float("nan"))):
        with torch.no_grad():
            change(model.head.weight)
            kept = model.head.weight.detach().clone()
            output = model(x)
        assert revived(model) == 0
        expected = F.linear(model.body(x), kept.masked_fill(~MASKS["head.weight"], 0), model.head.bias)
        assert torch.equal(output, expected) or not torch.isfinite(kept).all()


def test_two_calls_before_one_backward() -> None:
    model = masked_net()
    first = loss_of(model)
    (first + loss_of(model)).backward()
    assert model.head.weight.grad is not None


@pytest.mark.parametrize("version_moves", [True, False])
def test_changes_of_large_layers_are_seen(version_moves: bool) -> None:
    layer = nn.Sequential(nn.Linear(400, 400))
    mask = torch.rand(400, 400, generator=torch.Generator().manual_seed(0)) < 0.5
    attach(layer, {"0.weight": mask})
    with torch.no_grad():
        (layer[0].weight if version_moves else layer[0].weight.data).add_(0.1)
        layer(torch.ones(1, 400))
    assert layer[0].weight.detach()[~mask].count_nonzero() == 0


def test_an_optimizer_that_is_not_of_torch() -> None:
    class Sgd:
        def __init__(self, parameters: Iterator[nn.Parameter]) -> None:
            self.parameters = list(parameters)

        def step(self) -> None:
            for parameter in self.parameters:
                parameter.data.mul_(0.9).add_(torch.ones_like(parameter), alpha=-0.1)

    model = masked_net()
    optimizer = Sgd(model.parameters())
    for _ in range(2):
        loss_of(model).backward()
        optimizer.step()
    assert revived(model) == 12
    loss_of(model)
    assert revived(model) == 0


def test_what_is_saved_is_masked() -> None:
    model = masked_net()
    model.head.weight.data.fill_(1)  # as merging an adapter into the weights does
    assert model.state_dict()["head.weight"].tolist() == MASKS["head.weight"].float().tolist()


# What the owner of a model can do.


def test_check_says_what_no_longer_holds_and_changes_nothing() -> None:
    model = masked_net()
    check(model)
    model.head.weight.data.fill_(1)
    with pytest.raises(TicketError, match=r"6 of 'head\.weight'; ticket\.reapply\(model\) sets them back"):
        check(model)
    assert revived(model) == 6
    reapply(model)
    check(model)
    assert revived(model) == 0
    detach(model)
    for ask in (check, reapply):
        with pytest.raises(TicketError, match=r"no masks are on the model: ticket\.apply"):
            ask(model)


def test_check_of_a_lost_mask() -> None:
    model = masked_net()
    weight_norm(model)
    for ask in (check, reapply):
        with pytest.raises(TicketError, match=r"'head\.weight' is computed from other tensors \(weight_norm"):
            ask(model)
    assert set(attached_masks(model) or {}) == {"body.0.weight"}
    nn.utils.parametrize.remove_parametrizations(model.head, "weight")
    train(model)
    assert revived(model) == 0
    assert set(attached_masks(model) or {}) == set(MASKS)


@pytest.mark.parametrize(
    "copied", [lambda model: model, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_reapply_masks_a_layer_of_the_same_shape(copied: Callable[[nn.Module], nn.Module]) -> None:
    model = masked_net()
    same_shape_head(model)
    assert set(attached_masks(model) or {}) == {"body.0.weight"}
    model = cast(Net, copied(model))
    with pytest.raises(TicketError, match=r"'head\.weight' is of another layer of the same shape: ticket\.reapply"):
        train(model)
    reapply(model)
    train(model)
    assert revived(model) == 0
    assert set(attached_masks(model) or {}) == set(MASKS)


CONTRADICTION = {"0.weight": ~MASKS["body.0.weight"]}
CONTRADICTION_OF_WHOLE = {"body.0.weight": ~MASKS["body.0.weight"]}


@pytest.mark.parametrize("first", ["part", "whole"])
def test_masks_of_a_part_and_of_the_whole_that_contradict_each_other_are_refused(first: str) -> None:
    model = Net()
    before = model.body[0].weight.detach().clone()
    if first == "part":
        attach(model.body, CONTRADICTION)
        said = r"'body\.0\.weight' of the model contradicts one of its part 'body': call ticket\.remove\(.*\('body'\)\)"
        with pytest.raises(TicketError, match=said):
            attach(model, MASKS)
        assert torch.equal(model.body[0].weight.detach()[MASKS["body.0.weight"]], torch.zeros(6))
        assert torch.equal(model.body[0].weight.detach()[~MASKS["body.0.weight"]], before[~MASKS["body.0.weight"]])
        detach(model.body)
    attach(model, MASKS)
    with pytest.raises(TicketError, match=r"contradicts one of another or the enclosing model \('body\.0\.weight'"):
        attach(model.body, CONTRADICTION)
    with pytest.raises(TicketError, match=r"mask '0\.weight' of the model contradicts"):
        attach(model.body, {"0.weight": MASKS["body.0.weight"]}, masked="frozen")
    train(model)
    held = attached_masks(model) or {}
    assert {name: mask.tolist() for name, mask in held.items()} == {name: mask.tolist() for name, mask in MASKS.items()}
    assert revived(model) == 0


def test_masks_attached_again_replace_those_of_the_same_module_alone() -> None:
    model = Net()
    attach(model.head, {"weight": MASKS["head.weight"]})
    attach(model, {"body.0.weight": MASKS["body.0.weight"]})
    attach(model, CONTRADICTION_OF_WHOLE)
    held = attached_masks(model) or {}
    assert held["body.0.weight"].tolist() == CONTRADICTION["0.weight"].tolist()
    assert held["head.weight"].tolist() == MASKS["head.weight"].tolist()
    detach(model)
    assert attached_masks(model) is None


def test_frozen_weights_of_a_part_and_the_whole_are_those_loaded_last() -> None:
    model = Net()
    attach(model, MASKS, masked="frozen")
    attach(model.head, {"weight": MASKS["head.weight"]}, masked="frozen")
    model.head.load_state_dict({"weight": torch.full((3, 4), 5.0), "bias": torch.zeros(3)})
    train(model)
    check(model)
    assert (model.head.weight.detach()[~MASKS["head.weight"]] == 5).all()
    assert (model.head.weight.detach()[MASKS["head.weight"]] != 5).all()


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("of_copy", [copy.copy, lambda twin: copy.deepcopy(copy.copy(twin))])
def test_masks_taken_off_a_shallow_copy_stay_on_the_model(attached: bool, of_copy: Callable[[Net], Net]) -> None:
    model = Net()
    attach(model, MASKS)
    twin = of_copy(model)
    if attached:
        attach(twin, MASKS)
    detach(twin)
    model.load_state_dict({name: torch.ones_like(value) for name, value in model.state_dict().items()})
    assert revived(model) == 0
    model.head.weight.data.fill_(1)
    model(torch.ones(1, 3))
    assert revived(model) == 0


def test_masks_taken_off_a_model_stay_on_its_shallow_copy() -> None:
    model = Net()
    attach(model, MASKS)
    twin = copy.copy(model)
    attach(twin, MASKS)
    detach(model)
    twin.load_state_dict({name: torch.ones_like(value) for name, value in twin.state_dict().items()})
    assert revived(twin) == 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_no_hook_is_left_on_a_copy_whose_masks_are_taken_off(copied: Callable[[Net], Net]) -> None:
    model = Net()
    attach(model, MASKS)
    functional_call(model, {name: value.detach() + 1 for name, value in model.named_parameters()}, torch.ones(1, 3))
    twin = copied(model)
    detach(twin)
    hooks = (twin._forward_pre_hooks, twin._forward_hooks, twin._state_dict_pre_hooks, twin._load_state_dict_post_hooks)
    assert not any(hooks) and not twin._forward_hooks_always_called


def test_what_layers_of_a_model_that_is_no_more_keep_can_be_seen_and_taken_off() -> None:
    layers = survivors(Net())
    assert set(attached_masks(layers) or {}) == {"0.0.weight", "1.weight"}
    layers.get_parameter("1.weight").data.fill_(1)
    with pytest.raises(TicketError, match=r"6 of '1\.weight'"):
        check(layers)
    reapply(layers)
    check(layers)
    with pytest.raises(TicketError, match=r"or ticket\.remove\(this_model\) if the other no longer exists"):
        attach(layers, {"1.weight": ~MASKS["head.weight"]})
    assert attached_masks(copy.deepcopy(layers)) is None  # as the page says
    detach(layers)
    assert attached_masks(layers) is None
    train(layers)
    assert layers.get_parameter("1.weight").detach()[~MASKS["head.weight"]].count_nonzero() == 6


def test_layers_that_exchange_their_weights_keep_their_masks() -> None:
    model = Tied()
    masks = {"body.0.weight": MASKS["body.0.weight"], "head.weight": ~MASKS["body.0.weight"]}
    attach(model, masks)
    model.body[0].weight, model.head.weight = model.head.weight, model.body[0].weight
    train(model)
    assert strayed(model) == {}
    held = attached_masks(model) or {}
    assert {name: mask.tolist() for name, mask in held.items()} == {name: mask.tolist() for name, mask in masks.items()}


def test_layers_cut_off_at_the_front_keep_their_own_masks() -> None:
    stack = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    masks = {f"{index}.weight": torch.arange(4).view(2, 2) != index for index in range(3)}
    attach(stack, masks)
    layers = nn.Sequential(*list(stack)[1:])
    stack._modules.clear()
    stack._modules.update(layers._modules)
    train_pairs(stack)
    held = attached_masks(stack) or {}
    assert {name: held[name].tolist() for name in held} == {
        "0.weight": masks["1.weight"].tolist(),
        "1.weight": masks["2.weight"].tolist(),
    }
    assert all(stack.get_parameter(name).detach()[~mask].tolist() == [0] for name, mask in held.items())


def train_pairs(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (model(torch.tensor([[1.0, 2.0]])) - 1).square().sum().backward()
        optimizer.step()


def test_nothing_keeps_a_removed_layer_alive() -> None:
    import weakref

    model = masked_net()
    layer = weakref.ref(model.head)
    identity(model)
    model(torch.ones(1, 3))
    gc.collect()
    assert layer() is None


def test_frozen_weights_come_back_after_to_empty() -> None:
    torch.manual_seed(0)
    model = Net()
    before = model.head.weight.detach().clone()
    attach(model, MASKS, masked="frozen")
    model.to("meta").to_empty(device="cpu")
    for parameter in model.parameters():
        nn.init.constant_(parameter, 7)
    model(torch.ones(1, 3))
    mask = MASKS["head.weight"]
    assert torch.equal(model.head.weight.detach()[~mask], before[~mask])
    assert (model.head.weight.detach()[mask] == 7).all()


def test_sparse_gradients_are_masked() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    mask = torch.tensor([[True, False], [False, True], [True, True], [False, False]])
    attach(table, {"weight": mask})
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    table(torch.tensor([1, 1, 3, 0])).sum().backward()
    assert table.weight.grad is not None
    assert table.weight.grad.to_dense().tolist() == [[1, 0], [0, 2], [0, 0], [0, 0]]
    optimizer.step()
    assert table.weight.detach()[~mask].count_nonzero() == 0


def test_parameters_whose_weights_cannot_be_held_are_refused() -> None:
    model = nn.Module()
    model.weight = nn.Parameter(torch.ones(2, dtype=torch.complex128))
    with pytest.raises(TicketError, match=r"mask 'weight' does not fit the model: the parameter is torch.complex128"):
        attach(model, {"weight": torch.tensor([True, False])})


def test_lazy_layers_are_refused_until_they_have_a_shape() -> None:
    model = nn.Sequential(nn.LazyLinear(3))
    mask = {"0.weight": torch.eye(3, dtype=torch.bool)}
    with pytest.raises(TicketError, match=r"without a shape yet, such as '0\.weight': call it once first"):
        attach(model, mask)
    model(torch.ones(1, 3))
    attach(model, mask)
    check(model)


def test_a_compiled_model_has_no_graph_break() -> None:
    torch._dynamo.reset()
    model = masked_net()
    train(cast(nn.Module, torch.compile(model, backend="aot_eager", fullgraph=True)))
    assert revived(model) == 0


def test_traced_models_record_no_masking() -> None:
    model = masked_net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(model, torch.ones(1, 3))
    assert not re.search("bitwise|where", str(traced.inlined_graph))
