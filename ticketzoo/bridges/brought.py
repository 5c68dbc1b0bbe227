"""Masks and weights as another tool's file holds them, under the names that they have there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor


@dataclass(frozen=True)
class Source:
    """A file, or the files of a folder, that are open to be understood.

    Attributes:
        where: its name in messages.
        tensors: by the name that they have there.
        facts: what else is there: metadata of a safetensors file, numbers and texts beside tensors in a `.pth`.
        settings: content of config.json or adapter_config.json beside the tensors.
    """

    where: str
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """Statements of the user beside the file.

    Attributes:
        keep: the fraction of each layer that scores keep.
        task: the name of one of several masks in a file.
        base: tensors of the base model by name, of formats that state no shapes.
    """

    keep: float | None = None
    task: str | None = None
    base: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Patch:
    """New values of some weights of one parameter.

    Attributes:
        places: int64, 1-D: their flat indices in C order; or 2-D, (2, n): rows and columns.
        values: 1-D.
        added: whether the values are added to the base's, or take their place.
        shape: of the parameter, where all of it is here; None where the source does not say.
    """

    places: Tensor
    values: Tensor
    added: bool = False
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Brought:
    """The content of a source.

    Attributes:
        masks: bool, True = kept, by parameter name; empty where there are patches.
        weights: every parameter and buffer; None where the source has masks alone.
        patches: new values over a base, by parameter name.
        masked: what masks exclude: is 0.0, or stays as the base has it.
    """

    masks: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Mapping[str, Tensor] | None = None
    patches: Mapping[str, Patch] = field(default_factory=dict)
    masked: Literal["zero", "frozen"] = "zero"
