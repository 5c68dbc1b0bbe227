"""Tickets of transformers' encoders: one ticket, any head."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import (
    CONFIG,
    HEADS,
    PRUNABLE,
    make_ticket,
    random_masks,
    save_tiny_bert,
    scores,
    tiny_architecture,
    tiny_bert,
)
from torch import Tensor, nn

from ticketzoo import Ticket, load_ticket
from ticketzoo.errors import ModelError, TicketError, TicketzooError
from ticketzoo.masks.checks import attached_masks
from ticketzoo.masks.masks import sparsity
from ticketzoo.models import architecture_of, bare_names, create_model, model_state, prunable_parameters
from ticketzoo.ticket import BaseWeights, Found
from ticketzoo.zoo.verify import verify_ticket

REVISION = "1" * 40


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A pretrained model with its masked-language-modelling head, as its author saved it."""
    return save_tiny_bert(tmp_path / "base", "fill-mask")


@pytest.fixture
def folder(tmp_path: Path, base: Path) -> Path:
    """A ticket that rewinds to it by reference."""
    weights = BaseWeights.from_folder(base, "big/bert", REVISION)
    ticket = make_ticket(replicates=[Found(0, {1: random_masks()}), Found(1, {1: random_masks()})], base=weights)
    return ticket.save_pretrained(tmp_path / "ticket")


def pretrained(head: str | None, base: Path, **keys: Any) -> nn.Module:
    """Return what a user has who calls `from_pretrained`."""
    import transformers

    name = {
        None: "AutoModel",
        "fill-mask": "AutoModelForMaskedLM",
        "text-classification": "AutoModelForSequenceClassification",
        "question-answering": "AutoModelForQuestionAnswering",
    }[head]
    return getattr(transformers, name).from_pretrained(base, **keys)


def body(model: nn.Module) -> dict[str, Tensor]:
    """The encoder's tensors, named as in the ticket."""
    return {
        name: tensor
        for name, tensor in bare_names(model_state(model), model).items()
        if name.startswith(("embeddings.", "encoder.", "pooler."))
    }


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_a_ticket_by_reference_is_small_and_comes_back_with_its_base(folder: Path, base: Path) -> None:
    assert not list(folder.rglob("rewind.safetensors"))
    assert (folder / "seed-0/masks.safetensors").stat().st_size < PRUNABLE / 8 + 5000
    assert verify_ticket(folder)
    ticket = load_ticket(str(folder), base=base)
    file = load_file(base / "model.safetensors")
    assert ticket.rewind_state.keys() == {name.removeprefix("bert.") for name in file}
    for name, mask in ticket.masks.items():
        assert torch.equal(ticket.rewind_state[name], file[f"bert.{name}"] * mask)


def test_build_takes_the_head_along_where_the_base_has_it(folder: Path, base: Path) -> None:
    ticket = load_ticket(str(folder), base=base)
    model, file = ticket.build(), load_file(base / "model.safetensors")
    for name, tensor in model_state(model).items():
        mask = ticket.masks.get(name.removeprefix("bert."))
        assert torch.equal(tensor, file[name] if mask is None else file[name] * mask), name
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    assert len(attached_masks(model) or {}) == 13


