"""Populations on CUDA: their updates are captured, and the numbers are those of lone trainings there."""

import logging
from typing import Any

import pytest
import torch
from made_population import CONV, LENET, OPTIMIZERS, digits, jobs_of, training

from ticketzoo.models.state import copy_state
from ticketzoo.training import train
from ticketzoo.training.callbacks import Callbacks
from ticketzoo.training.job import Job
from ticketzoo.training.population_loop import TrainedPopulation, train_population

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")

CASES: dict[str, dict[str, Any]] = {
    "lenet": {"architecture": LENET},
    "convolution": {"architecture": CONV},
    "augmented": {"architecture": CONV, "task": {"crop": 1, "flip": True}},
    "clipped": {"architecture": LENET, "clip_norm": 0.5},
}


def jobs(optimizer: str, case: str, **keys: Any) -> list[Job]:
    content = dict(CASES[case])
    task = digits(**content.pop("task", {}))
    return jobs_of(content.pop("architecture"), training(optimizer, **content, **keys), seeds=2, arms=2, task=task)


def together(made: list[Job], capture: bool = True) -> TrainedPopulation:
    device, start = torch.device("cuda", 0), made[0].start_step
    return train_population(made, [Callbacks()] * len(made), device, start=start, capture=capture)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_captured_population_ends_as_lone_trainings(
    optimizer: str, case: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    made, device = jobs(optimizer, case), torch.device("cuda", 0)
    with caplog.at_level(logging.WARNING):
        trained = together(made)
    assert caplog.messages == []
    for number, job in enumerate(made):
        model = job.model(device)
        record = train(model, job.task, job.training, seed=job.seed, device=device)
        ours, expected = copy_state(trained.model(number)), copy_state(model)
        for name, tensor in ours.items():
            torch.testing.assert_close(tensor, expected[name], rtol=0.0, atol=1e-4)
        for name, mask in job.masks.items():
            assert not ours[name][~mask].any()
        outcome: Any = trained.outcomes[number]
        assert outcome.final == pytest.approx(record.final, abs=1e-2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_capturing_changes_nothing(precision: str) -> None:
    made = jobs("adam", "augmented", precision=precision)
    captured, uncaptured = together(made), together(made, capture=False)
    for number in range(len(made)):
        states = [copy_state(trained.model(number)) for trained in (captured, uncaptured)]
        for name, tensor in states[0].items():
            torch.testing.assert_close(tensor, states[1][name], rtol=0.0, atol=1e-4)
