"""Effective sparsity of a ticket over a network of one's own, which no file describes."""

import torch
from torch import nn

from ticketzoo import Ticket
from ticketzoo.ticket.effective import effective_sparsity


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 1, bias=False))


def ticket() -> Ticket:
    """Of 3 + 1 kept weights the last layer does not read the second unit, which 1 weight feeds."""
    masks = {"0.weight": torch.tensor([[1, 1], [1, 0]]).bool(), "3.weight": torch.tensor([[1, 0]]).bool()}
    return Ticket.from_masks(masks, network())


def test_it_is_exact_where_the_network_is_given_and_leaves_that_alone() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for inputs in (torch.randn(1, 2), {"input": torch.zeros(1, 2)}):
        (found,) = effective_sparsity(ticket(), network=model, inputs=inputs).levels
        assert (found.kept, found.effective, found.effective_sparsity) == (4, 3, 0.5)
        assert found.layers == {"0.weight": (3, 2), "3.weight": (1, 1)}
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items()) and model.training


def test_without_it_or_with_another_one_it_is_not_known() -> None:
    assert effective_sparsity(ticket()).why_not
    other = effective_sparsity(ticket(), network=nn.Linear(2, 1), inputs=torch.ones(1, 2))
    assert other.why_not == "the network has no parameter '0.weight' of the ticket's shape"
