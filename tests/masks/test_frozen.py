"""Frozen weights stay bit-equal under all that moves weights, through a checkpoint and a new process's model."""

import io
from typing import Any

import pytest
import torch
from torch import nn

from ticketzoo import Ticket

OPTIMIZERS: dict[str, Any] = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.1),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
}


def net(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_excluded_weights_are_bit_equal_after_fifty_steps_and_a_resume(name: str, dtype: torch.dtype) -> None:
    start = net(0).to(dtype)
    masks = {key: torch.rand(one.shape) < 0.3 for key, one in start.named_parameters()}
    ticket = Ticket.from_masks(masks, start, masked="frozen")
    saved: Any = None
    for seed in (1, 2):  # the second goes on from the checkpoint of the first, as another process would
        ticket.apply(model := net(seed).to(dtype))
        optimizer = OPTIMIZERS[name](model.parameters())
        if saved is not None:
            saved.seek(0)
            state = torch.load(saved, weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        for step in range(25):
            optimizer.zero_grad()
            inputs = torch.randn(4, 5, generator=torch.Generator().manual_seed(25 * seed + step)).to(dtype)
            (model(inputs) - 1).square().sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, saved := io.BytesIO())
    for key, parameter in model.named_parameters():
        before = start.get_parameter(key)
        assert torch.equal(parameter[~masks[key]], before[~masks[key]])
        assert (parameter[masks[key]] != before[masks[key]]).all()
