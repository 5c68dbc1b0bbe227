"""Signatures: input and output of a model, by which tasks and architectures meet.

A task states its signature. An architecture states which ones it accepts, and how each becomes its arguments. Another
kind of input or output is one frozen dataclass more, with `words` for messages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias


class End(Protocol):
    """Input or output of a model: a frozen dataclass of the sizes that its layers depend on."""

    words: ClassVar[str]
    """The plural noun for messages, such as `images`."""


@dataclass(frozen=True)
class Image:
    """Images: float32 [b, channels, height, width]."""

    words: ClassVar[str] = "images"

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Tokens:
    """Texts: int64 tokens [b, t], below `vocabulary`; None where the model decides how many there are."""

    words: ClassVar[str] = "texts"

    vocabulary: int | None = None


@dataclass(frozen=True)
class Observation:
    """Tensors: float32 [b, *shape], such as rows of a table or the observations of an agent."""

    words: ClassVar[str] = "observations"

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Named:
    """Several tensors by the names of arguments of `forward`: float32 [b, *shape] each."""

    words: ClassVar[str] = "several inputs"

    shapes: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Integers:
    """Tensors that are, or have among them, integers [b, ...], such as tokens of a user's own."""

    words: ClassVar[str] = "integers"


@dataclass(frozen=True)
class Symbols:
    """Rows of `places` symbols: int64 [b, places], below `kinds`."""

    words: ClassVar[str] = "symbols"

    kinds: int
    places: int


@dataclass(frozen=True)
class Classes:
    """Scores of `count` classes: float [b, count]."""

    words: ClassVar[str] = "classes"

    count: int


@dataclass(frozen=True)
class Vocabulary:
    """Scores of `count` tokens at each place: float [b, t, count]; None where the model decides how many."""

    words: ClassVar[str] = "tokens"

    count: int | None = None


@dataclass(frozen=True)
class NextTokens:
    """Scores of `count` tokens as the next one after each place: float [b, t, count]; None where the model decides."""

    words: ClassVar[str] = "next tokens"

    count: int | None = None


@dataclass(frozen=True)
class CarriedTokens(NextTokens):
    """The same, of a model that takes and gives a `state`: tensors [layers, b, ...], from batch to batch."""

    words: ClassVar[str] = "next tokens with a state carried on"


@dataclass(frozen=True)
class Spans:
    """Scores of each place as the first and as the last token of an answer: two of float [b, t]."""

    words: ClassVar[str] = "spans of text"


@dataclass(frozen=True)
class Actions:
    """Scores of `count` actions: float [b, count]."""

    words: ClassVar[str] = "actions"

    count: int


@dataclass(frozen=True)
class ValuedActions(Actions):
    """The same beside the return that is expected: a pair of float [b, count] and [b]."""

    words: ClassVar[str] = "actions with an expected return"


@dataclass(frozen=True)
class Features:
    """Vectors of `size` numbers: float [b, size]; embeddings, or values to predict."""

    words: ClassVar[str] = "vectors"

    size: int


@dataclass(frozen=True)
class Projections(Features):
    """The same, of a projection head: layers of `hidden` and of `size` units in the place of the last layer."""

    words: ClassVar[str] = "projections"

    hidden: int


@dataclass(frozen=True)
class Signature:
    """Input and output of a model, or of the model that a task needs."""

    input: End
    output: End


Accepts: TypeAlias = Mapping[tuple[type[Any], type[Any]], Callable[[Any, Any], dict[str, Any]]]
"""The signatures that an architecture accepts: by types of input and output, a function of the two that gives the
arguments by which the network is sized."""
