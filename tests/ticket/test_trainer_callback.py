"""The Trainer of transformers, as people use it, with a ticket."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.fixtures import LocalHub
from safetensors.torch import load_file
from tiny_bert import make_ticket, random_masks, save_tiny_bert
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

from ticketzoo import Ticket, TicketCallback
from ticketzoo.errors import TicketError
from ticketzoo.masks.checks import attached_masks
from ticketzoo.ticket import BaseWeights, Found

TEXTS = torch.randint(5, 100, (24, 12), generator=torch.Generator().manual_seed(1))
DATA = [{"input_ids": text, "labels": text.sum() % 3} for text in TEXTS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def ticket(base: Path) -> Ticket:
    weights = BaseWeights.from_folder(base, "big/bert", "1" * 40)
    return make_ticket(replicates=[Found(0, {1: random_masks(0.3)})], base=weights)


def model_of(base: Path) -> Any:
    torch.manual_seed(0)  # from_pretrained draws the head from it
    return AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)


class SeesZeros(TrainerCallback):
    """Look, as a sceptical user would, at every pruned weight after every step."""

    def __init__(self, ticket: Ticket) -> None:
        self.ticket, self.steps = ticket, 0

    def on_step_end(self, *args: Any, model: nn.Module, **kwargs: Any) -> None:  # type: ignore[override]
        assert_zeros(dict(model.named_parameters()), self.ticket)
        self.steps += 1


def assert_zeros(tensors: dict[str, Tensor], ticket: Ticket) -> None:
    for name, mask in ticket.masks.items():
        tensor = tensors[f"bert.{name}"]
        assert not tensor[~mask].any(), name
        assert tensor[mask].count_nonzero() == mask.sum(), name


def trainer_for(model: nn.Module | None, ticket: Ticket, folder: Path, **keys: Any) -> tuple[Trainer, SeesZeros]:
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "max_steps": 6,
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 3,
    }
    callback, eye = TicketCallback(ticket, rewind=keys.pop("rewind", True)), SeesZeros(ticket)
    objects = {key: keys.pop(key) for key in ("model_init",) if key in keys}
    args = TrainingArguments(**{**settings, **keys})
    callbacks: list[Any] = [callback, eye]
    return Trainer(model, args, train_dataset=DATA, eval_dataset=DATA[:8], callbacks=callbacks, **objects), eye


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"gradient_accumulation_steps": 3},
        {"bf16": True},
        {"optim": "adamw_torch_fused"},
        {"optim": "adafactor"},
        {"optim": "sgd", "optim_args": "momentum=0.9"},
        {"max_grad_norm": 0.1, "warmup_steps": 2},
        {"gradient_checkpointing": True},
    ],
    ids=str,
)
def test_pruned_weights_are_zero_after_every_step(
    base: Path, ticket: Ticket, tmp_path: Path, keys: dict[str, Any]
) -> None:
    model = model_of(base)
    before = model.bert.encoder.layer[0].output.dense.weight.detach().clone()
    trainer, eye = trainer_for(model, ticket, tmp_path, save_strategy="no", **keys)
    trainer.train()
    assert eye.steps == 6
    assert not torch.equal(model.bert.encoder.layer[0].output.dense.weight, before)
    trainer.save_model(str(tmp_path / "saved"))
    assert_zeros(load_file(tmp_path / "saved/model.safetensors"), ticket)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert_zeros(dict(again.named_parameters()), ticket)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in again.state_dict().items())


def test_a_resumed_run_ends_with_the_same_bits(base: Path, ticket: Ticket, tmp_path: Path) -> None:
    whole, _ = trainer_for(model_of(base), ticket, tmp_path / "whole", save_strategy="steps", save_steps=2)
    whole.train()
    for checkpoint in sorted((tmp_path / "whole").glob("checkpoint-*")):
        assert_zeros(load_file(checkpoint / "model.safetensors"), ticket)
    resumed, eye = trainer_for(model_of(base), ticket, tmp_path / "resumed", save_strategy="no")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole/checkpoint-4"))
    assert eye.steps == 2
    ends = resumed.model.state_dict()
    assert all(torch.equal(tensor, ends[name]) for name, tensor in whole.model.state_dict().items())


@pytest.mark.slow
def test_a_dense_checkpoint_is_masked_when_it_is_resumed(base: Path, ticket: Ticket, tmp_path: Path) -> None:
    settings = {"output_dir": str(tmp_path / "dense"), "max_steps": 2, "save_steps": 2, "report_to": "none"}
    dense = Trainer(model_of(base), TrainingArguments(**settings, use_cpu=True, disable_tqdm=True), train_dataset=DATA)
    dense.train()
    trainer, eye = trainer_for(model_of(base), ticket, tmp_path / "sparse", save_strategy="no")
    trainer.train(resume_from_checkpoint=str(tmp_path / "dense/checkpoint-2"))
    assert eye.steps == 4


@pytest.mark.slow
def test_the_best_model_has_its_zeros_and_goes_on_training(base: Path, ticket: Ticket, tmp_path: Path) -> None:
    keys = {"eval_strategy": "steps", "eval_steps": 1, "save_steps": 1, "load_best_model_at_end": True}
    trainer, _ = trainer_for(model_of(base), ticket, tmp_path, **keys)
    trainer.train()
    best = Path(str(trainer.state.best_model_checkpoint))
    assert_zeros(load_file(best / "model.safetensors"), ticket)
    assert_zeros(dict(trainer.model.named_parameters()), ticket)
    assert trainer.model.bert.pooler.dense.weight.equal(
        load_file(best / "model.safetensors")["bert.pooler.dense.weight"]
    )
    trainer.train()
    assert_zeros(dict(trainer.model.named_parameters()), ticket)


@pytest.mark.slow
def test_a_model_made_anew_for_each_training(base: Path, ticket: Ticket, tmp_path: Path) -> None:
    trainer, eye = trainer_for(None, ticket, tmp_path, save_strategy="no", model_init=lambda: model_of(base))
    trainer.train()
    trainer.train()
    assert eye.steps == 12
    assert attached_masks(trainer.model) is not None


@pytest.mark.parametrize("rewind", [True, False])
def test_where_training_starts(base: Path, ticket: Ticket, tmp_path: Path, rewind: bool) -> None:
    model = model_of(base)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.add_(1)
    own = model.bert.embeddings.word_embeddings.weight.detach().clone()
    trainer_for(model, ticket, tmp_path, rewind=rewind)
    assert_zeros(dict(model.named_parameters()), ticket)
    expected = ticket.rewind_state["embeddings.word_embeddings.weight"] if rewind else own
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, expected)


class Revives(TrainerCallback):
    """Stands for what moves weights behind the optimiser's back, such as a running average put into the model."""

    def on_step_end(self, *args: Any, model: nn.Module, **kwargs: Any) -> None:  # type: ignore[override]
        with torch.no_grad():
            model.get_parameter("bert.pooler.dense.weight").add_(0.1)