def test_build_draws_a_head_that_the_base_has_not_from_the_seed(tmp_path: Path, base: Path) -> None:
    weights = BaseWeights.from_folder(base, "big/bert", REVISION)
    architecture = tiny_architecture("text-classification")
    ticket = make_ticket(architecture=architecture, replicates=[Found(0, {1: random_masks()})], base=weights)
    first, again, other = ticket.build(seed=1), ticket.build(seed=1), ticket.build(seed=2)
    assert_same(model_state(first), model_state(again))
    assert_same(body(first), body(other))
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_one_ticket_on_any_head(folder: Path, base: Path, head: str | None, wrapped: bool) -> None:
    ticket = load_ticket(str(folder), base=base)
    model = tiny_bert(head, seed=3)
    before = {name: tensor.clone() for name, tensor in model_state(model).items()}
    ticket.apply(torch.compile(model) if wrapped else model)
    state = bare_names(model_state(model), model)
    for name, tensor in state.items():
        if name.startswith(("embeddings.", "encoder.", "pooler.")):
            assert torch.equal(tensor, ticket.rewind_state[name]), name
        else:
            assert torch.equal(tensor, before[name]), name
    assert_same(bare_names(attached_masks(model) or {}, model), ticket.masks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(2):
        scores(model, head).square().mean().backward()
        optimizer.step()
    for name, mask in ticket.masks.items():
        trained = bare_names(model_state(model), model)[name]
        assert not trained[~mask].any()
    Ticket.remove(model)
    assert attached_masks(model) is None


@pytest.mark.parametrize("head", HEADS)
def test_on_what_from_pretrained_gives(folder: Path, base: Path, head: str | None) -> None:
    """`transformers` builds no pooler under two of the heads: its masks have nothing to cover there."""
    ticket = load_ticket(str(folder), masks_only=True)
    model = pretrained(head, base)
    has_pooler = head in (None, "text-classification")
    ticket.apply(model, rewind=False)
    masks = bare_names(attached_masks(model) or {}, model)
    assert masks.keys() == {name for name in ticket.masks if has_pooler or not name.startswith("pooler.")}
    file = load_file(base / "model.safetensors")
    for name, mask in masks.items():
        assert torch.equal(bare_names(model_state(model), model)[name], file[f"bert.{name}"] * mask)
    with_weights = pretrained(head, base)
    load_ticket(str(folder), base=base).apply(with_weights)
    assert_same(body(with_weights), body(model))


def test_a_packed_ticket_holds_its_head_and_ties(tmp_path: Path) -> None:
    model = tiny_bert("fill-mask", seed=5)
    state = bare_names(model_state(model), model)
    folder = make_ticket(replicates=[Found(0, {1: random_masks()}, state)]).save_pretrained(tmp_path / "packed")
    ticket = Ticket.from_pretrained(folder)
    assert verify_ticket(folder)
    built = ticket.build()
    assert_same(bare_names(model_state(built), built), ticket.rewind_state)
    assert built.cls.predictions.decoder.weight is built.bert.embeddings.word_embeddings.weight
    for head in HEADS:
        other = tiny_bert(head, seed=6)
        head_before = {n: t.clone() for n, t in model_state(other).items() if n.startswith(("cls.", "class", "qa_"))}
        ticket.apply(other)
        assert_same({name: ticket.rewind_state[name] for name in body(other)}, body(other))
        assert_same({name: model_state(other)[name] for name in head_before}, head_before)


@pytest.mark.parametrize("rewind", [True, False])
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"hidden_size": 32, "num_hidden_layers": 3},
            "the ticket does not fit the model: hidden_size is 64 in the ticket, 32 in the model; "
            "num_hidden_layers is 2 in the ticket, 3 in the model$",
        ),
        ({"intermediate_size": 64}, "model: intermediate_size is 128 in the ticket, 64 in the model$"),
        ({"vocab_size": 90}, "model: vocab_size is 100 in the ticket, 90 in the model .its tokenizer is another"),
    ],
)
def test_an_encoder_of_another_size_is_named_and_unchanged(
    folder: Path, base: Path, other: dict[str, Any], message: str, rewind: bool
) -> None:
    ticket = load_ticket(str(folder), base=base)
    model = tiny_bert("text-classification", **other)
    with pytest.raises(TicketError, match=message):
        ticket.apply(model, rewind=rewind)
    assert_same(model_state(model), model_state(tiny_bert("text-classification", **other)))
    assert attached_masks(model) is None


def test_other_embeddings_of_the_same_vocabulary_are_seen(folder: Path, base: Path) -> None:
    model = tiny_bert("text-classification", max_position_embeddings=16)
    with pytest.raises(
        TicketError, match=r"position_embeddings.weight' has shape \(32, 64\) in the ticket, \(16, 64\)"
    ):
        load_ticket(str(folder), base=base).apply(model)


def test_another_kind_of_model(folder: Path, base: Path) -> None:
    ticket = load_ticket(str(folder), base=base)
    with pytest.raises(TicketError, match="the ticket does not fit the model: it is of a bert, the model a roberta"):
        ticket.apply(create_model("transformers/roberta", seed=0, config=CONFIG))
    lenet = create_model("lenet-300-100", seed=0)
    with pytest.raises(TicketError, match=r"the ticket does not fit the model: not in the model: "):
        ticket.apply(lenet)
    masks = {name: weight > 0 for name, weight in prunable_parameters(lenet).items()}
    architecture = architecture_of("lenet-300-100", {})
    other = make_ticket(architecture=architecture, replicates=[Found(0, {1: masks}, model_state(lenet))])
    with pytest.raises(TicketError, match="none of its masks is of a BertForMaskedLM's body"):
        other.apply(tiny_bert("fill-mask"), rewind=False)


