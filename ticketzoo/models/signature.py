"""Signatures: input and output of a model, by which tasks and architectures meet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ticketzoo.errors import ModelError


@dataclass(frozen=True)
class Image:
    """Float images of shape [b, channels, height, width]."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"images of {self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True)
class Tokens:
    """Texts: int64 tokens of shape [b, t]. vocabulary: how many there are; None where the model decides that."""

    vocabulary: int | None = None

    def __str__(self) -> str:
        return "texts"


@dataclass(frozen=True)
class Observation:
    """Float tensors of shape [b, *shape], such as rows of a table or what an agent sees."""

    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"observations of shape {self.shape}"


@dataclass(frozen=True)
class Classes:
    """Scores of shape [b, count], a class each."""

    count: int

    def __str__(self) -> str:
        return f"{self.count} classes"


@dataclass(frozen=True)
class Vocabulary:
    """Scores of shape [b, t, count] of the token at each place. count: None where the model decides that."""

    count: int | None = None

    def __str__(self) -> str:
        return "tokens"


@dataclass(frozen=True)
class Spans:
    """Two scores of shape [b, t]: of the first and of the last token of an answer."""

    def __str__(self) -> str:
        return "spans of text"


@dataclass(frozen=True)
class Actions:
    """Scores of shape [b, count], an action each."""

    count: int

    def __str__(self) -> str:
        return f"{self.count} actions"


@dataclass(frozen=True)
class Features:
    """Vectors of shape [b, size]: embeddings, or numbers to predict."""

    size: int

    def __str__(self) -> str:
        return f"vectors of {self.size}"


Input: TypeAlias = Image | Tokens | Observation
Output: TypeAlias = Classes | Vocabulary | Spans | Actions | Features


@dataclass(frozen=True)
class Signature:
    """Input and output of a model, or of the model that a task needs."""

    input: Input
    output: Output

    def __str__(self) -> str:
        return f"{self.input} to {self.output}"


Accepts: TypeAlias = Callable[[str, Signature], dict[str, Any]]
"""`accepts(name, signature)`: the arguments that size the architecture `name` for a signature. Raises ModelError."""


def images_to_classes(name: str, signature: Signature) -> dict[str, Any]:
    """Return `in_shape` and `num_classes`.

    Raises:
        ModelError: the data are no images, or no classes are wanted.
    """
    match signature:
        case Signature(Image(channels, height, width), Classes(count)):
            return {"in_shape": [channels, height, width], "num_classes": count}
        case Signature(Tokens()):
            task = f"{head_of(signature)} is of texts" if head_of(signature) else "the data are texts"
            raise ModelError(f"{name} reads images, and {task}: choose a model named transformers/...")
    raise ModelError(f"{name} goes from images to classes, and the task from {signature}: choose another model or task")


def texts_to_anything(name: str, signature: Signature) -> dict[str, Any]:
    """Return `head`, and for classes `num_labels`.

    Raises:
        ModelError: the data are no texts, or there is no head for what is wanted.
    """
    if not isinstance(signature.input, Tokens):
        data = "images" if isinstance(signature.input, Image) else str(signature.input)
        raise ModelError(f"{name} reads texts, and the data are {data}: choose another model or task")
    head = head_of(signature)
    if head is None:
        raise ModelError(f"{name} has no head for {signature.output}: choose another model or task")
    labels = {"num_labels": signature.output.count} if isinstance(signature.output, Classes) else {}
    return {"head": head, **labels}


def head_of(signature: Signature) -> str | None:
    """Return the name of the head that `transformers` puts on an encoder for an output; None where it has none."""
    heads = {Vocabulary: "fill-mask", Classes: "text-classification", Spans: "question-answering"}
    return heads.get(type(signature.output))
