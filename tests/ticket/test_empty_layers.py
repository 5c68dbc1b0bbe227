"""A layer of which a mask keeps nothing: named, and refused where a model uses it."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_bert import CONFIG, make_ticket, random_masks, tiny_architecture, tiny_bert, tokens
from torch import nn
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainingArguments

from ticketzoo import Ticket, TicketCallback
from ticketzoo.errors import TicketError
from ticketzoo.evaluation.evidence import ticket_card
from ticketzoo.models import model_state
from ticketzoo.ticket import Found
from ticketzoo.ticket.config import check_config
from ticketzoo.ticket.levels import pack_levels
from ticketzoo.zoo.summary import read_summary
from ticketzoo.zoo.verify import verify_ticket

POOLER = "pooler.dense.weight"
LINE = f"{POOLER} keeps 1 of 4,096 weights at level 1 and nothing from level 2 (sparsity 0."


@pytest.fixture(scope="module")
def ticket() -> Ticket:
    """The pooler keeps one weight at level 1 and none at level 2; all else keeps about a half."""
    masks = random_masks()
    few, none = (torch.zeros(64, 64, dtype=torch.bool) for _ in range(2))
    few[3, 5] = True
    levels = [(1, masks | {POOLER: few}), (2, masks | {POOLER: none})]
    state = model_state(tiny_bert())
    found = Found(0, pack_levels(levels), {name: value.clone() for name, value in state.items()})
    return make_ticket(architecture=tiny_architecture(None), replicates=[found], package_from=1).at(level=2)


def classifier() -> nn.Module:
    return tiny_bert("text-classification", seed=3)


def theirs() -> nn.Module:
    """The library's own model, which has no pooler; ours has one that its head does not use."""
    return BertForMaskedLM(BertConfig(**CONFIG))


def test_it_is_named_with_its_level(ticket: Ticket, tmp_path: Path) -> None:
    (line,) = ticket.empty_layers
    assert line.startswith(LINE)
    assert LINE in ticket_card(ticket.config, [], empty=ticket.empty_layers).replace("\\", "")
    folder = ticket.save_pretrained(tmp_path / "ticket")
    assert read_summary(folder).lines()[-1] == f"empty layer   {line}"
    checks = verify_ticket(folder)
    assert [check.holds for check in checks if "NOTE" in check.holds and "masks" in check.file] == [f"NOTE: {line}"]


def test_of_several_replicates_each_is_looked_at() -> None:
    """Seed 1 keeps two weights: of `second` none; seed 0 keeps one of each."""
    masks = [{"first": torch.eye(2).bool()[:1], "second": torch.eye(2).bool()[1:]}]
    masks.append({"first": torch.ones(1, 2).bool(), "second": torch.zeros(1, 2).bool()})
    state = {"first": torch.ones(1, 2), "second": torch.ones(1, 2)}
    replicates = [Found(seed, pack_levels([(3, one)]), state) for seed, one in enumerate(masks)]
    ticket = make_ticket(replicates=replicates, package_from=3)
    assert ticket.empty_layers == ["second keeps nothing from level 3 (sparsity 0.500) on (seed 1)"]


def test_a_model_that_uses_it_is_left_as_it_was(ticket: Ticket) -> None:
    model = classifier()
    before = {name: value.clone() for name, value in model_state(model).items()}
    refusal = r"^'tiny-bert.mlm-imp' at level 2 .*: no weight is kept of bert.pooler.dense.weight"
    with pytest.raises(TicketError, match=refusal + r".*a denser level, or .* leave=\['bert.pooler.dense'\]"):
        ticket.apply(model)
    assert all(torch.equal(before[name], value) for name, value in model_state(model).items())


def test_the_trainer_refuses_it_too(ticket: Ticket, tmp_path: Path) -> None:
    arguments = TrainingArguments(str(tmp_path), report_to="none", use_cpu=True, disable_tqdm=True)
    with pytest.raises(TicketError, match=r"no weight is kept of bert\.pooler"):
        Trainer(classifier(), arguments, train_dataset=[{}], callbacks=[TicketCallback(ticket)])
    Trainer(classifier(), arguments, train_dataset=[{}], callbacks=[TicketCallback(ticket, leave="bert.pooler")])


def test_with_the_pooler_left_dense_logits_differ_and_the_encoder_learns(ticket: Ticket) -> None:
    model = classifier()
    own = model.get_parameter("bert.pooler.dense.weight").detach().clone()
    ticket.apply(model, leave="bert.pooler")
    assert torch.equal(model.get_parameter("bert.pooler.dense.weight"), own)
    logits = model(input_ids=tokens()).logits
    assert (logits[0] - logits[1]).abs().max() > 1e-4
    logits.square().sum().backward()
    query = model.get_parameter("bert.encoder.layer.0.attention.self.query.weight")
    assert query.grad is not None
    assert query.grad.abs().max() > 0
    mask = ticket.masks["encoder.layer.0.attention.self.query.weight"]
    assert (query[~mask] == 0).all()


@pytest.mark.parametrize("model", [theirs(), tiny_bert("fill-mask"), tiny_bert("question-answering")])
def test_a_head_that_does_without_it_needs_nothing(ticket: Ticket, model: nn.Module) -> None:
    ticket.apply(model)
    weight = model.get_parameter("bert.encoder.layer.1.output.dense.weight")
    assert (weight[~ticket.masks["encoder.layer.1.output.dense.weight"]] == 0).all()


def test_a_model_of_a_ticket_is_built_dead_only_if_asked_for(ticket: Ticket) -> None:
    with pytest.raises(TicketError, match=r"at level 2: no weight is kept of pooler.dense.weight.*allow_empty=True"):
        ticket.build()
    dead: Any = ticket.build(allow_empty=True)
    constant = dead(input_ids=tokens()).pooler_output
    assert torch.equal(constant[0], constant[1])
    ticket.at(level=1).build()


def test_next_to_nothing_is_used_with_a_warning(ticket: Ticket) -> None:
    message = r"at level 1: bert.pooler.dense.weight keeps 1 of 4,096 weights.*leave=\['bert.pooler.dense'\]"
    with pytest.warns(UserWarning, match=message):
        ticket.at(level=1).apply(classifier())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ticket.at(level=1).apply(classifier(), leave="bert.pooler")
        ticket.at(level=1).apply(theirs())


def test_leave_must_name_a_module(ticket: Ticket) -> None:
    with pytest.raises(TicketError, match=r"leave 'bert\.poler' is not the name of a module"):
        ticket.apply(classifier(), leave=["bert.poler"])


def test_what_the_task_did_not_train_is_stated_in_format_1(ticket: Ticket) -> None:
    content = ticket.config.model_dump(mode="json")
    assert "not_trained" not in content["pruning"]
    stated = check_config(content | {"pruning": content["pruning"] | {"not_trained": ["head.weight"]}}, "here")
    assert stated.in_its_format().format == 1
    assert json.loads(stated.to_json())["pruning"]["not_trained"] == ["head.weight"]
    with pytest.raises(TicketError, match=r"pruning.not_trained: pooler.dense.weight is among pruning.parameters"):
        check_config(content | {"pruning": content["pruning"] | {"not_trained": [POOLER]}}, "here")
