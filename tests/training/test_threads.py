"""Processor threads of torch, by the size of the network and its batches."""

from collections.abc import Iterator

import pytest
import torch
from made_task import CPU, MadeImages

from ticketzoo.models import architecture_of
from ticketzoo.models.create import initial_state
from ticketzoo.recipe import Steps
from ticketzoo.training import TrainingConfig, threads
from ticketzoo.training.job import Job
from ticketzoo.training.threads import forward_operations, threads_for

ARCHITECTURE = architecture_of("lenet-300-100", {"width": 0.02, "in_shape": [1, 2, 2], "num_classes": 2})
"""Three layers of 4 x 6, 6 x 2 and 2 x 2 weights."""


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def job(batch_size: int = 4) -> Job:
    training = TrainingConfig(steps=Steps(6, "it"), batch_size=batch_size)
    return Job(ARCHITECTURE, initial_state(ARCHITECTURE, 0), {}, MadeImages(), training, seed=0)


@pytest.mark.parametrize("batch_size", [4, 8])
def test_operations_are_two_for_each_weight_and_example(batch_size: int) -> None:
    one = job(batch_size)
    assert forward_operations(one, one.model(CPU), CPU) == 2 * batch_size * (4 * 6 + 6 * 2 + 2 * 2)


def test_a_small_network_gets_one_thread_and_the_next_what_there_was() -> None:
    one = job()
    with threads_for(one, one.model(CPU), CPU) as count:
        assert count == torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_threads_are_given_back_after_an_error() -> None:
    one = job()
    with pytest.raises(KeyError), threads_for(one, one.model(CPU), CPU):
        raise KeyError
    assert torch.get_num_threads() == 2


def test_a_large_step_keeps_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    one = job()
    monkeypatch.setattr(threads, "SMALL_STEP", 2 * 4 * 40)
    with threads_for(one, one.model(CPU), CPU) as count:
        assert count == 2


def test_the_model_is_as_it_was() -> None:
    one = job()
    model = one.model(CPU)
    with threads_for(one, model, CPU):
        assert model.training
        assert all(parameter.grad is None for parameter in model.parameters())
