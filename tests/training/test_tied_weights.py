"""Cells of a model whose decoder is tied to its embeddings, as that of every masked language model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from made_task import CPU, Stopped
from tiny_bert import random_masks, tiny_architecture, tiny_bert, tokens
from torch import Tensor, nn

from ticketzoo.models import create_from_architecture, load_model_state, model_names_of, model_state
from ticketzoo.models.signature import Signature, Tokens, Vocabulary
from ticketzoo.models.state import State
from ticketzoo.runs.store import Job, Store
from ticketzoo.tasks.metrics import ACCURACY
from ticketzoo.training import TrainingConfig

TIED = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}


class MadeTokens:
    """Says every token of four texts, which change from step to step."""

    name = "made-tokens"
    metric = ACCURACY
    has_validation = False

    def __init__(self, stop_after: int | None = None) -> None:
        self.identity: dict[str, Any] = {}
        self.source: dict[str, Any] = {}
        self.signature = Signature(Tokens(), Vocabulary())
        self.steps, self.stop_after = 0, stop_after

    def steps_per_epoch(self, batch_size: int) -> int:
        return 4

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Tensor]:
        return (tokens(step) for step in range(start, stop))

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        if self.steps == self.stop_after:
            raise Stopped
        self.steps += 1
        return nn.functional.cross_entropy(model(input_ids=batch).logits.flatten(0, 1), batch.flatten())

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        return {"loss": 0.0, "accuracy": 0.0}


def job(**task: Any) -> Job:
    optimizer = {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}
    training = TrainingConfig.model_validate({"steps": "4it", "batch_size": 4, "optimizer": optimizer})
    model = tiny_bert("fill-mask", seed=1)
    masks = model_names_of(random_masks(), model)
    return Job(tiny_architecture("fill-mask"), model_state(model), masks, MadeTokens(**task), training, seed=0)


def run(folder: Path, job: Job) -> tuple[State, State]:
    with Store(folder, device=CPU, checkpoint_seconds=0) as cells:
        cell = cells.run(job, "made", keep_final=True, snapshot_steps=[2])
        return cell.final_state(), cell.snapshot(2)


def test_a_cell_holds_tied_tensors_once_and_they_are_trained_as_one(tmp_path: Path) -> None:
    final, snapshot = run(tmp_path, job())
    model = create_from_architecture(tiny_architecture("fill-mask"), seed=0)
    for state in (final, snapshot):
        assert model.state_dict().keys() - state.keys() == TIED
        load_model_state(model, state)
        assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
        assert all(not state[name][~mask].any() for name, mask in job().masks.items())
    start = job().state["bert.embeddings.word_embeddings.weight"]
    never_read = start[:5]  # tokens 0 to 4 appear in no text: what moves their embeddings comes through the decoder
    assert not torch.equal(final["bert.embeddings.word_embeddings.weight"][:5], never_read)


def test_a_cell_stopped_halfway_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", job())
    for stop in (1, 3):
        with pytest.raises(Stopped):
            run(tmp_path / str(stop), job(stop_after=stop))
        resumed = job()
        ends = run(tmp_path / str(stop), resumed)
        assert isinstance(resumed.task, MadeTokens)
        assert resumed.task.steps == 4 - stop
        for state, expected in zip(ends, whole, strict=True):
            assert state.keys() == expected.keys()
            assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items())
