"""Masks on parameters of which each of several processes holds a part."""

from pathlib import Path
from typing import Any

import pytest
import torch
from launched import results_of
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from ticketzoo.masks.attach import attach
from ticketzoo.masks.checks import attached_masks, check, strayed

MASKS = {"0.weight": torch.arange(60).view(10, 6) % 3 != 0, "2.weight": torch.arange(70).view(7, 10) % 2 == 0}


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 7))


def trained(way: str, masked: str) -> dict[str, Any]:
    """Train a model cut up in two, masked before or after that; the second process looks at the same batches."""
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    model, mesh = net(), init_device_mesh("cpu", (2,))
    own = {name: value.detach().clone() for name, value in model.named_parameters()}
    if masked != "after":
        attach(model, MASKS, masked="frozen" if masked == "frozen" else "zero")
    if way == "fsdp2":
        fully_shard(model, mesh=mesh)
    else:
        parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    if masked == "after":
        attach(model, MASKS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for step in range(2):
        optimizer.zero_grad()
        inputs = torch.randn(4, 6, generator=torch.Generator().manual_seed(step))
        model(inputs).square().sum().backward()
        optimizer.step()
    check(model)
    whole = {name: value.full_tensor().detach() for name, value in model.named_parameters() if name in MASKS}
    gradients = {name: model.get_parameter(name).grad.full_tensor() for name in MASKS}
    expected = {name: own[name] if masked == "frozen" else torch.zeros_like(own[name]) for name in MASKS}
    return {
        "held": all(torch.equal(whole[name][~mask], expected[name][~mask]) for name, mask in MASKS.items()),
        "trains": all((whole[name][mask] != own[name][mask]).any().item() for name, mask in MASKS.items()),
        "gradients": sum(int(gradients[name][~mask].count_nonzero()) for name, mask in MASKS.items()),
        "strayed": strayed(model),
        "masks": all(torch.equal(mask, MASKS[name]) for name, mask in (attached_masks(model) or {}).items()),
        "rows": sum(value.to_local().numel() for value in model.parameters()),
    }


def all_ways() -> dict[str, Any]:
    return {
        f"{way} {masked}": trained(way, masked) for way in ("fsdp2", "tp") for masked in ("before", "after", "frozen")
    }


@pytest.mark.slow
def test_each_process_holds_its_part(tmp_path: Path) -> None:
    for results in results_of(2, all_ways, tmp_path):
        for way, result in results.items():
            assert result.pop("rows") < 147, way  # of all 147 parameters
            assert result == {"held": True, "trains": True, "gradients": 0, "strayed": {}, "masks": True}, way
