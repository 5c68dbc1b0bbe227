"""Masks under optimizers whose state has 8 bits, and under loops of accelerate and DistributedDataParallel."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from launched import results_of
from torch import nn

from ticketzoo.errors import TicketError
from ticketzoo.masks.attach import attach
from ticketzoo.masks.checks import check

pytestmark = pytest.mark.slow

MASK = torch.arange(64 * 128).view(128, 64) % 3 != 0
"""Of 8192 weights: libraries keep states of fewer than 4096 in 32 bits."""


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.Tanh(), nn.Linear(128, 4))


def bitsandbytes(parameters: Iterator[nn.Parameter]) -> Any:
    library = pytest.importorskip("bitsandbytes")
    return library.optim.AdamW8bit(parameters, lr=0.01, weight_decay=0.1)


def torchao(parameters: Iterator[nn.Parameter]) -> Any:
    library = pytest.importorskip("torchao.optim")
    return library.AdamW8bit(parameters, lr=0.01, weight_decay=0.1)


@pytest.mark.parametrize("masked", ["zero", "frozen"])
@pytest.mark.parametrize("optimizer_of", [bitsandbytes, torchao])
def test_states_of_eight_bits_leave_pruned_weights_where_they_are(
    optimizer_of: Callable[[Iterator[nn.Parameter]], Any], masked: Any
) -> None:
    model = net()
    start = model[0].weight.detach().clone()
    attach(model, {"0.weight": MASK}, masked=masked)
    optimizer = optimizer_of(model.parameters())
    for step in range(5):
        optimizer.zero_grad()
        model(torch.randn(8, 64, generator=torch.Generator().manual_seed(step))).square().sum().backward()
        with torch.compiler.set_stance("force_eager"):  # torchao compiles a step, which takes a minute
            optimizer.step()
        pruned = model[0].weight[~MASK]
        assert torch.equal(pruned, start[~MASK] if masked == "frozen" else torch.zeros_like(pruned))
    assert (model[0].weight[MASK] != start[MASK]).any()
    bits = {one.dtype for state in optimizer.state.values() for one in state.values() if hasattr(one, "dtype")}
    codes = {type(one).__name__ for state in optimizer.state.values() for one in state.values()}
    assert torch.uint8 in bits or "OptimState8bit" in codes, "the state has 8 bits"
    check(model)


def test_a_layer_of_eight_bits_is_refused() -> None:
    library = pytest.importorskip("bitsandbytes")
    model = nn.Sequential(library.nn.Linear8bitLt(64, 128, has_fp16_weights=False))
    model[0].weight.data = torch.zeros(128, 64, dtype=torch.int8)
    with pytest.raises(TicketError, match=r"0\.weight"):
        attach(model, {"0.weight": MASK})


def distributed() -> dict[str, bool]:
    """Train under DistributedDataParallel, each process on inputs of its own."""
    model = net()
    attach(model, {"0.weight": MASK})
    parallel = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(parallel.parameters(), lr=0.01, weight_decay=0.1)
    for step in range(3):
        optimizer.zero_grad()
        seed = 2 * step + torch.distributed.get_rank()
        parallel(torch.randn(8, 64, generator=torch.Generator().manual_seed(seed))).square().sum().backward()
        optimizer.step()
    check(parallel)
    whole = model[0].weight.detach().clone()
    torch.distributed.all_reduce(whole)
    return {
        "zero": not model[0].weight[~MASK].any(),
        "trains": bool((model[0].weight[MASK] != net()[0].weight[MASK]).any()),
        "alike": torch.allclose(whole, 2 * model[0].weight),
    }


def test_under_distributed_data_parallel(tmp_path: Path) -> None:
    assert results_of(2, distributed, tmp_path) == [{"zero": True, "trains": True, "alike": True}] * 2


@pytest.mark.parametrize("keys", [{}, {"gradient_accumulation_steps": 2}, {"mixed_precision": "bf16"}])
def test_under_accelerate(keys: dict[str, Any]) -> None:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True, **keys)
    model = net()
    attach(model, {"0.weight": MASK})
    data: Any = torch.utils.data.DataLoader(torch.randn(16, 64), batch_size=4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    model, optimizer, data = accelerator.prepare(model, optimizer, data)
    for batch in data:
        with accelerator.accumulate(model):
            accelerator.backward(model(batch).square().sum())
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    plain = accelerator.unwrap_model(model)
    check(plain)
    assert not plain[0].weight[~MASK].any()
    assert (plain[0].weight[MASK] != net()[0].weight[MASK]).any()
    AcceleratorState._reset_state(reset_partial_state=True)