def test_revived_weights_are_an_error_at_the_end(base: Path, ticket: Ticket, tmp_path: Path) -> None:
    trainer, eye = trainer_for(model_of(base), ticket, tmp_path, max_steps=2, save_strategy="no")
    trainer.remove_callback(eye)
    trainer.add_callback(Revives())
    with pytest.raises(TicketError, match=r"\d+ pruned weights of 'bert.pooler.dense.weight' are not where"):
        trainer.train()
    assert trainer.state.global_step == 2


def test_revived_weights_are_not_saved(base: Path, ticket: Ticket, tmp_path: Path) -> None:
    trainer, eye = trainer_for(model_of(base), ticket, tmp_path, max_steps=2, save_steps=1)
    trainer.remove_callback(eye)
    trainer.add_callback(Revives())
    trainer.train()
    for step in (1, 2):
        saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / f"checkpoint-{step}")
        assert_zeros(dict(saved.named_parameters()), ticket)


def test_a_ticket_of_another_size_is_refused_at_once(ticket: Ticket, tmp_path: Path) -> None:
    other = model_of(save_tiny_bert(tmp_path / "base", hidden_size=32))
    with pytest.raises(TicketError, match="hidden_size is 64 in the ticket, 32 in the model"):
        trainer_for(other, ticket, tmp_path / "out")


def test_pushed_and_reloaded(hub: LocalHub, base: Path, ticket: Ticket, tmp_path: Path) -> None:
    hub.login("alice")
    keys = {"hub_model_id": "alice/sparse", "hub_token": os.environ["HF_TOKEN"], "push_to_hub": True}
    trainer, _ = trainer_for(model_of(base), ticket, tmp_path / "out", save_strategy="no", max_steps=2, **keys)
    trainer.train()
    trainer.push_to_hub()
    again = AutoModelForSequenceClassification.from_pretrained("alice/sparse", cache_dir=tmp_path / "cache")
    assert_zeros(dict(again.named_parameters()), ticket)
