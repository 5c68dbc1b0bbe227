"""Tickets of masks that are there already, over small networks whose weights can be counted by hand."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import prune

from ticketzoo import Ticket, check, load_ticket
from ticketzoo.errors import ArgumentError, ModelError, TicketError
from ticketzoo.masks.attach import attach
from ticketzoo.ticket import BaseWeights

COMMIT = "1" * 40


class Net(nn.Module):
    """20 weights in two matrices, of which 5 are 0.0; an embedding with a row of zeros; a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(4, 3, padding_idx=0)
        self.fc1 = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.fc2 = nn.Linear(4, 2)
        with torch.no_grad():
            self.fc1.weight.view(-1)[[0, 3, 7]] = 0
            self.fc2.weight.view(-1)[[1, 2]] = 0

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.norm(self.fc1(self.embed(x))))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def tuned(net: Net) -> Net:
    """The network with one new value in each tensor of floats, and in the buffers."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.view(-1)[-1] += 1
    return other


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def train(model: nn.Module, steps: int = 2) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.tensor([1, 2, 3])).square().sum().backward()
        optimizer.step()


def zeros(model: nn.Module) -> list[int]:
    return [int((model.get_parameter(name) == 0).sum()) for name in ("fc1.weight", "fc2.weight")]


def test_zeros_become_masks_that_survive_disk_and_training(net: Net, tmp_path: Path) -> None:
    ticket = Ticket.from_zeros(net, name="net.zeros")
    assert (ticket.kind, ticket.sparsity, list(ticket.masks)) == ("zero", 5 / 20, ["fc1.weight", "fc2.weight"])
    loaded = load_ticket(ticket.save_pretrained(tmp_path / "ticket"))
    fresh = Net()
    loaded.apply(fresh)
    assert same(fresh, net)
    train(fresh)
    check(fresh)
    assert zeros(fresh) == [3, 2]


def test_a_file_and_the_module_give_the_same_masks(net: Net, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "pruned.safetensors")
    torch.save(net.state_dict(), tmp_path / "pruned.pth")
    sources = (net, tmp_path / "pruned.safetensors", tmp_path / "pruned.pth", net.state_dict())
    assert len({Ticket.from_zeros(one).config.mask_sha256 for one in sources}) == 1


def test_zeros_over_a_base_hold_only_what_differs(net: Net) -> None:
    dense = copy.deepcopy(net)
    with torch.no_grad():
        for name in ("fc1.weight", "fc2.weight"):
            dense.get_parameter(name).add_((dense.get_parameter(name) == 0).float())
    base = BaseWeights("lab/net", COMMIT, dense.state_dict())
    ticket = Ticket.from_zeros(net, base=base)
    assert ticket.config.rewind.kind == "base"
    assert ticket.config.values is None
    ticket.apply(fresh := Net())
    assert same(fresh, net)
    with torch.no_grad():
        net.fc1.bias.add_(1)
    changed = Ticket.from_zeros(net, base=base)
    assert changed.config.values is not None
    changed.apply(fresh)
    assert same(fresh, net)


def test_a_frozen_mask_leaves_everything_outside_where_it_was(net: Net) -> None:
    masks = {"fc1.weight": torch.eye(4, 3) == 1}
    ticket = Ticket.from_masks(masks, net, masked="frozen")
    assert ticket.kind == "frozen"
    ticket.apply(model := copy.deepcopy(net))
    train(model)
    moved = model.fc1.weight != net.fc1.weight
    assert moved.tolist() == masks["fc1.weight"].tolist()


def test_a_delta_gives_the_tuned_network_and_the_base_again(net: Net, tuned: Net, tmp_path: Path) -> None:
    ticket = Ticket.from_diff(net, tuned)
    assert ticket.kind == "delta"
    assert ticket.sparsity == 1 - 7 / 46  # one of each of seven parameters
    loaded = load_ticket(ticket.save_pretrained(tmp_path / "ticket"))
    loaded.apply(model := Net())
    assert same(model, tuned)
    loaded.apply(model)  # again: as once
    train(model)
    loaded.remove(model)
    assert same(model, net)


def test_a_delta_over_a_base_on_the_hub_is_small_and_needs_no_base_where_the_model_is_it(
    net: Net, tuned: Net, tmp_path: Path
) -> None:
    base = BaseWeights("lab/net", COMMIT, net.state_dict())
    folder = Ticket.from_diff(base, tuned).save_pretrained(tmp_path / "ticket")
    assert sorted(path.name for path in (folder / "seed-0").iterdir()) == ["masks.safetensors", "values.safetensors"]
    load_ticket(folder).apply(model := copy.deepcopy(net))
    assert same(model, tuned)
    copy.deepcopy(model)
    Ticket.remove(model)
    assert same(model, net)
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    load_ticket(folder, base=tmp_path).apply(other := Net())
    assert same(other, tuned)


@pytest.mark.parametrize(("keep", "threshold", "count"), [(0.05, 0.0, 2), (1.0, 0.0, 4), (None, 1.5, 3)])
def test_a_delta_keeps_the_largest_changes(net: Net, keep: float | None, threshold: float, count: int) -> None:
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.fc1.weight.view(-1)[:4] += torch.tensor([1.0, 2.0, 3.0, 4.0])
    mask = Ticket.from_diff(net, other, keep=keep, threshold=threshold).masks["fc1.weight"]
    assert mask.view(-1).nonzero().flatten().tolist() == list(range(4 - count, 4))


def test_rounding_to_the_dtype_of_the_tuned_network_is_no_change(net: Net) -> None:
    """A bf16 copy of a float32 base with two new weights; all others, and running averages, are the base's."""
    net.norm.running_mean.fill_(0.1)
    other = copy.deepcopy(net).bfloat16()
    with torch.no_grad():
        other.fc1.weight.view(-1)[[1, 2]] += 2
    ticket = Ticket.from_diff(net, other)
    assert {name: int(mask.sum()) for name, mask in ticket.masks.items() if mask.any()} == {"fc1.weight": 2}
    ticket.apply(model := Net())
    places = [1, 2]
    assert torch.equal(model.fc1.weight.view(-1)[places], other.fc1.weight.view(-1)[places].float())
    with torch.no_grad():
        model.fc1.weight.view(-1)[places] = net.fc1.weight.view(-1)[places]
    assert same(model, net)


