"""Architectures and tasks meet by signatures: sized where they fit, refused in one line where they do not."""

import json
from collections.abc import Iterator

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from ticketzoo import models
from ticketzoo.errors import ModelError
from ticketzoo.models import (
    ARCHITECTURES,
    Actions,
    Classes,
    Features,
    Image,
    Observation,
    Signature,
    Spans,
    Tokens,
    Vocabulary,
    architecture_of,
    arguments_for,
    create_from_architecture,
    create_model,
)
from ticketzoo.models.create import architecture_for
from ticketzoo.recipe import Config


class PolicyArguments(Config):
    seen: int = Field(default=4, ge=1)
    hidden: int = Field(default=8, ge=1)
    actions: int = Field(default=2, ge=1)


class Policy(nn.Module):
    def __init__(self, arguments: PolicyArguments) -> None:
        super().__init__()
        self.body = nn.Linear(arguments.seen, arguments.hidden)
        self.act = nn.Linear(arguments.hidden, arguments.actions)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.act(self.body(x).tanh())
        return scores


class ReaderArguments(Config):
    vocabulary: int = Field(default=10, ge=1)
    classes: int = Field(default=2, ge=1)


class Reader(nn.Module):
    def __init__(self, arguments: ReaderArguments) -> None:
        super().__init__()
        self.embedding = nn.Embedding(arguments.vocabulary, 4)
        self.lstm = nn.LSTM(4, 4, batch_first=True)
        self.out = nn.Linear(4, arguments.classes)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.out(self.lstm(self.embedding(tokens))[0][:, -1])
        return scores


CARTPOLE = Signature(Observation((4,)), Actions(2))


@pytest.fixture(autouse=True)
def entries() -> Iterator[None]:
    """Register two architectures as a user's package would, and take them out again."""
    before = dict(ARCHITECTURES._entries)
    ARCHITECTURES.add(
        "mylab/policy",
        arguments=PolicyArguments,
        accepts={(Observation, Actions): lambda seen, acts: {"seen": seen.shape[0], "actions": acts.count}},
        max_parameters=1000,
    )(Policy)
    ARCHITECTURES.add(
        "reader",
        arguments=ReaderArguments,
        accepts={(Tokens, Classes): lambda text, wanted: {"vocabulary": text.vocabulary, "classes": wanted.count}},
    )(Reader)
    yield
    ARCHITECTURES._entries.clear()
    ARCHITECTURES._entries.update(before)


@pytest.mark.parametrize(
    ("name", "signature", "sized"),
    [
        ("lenet-5", Signature(Image(1, 28, 28), Classes(7)), {"in_shape": [1, 28, 28], "num_classes": 7}),
        ("resnet-20", Signature(Image(3, 32, 32), Features(16)), {"in_shape": [3, 32, 32], "num_classes": 16}),
        ("torchvision/resnet18", Signature(Image(3, 9, 9), Classes(2)), {"in_shape": [3, 9, 9], "num_classes": 2}),
        ("transformers/bert", Signature(Tokens(9), Vocabulary(9)), {"head": "fill-mask"}),
        ("transformers/bert", Signature(Tokens(9), Classes(3)), {"head": "text-classification", "num_labels": 3}),
        ("transformers/bert", Signature(Tokens(9), Features(1)), {"head": "text-classification", "num_labels": 1}),
        ("transformers/bert", Signature(Tokens(9), Spans()), {"head": "question-answering"}),
        ("mylab/policy", CARTPOLE, {"seen": 4, "actions": 2}),
        ("reader", Signature(Tokens(50), Classes(4)), {"vocabulary": 50, "classes": 4}),
    ],
)
def test_a_signature_becomes_arguments(name: str, signature: Signature, sized: dict[str, object]) -> None:
    assert arguments_for(name, signature) == sized
    assert architecture_for(name, {}, signature) == architecture_of(name, sized)


@pytest.mark.parametrize(
    ("name", "signature", "message"),
    [
        (
            "lenet-5",
            Signature(Tokens(9), Classes(2)),
            "lenet-5 reads images, and the data are texts: choose a model named transformers/..., reader",
        ),
        (
            "transformers/bert",
            Signature(Image(1, 2, 2), Classes(2)),
            "transformers/bert reads texts, and the data are images: choose a model named timm/..., torchvision/..., ",
        ),
        (
            "lenet-5",
            CARTPOLE,
            "lenet-5 reads images, and the data are observations: choose a model named mylab/policy",
        ),
        (
            "mylab/policy",
            Signature(Tokens(9), Vocabulary(9)),
            "mylab/policy reads observations, and the data are texts: choose a model named transformers/...",
        ),
        (
            "mylab/policy",
            Signature(Observation((4,)), Features(1)),
            "mylab/policy gives actions, and the task needs vectors: "
            "register one from observations to vectors in ticketzoo.models.ARCHITECTURES",
        ),
        (
            "reader",
            Signature(Tokens(9), Spans()),
            "reader gives classes, and the task needs spans of text: choose a model named transformers/...",
        ),
        ("mylab/polycy", CARTPOLE, "unknown model 'mylab/polycy'; did you mean mylab/policy"),
    ],
)
def test_a_misfit_is_one_line(name: str, signature: Signature, message: str) -> None:
    with pytest.raises(ModelError) as error:
        arguments_for(name, signature)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_an_architecture_with_a_prefix_is_stored_as_of_that_library() -> None:
    stored = json.loads(json.dumps(architecture_for("mylab/policy", {"hidden": 3}, CARTPOLE)))
    assert stored == {"library": "mylab", "name": "policy", "kwargs": {"seen": 4, "hidden": 3, "actions": 2}}
    model = create_from_architecture(stored, seed=1)
    same = create_model("mylab/policy", seed=1, hidden=3)
    assert isinstance(model, Policy)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(model.parameters(), same.parameters(), strict=True))
    assert architecture_of("reader", {})["library"] == "ticketzoo"


def test_one_that_is_not_registered_here_says_so() -> None:
    stored = architecture_of("mylab/policy", {})
    with pytest.raises(ModelError, match=r"unknown architecture library 'other'; known are ticketzoo, .*mylab: import"):
        create_from_architecture({**stored, "library": "other"}, seed=0)
    with pytest.raises(ModelError, match="unknown model 'mylab/police'; did you mean mylab/policy"):
        create_from_architecture({**stored, "name": "police"}, seed=0)


def test_parameters_are_counted_before_memory_is_allocated() -> None:
    with pytest.raises(ModelError, match=r"mylab/policy has 7,000,000,002 parameters with seen=4, hidden=1000000000"):
        create_model("mylab/policy", seed=0, hidden=10**9)


def test_models_named_by_their_users_are_listed_once() -> None:
    names = models.model_names()
    assert len(names) == len(set(names))
    assert {"mylab/policy", "reader", "torchvision/resnet18"} <= set(names)
