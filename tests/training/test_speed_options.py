"""channels_last and compile: faster where they are, the same training everywhere."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from made_task import CPU, MadeImages, Stopped
from torch import nn

from ticketzoo.errors import RunError
from ticketzoo.masks.attach import attach
from ticketzoo.masks.masks import Masks
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.models.state import State
from ticketzoo.runs.store import Job, Store
from ticketzoo.training import TrainingConfig, train
from ticketzoo.training.callbacks import Callbacks, Resumption


def config(**keys: Any) -> TrainingConfig:
    optimizer = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
    return TrainingConfig.model_validate({"steps": "7it", "batch_size": 6, "optimizer": optimizer, **keys})


def convolutions(dropout: float = 0.2) -> nn.Module:
    """Convolutions of one pixel (whose layout is ambiguous) and of nine, BatchNorm and dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1), nn.Dropout(dropout)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(24, 2))


def half(model: nn.Module) -> Masks:
    """Masks that keep every second weight."""
    return {
        name: torch.arange(parameter.numel()).view(parameter.shape) % 2 == 0
        for name, parameter in prunable_parameters(model).items()
    }


def trained(
    training: TrainingConfig,
    dropout: float = 0.2,
    resumption: Resumption | None = None,
    taken: Mapping[int, State] = MappingProxyType({}),
) -> State:
    model = convolutions(dropout)
    attach(model, half(model))
    snapshots = dict(taken)
    callbacks = Callbacks({4} - snapshots.keys(), snapshots.__setitem__, resumption=resumption)
    train(model, MadeImages(), training, seed=0, device=CPU, callbacks=callbacks)
    for name, mask in half(model).items():
        assert (model.get_parameter(name)[~mask] == 0).all()
    return {**model.state_dict(), **{f"snapshot {name}": tensor for name, tensor in snapshots[4].items()}}


def test_a_training_in_channels_last_ends_with_the_same_weights_but_for_rounding() -> None:
    plain, fast = (trained(config(channels_last=last), dropout=0.0) for last in (False, True))
    for name, tensor in plain.items():
        torch.testing.assert_close(fast[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_training_ends_with_the_same_weights_but_for_rounding() -> None:
    states = []
    for compiled in (False, True):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 6, bias=False), nn.Linear(6, 2, bias=False))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view(parameter.shape))
        attach(model, half(model))
        calls: list[bool] = []
        model.register_forward_hook(lambda *_, calls=calls: calls.append(torch.compiler.is_compiling()))
        snapshots: dict[int, State] = {}
        callbacks = Callbacks([4], snapshots.__setitem__)
        train(model, MadeImages(), config(compile=compiled), seed=0, device=CPU, callbacks=callbacks)
        assert any(calls) is compiled
        assert list(snapshots[4]) == ["1.weight", "2.weight"]  # not the names within torch.compile's wrapper
        assert all((model.get_parameter(name)[~mask] == 0).all() for name, mask in half(model).items())
        states.append(model.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-4, atol=1e-5)


def test_weights_are_laid_out_by_channel_and_stored_as_ever() -> None:
    model = convolutions()
    snapshots: dict[int, State] = {}
    callbacks = Callbacks([4], snapshots.__setitem__)
    train(model, MadeImages(), config(channels_last=True), seed=0, device=CPU, callbacks=callbacks)
    assert model[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert not model[3].weight.is_contiguous()
    assert all(tensor.is_contiguous() for tensor in snapshots[4].values())


@pytest.mark.parametrize("stop_after", [1, 3, 6])
def test_a_stopped_training_in_channels_last_ends_with_the_same_bits(stop_after: int, tmp_path: Path) -> None:
    resumption = Resumption(tmp_path, every_seconds=0)
    snapshots: dict[int, State] = {}
    callbacks = Callbacks([4], snapshots.__setitem__, resumption=resumption)
    task = MadeImages()
    task.stop_after = stop_after
    model = convolutions()
    attach(model, half(model))
    with pytest.raises(Stopped):
        train(model, task, config(channels_last=True), seed=0, device=CPU, callbacks=callbacks)
    whole = trained(config(channels_last=True))
    resumed = trained(config(channels_last=True), resumption=resumption, taken=snapshots)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def job(training: TrainingConfig, model: str = "resnet-20") -> Job:
    architecture = architecture_of(model, {"in_shape": [1, 2, 2], "num_classes": 2, "width": 0.1})
    network = create_from_architecture(architecture, seed=0)
    return Job(architecture, network.state_dict(), half(network), MadeImages(), training, seed=0)


def test_a_cell_in_channels_last_is_stored_and_is_another_cell(tmp_path: Path) -> None:
    fast, plain = (job(config(steps="2it", channels_last=last)) for last in (True, False))
    with Store(tmp_path, device=CPU) as cells:
        states = [cells.run(each, "label", keep_final=True).final_state() for each in (fast, plain)]
    assert len(list(tmp_path.glob("*/cell.json"))) == 2
    assert all(tensor.is_contiguous() for tensor in states[0].values())
    for name, tensor in states[1].items():
        torch.testing.assert_close(states[0][name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_where_nothing_can_be_compiled_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    torch.compiler.reset()
    with Store(tmp_path / "cells", device=CPU) as cells, pytest.raises(RunError) as refused:
        cells.run(job(config(compile=True), "lenet-300-100"), "seed 0 level 1/2")
    assert str(refused.value).startswith("seed 0 level 1/2: training.compile does not work here (")
    assert str(refused.value).endswith("; set it to false")
    assert "\n" not in str(refused.value)


class Insatiable(MadeImages):
    """Needs more memory than there is."""

    def loss(self, model: nn.Module, batch: list[int]) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class InsatiableOnCPU(MadeImages):
    """Needs more memory than any processor has."""

    def loss(self, model: nn.Module, batch: list[int]) -> torch.Tensor:
        return torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize("insatiable", [Insatiable(), InsatiableOnCPU()])
@pytest.mark.parametrize(("batch_size", "said"), [(7, "try training.batch_size=3"), (1, "not even batches of 1 fit")])
def test_out_of_memory_says_which_batch_size_to_try(
    insatiable: MadeImages, batch_size: int, said: str, tmp_path: Path
) -> None:
    asks_for_too_much = replace(job(config(batch_size=batch_size)), task=insatiable)
    with Store(tmp_path, device=CPU) as cells, pytest.raises(RunError, match=said):
        cells.run(asks_for_too_much, "label")