def test_how_far_a_weight_moved_is_from_the_value_of_the_base_itself() -> None:
    """bf16 has steps of 1/128 from 1 on: 1 + 1/300 rounds to 1 there, and 1 + 1/128 is .0045 from it, not .0078."""
    base = nn.Linear(2, 1, bias=False)
    base.weight.data = torch.tensor([[1 + 1 / 300, 1.0]])
    other = copy.deepcopy(base).bfloat16()
    other.weight.data = torch.tensor([[1 + 1 / 128, 1 + 1 / 128]], dtype=torch.bfloat16)
    assert Ticket.from_diff(base, other, threshold=0.006).masks["weight"].tolist() == [[False, True]]
    assert Ticket.from_diff(base, other, keep=0.5).masks["weight"].tolist() == [[False, True]]
    assert Ticket.from_diff(base, other).masks["weight"].tolist() == [[True, True]]
    twice = copy.deepcopy(base).double()
    twice.weight.data = base.weight.double() + torch.tensor([[1e-9, 2e-9]], dtype=torch.float64)
    assert Ticket.from_diff(base, twice, keep=0.5).masks["weight"].tolist() == [[False, True]], "beyond float32"


def test_what_torch_prune_pruned_becomes_a_ticket(net: Net) -> None:
    prune.random_unstructured(net.fc1, "weight", amount=6)
    ticket = Ticket.from_torch_prune(net)
    assert torch.equal(ticket.masks["fc1.weight"], net.fc1.weight_mask == 1)
    ticket.apply(model := Net())
    assert torch.equal(model.fc1.weight, net.fc1.weight)