def test_a_model_that_was_loaded_from_another_one_is_warned_of(folder: Path, base: Path) -> None:
    ticket = load_ticket(str(folder), base=base)
    model: Any = tiny_bert("text-classification")
    model.name_or_path = "big/bert-cased"
    with pytest.warns(UserWarning, match="is of big/bert, the model was loaded from big/bert-cased: .* same tokenizer"):
        ticket.apply(model)
    for name in ("big/bert", "bert", str(base), ""):
        model.name_or_path = name
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ticket.apply(model)


def test_a_base_whose_weights_changed(folder: Path, base: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    save_file({**tensors, "bert.pooler.dense.bias": torch.ones(64)}, base / "model.safetensors")
    ticket = load_ticket(str(folder), base=base)
    stated = json.loads((folder / "ticket.json").read_text())["rewind"]["sha256"]
    with pytest.raises(
        TicketError, match=rf"base weights in {base}: .* says {stated}: they are no copy of hub:big/bert@1"
    ):
        ticket.build()


def test_a_base_for_a_ticket_that_has_none(tmp_path: Path, base: Path) -> None:
    state = bare_names(model_state(tiny_bert("fill-mask")), tiny_bert("fill-mask"))
    folder = make_ticket(replicates=[Found(0, {1: random_masks()}, state)]).save_pretrained(tmp_path / "packed")
    with pytest.raises(TicketError, match="has rewind weights of its own, none of a base model: leave out base"):
        load_ticket(str(folder), base=base)


def test_a_base_of_another_size_cannot_be_packed(tmp_path: Path) -> None:
    wide = save_tiny_bert(tmp_path / "wide", hidden_size=128)
    weights = BaseWeights.from_folder(wide, "big/bert", REVISION)
    with pytest.raises(TicketError, match=r"query.weight' has shape \(128, 128\), its mask \(64, 64\)"):
        make_ticket(replicates=[Found(0, {1: random_masks()})], base=weights)


def test_an_architecture_from_a_stranger_is_checked(folder: Path, base: Path) -> None:
    content = json.loads((folder / "ticket.json").read_text())
    content["architecture"]["kwargs"]["config"]["auto_map"] = {"AutoModel": "evil.py--Model"}
    (folder / "ticket.json").write_text(json.dumps(content))
    ticket = load_ticket(str(folder), base=base)
    with pytest.raises(ModelError, match="has no argument 'auto_map'"):
        ticket.build()
    with pytest.raises(ModelError, match="has no argument 'auto_map'"):
        ticket.apply(tiny_bert("fill-mask"))


def test_sparsity_is_of_encoder_and_pooler(folder: Path) -> None:
    ticket = load_ticket(str(folder), masks_only=True)
    assert ticket.sparsity == sparsity(ticket.masks)
    assert ticket.config.prunable_weights == PRUNABLE


@pytest.mark.parametrize("head", [None, "text-classification"])
def test_the_base_is_not_fetched_for_a_model_that_was_loaded_from_it(head: str | None, tmp_path: Path) -> None:
    """Without a copy of it, and without the Hub, there is nowhere to fetch it from."""
    encoder = save_tiny_bert(tmp_path / "encoder")
    weights = BaseWeights.from_folder(encoder, "big/bert", REVISION)
    made = make_ticket(replicates=[Found(0, {1: random_masks()}), Found(1, {1: random_masks()})], base=weights)
    ticket = load_ticket(made.save_pretrained(tmp_path / "ticket"), local_files_only=True)
    model, expected = pretrained(head, encoder), pretrained(head, encoder)
    made.apply(expected)
    ticket.apply(model)
    assert_same(body(model), body(expected))
    with pytest.raises(TicketzooError, match=r"base weights|not in the cache|big/bert"):
        ticket.apply(expected)  # its own are pruned by now


def test_masks_of_a_head_that_the_model_keeps_are_said_to_be_left_out(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_bert("text-classification", num_labels=3)
    names = ("classifier.weight", "bert.encoder.layer.0.output.dense.weight")
    shapes = {name: model.get_parameter(name).shape for name in names}
    masks = {name: (torch.arange(shape.numel()) % 2 == 0).view(shape) for name, shape in shapes.items()}
    Ticket.from_masks(masks, model, name="whole").apply(tiny_bert("text-classification", num_labels=5))
    said = "masks are left out, as the model keeps its own head: classifier.weight (head=[] puts them on)"
    assert [record.getMessage() for record in caplog.records] == [said]