Change = Any


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda net: Ticket.from_zeros(nn.Linear(2, 2)), "Linear: no weight of it is 0.0: it is dense"),
        (lambda net: Ticket.from_diff(net, copy.deepcopy(net)), "Net: no weight differs from the base's"),
        (lambda net: Ticket.from_masks({"fc3.weight": torch.ones(2, 2) == 1}, net), "'fc3.weight': Net has no such"),
        (lambda net: Ticket.from_masks({"fc1.weight": torch.ones(2, 2) == 1}, net), r"shape \(2, 2\), its .* \(4, 3\)"),
        (lambda net: Ticket.from_masks({"fc1.weight": torch.ones(4, 3)}, net), "must be a bool tensor"),
        (
            lambda net: Ticket.from_masks({"norm.num_batches_tracked": torch.tensor(True)}, net),
            "mask 'norm.num_batches_tracked': that is no parameter of floats but torch.int64",
        ),
        (lambda net: Ticket.from_masks({"norm.running_mean": torch.ones(4) == 1}, net), "is no parameter of floats"),
        (lambda net: Ticket.from_torch_prune(net), "Net: has no pair of NAME_orig and NAME_mask"),
    ],
)  # fmt: skip
def test_what_is_no_mask_is_said_in_one_line(net: Net, make: Change, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        make(net)


def test_nan_in_a_tuned_network_is_named(net: Net, tuned: Net) -> None:
    tuned.fc1.weight.data[0, 1] = torch.nan
    with pytest.raises(TicketError, match=r"Net: 'fc1.weight' holds NaN or infinity in 1 of 12 values"):
        Ticket.from_diff(net, tuned)


def test_a_base_of_another_shape_or_commit_is_named(net: Net, tuned: Net, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"another model: 'fc1.weight' is \(4, 5\) in it, \(4, 3\) here"):
        Ticket.from_diff({**net.state_dict(), "fc1.weight": torch.ones(4, 5)}, tuned)
    folder = Ticket.from_diff(BaseWeights("lab/net", COMMIT, net.state_dict()), tuned).save_pretrained(tmp_path / "t")
    save_file(tuned.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(TicketError, match="no copy of hub:lab/net@1111"):
        load_ticket(folder, base=tmp_path).apply(Net())


def test_a_tied_weight_is_masked_by_its_own_name(net: Net) -> None:
    net.head = nn.Linear(3, 4, bias=False)
    net.head.weight = net.embed.weight
    masks = {"head.weight": torch.ones(4, 3) == 1}
    with pytest.raises(TicketError, match=r"mask 'head.weight': that is 'embed.weight' tied to it"):
        Ticket.from_masks(masks, net)
    net.embed.weight.data[1:] = torch.tensor([0.0, 1.0, 2.0])
    assert "embed.weight" not in Ticket.from_zeros(net).masks


def test_a_quantised_module_is_named(net: Net) -> None:
    net.fc1.weight = nn.Parameter(torch.ones(4, 3, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(TicketError, match=r"'fc1.weight' is torch.uint8, quantised: masks are of floats"):
        Ticket.from_zeros(net)


def test_a_layer_that_is_gone_is_named_when_a_delta_is_taken_out(net: Net, tuned: Net) -> None:
    Ticket.from_diff(net, tuned).apply(net)
    net.fc2 = nn.Identity()  # type: ignore[assignment]
    with pytest.raises(TicketError, match=r"the base cannot be put back: 'fc2.weight' is not in the model as it was"):
        Ticket.remove(net)


def test_a_model_under_torch_prune_is_sent_to_its_own_way_in(net: Net) -> None:
    prune.l1_unstructured(net.fc2, "weight", 0.5)
    with pytest.raises(
        TicketError, match=r"holds masks beside its weights: Ticket.from_torch_prune\(model\) takes them"
    ):
        Ticket.from_zeros(net, name="net")


def test_masks_that_are_no_tensors_are_named(net: Net) -> None:
    masks: Any = {"fc1.weight": np.ones((4, 3), dtype=bool)}
    with pytest.raises(ArgumentError, match=r"masks\['fc1.weight'\]: give a Tensor, not array"):
        Ticket.from_masks(masks, net, name="net")
    with pytest.raises(TicketError, match=r"mask 'fc1.weight' is a numpy.ndarray, not a tensor: torch.as_tensor\(mask"):
        attach(net, masks)


def test_a_quantised_module_is_named_where_a_ticket_is_put_on(net: Net) -> None:
    ticket = Ticket.from_zeros(net, name="net")
    net.add_module("fc1", torch.ao.nn.quantized.dynamic.Linear(3, 4))
    with pytest.raises(
        TicketError, match="quantised modules, which hold no weights to mask: fc1: quantise it afterwards"
    ):
        ticket.apply(net)
