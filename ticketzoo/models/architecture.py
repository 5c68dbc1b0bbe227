"""The table of architectures: how each is built from checked arguments, and which tasks it fits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.signature import Accepts, images_to_classes
from ticketzoo.recipe import Config
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Architecture:
    """A row of `ARCHITECTURES`.

    Attributes:
        name: by which recipes and tickets ask for it.
        make: builds the network from its arguments.
        arguments: their type; bounded, since they also come from strangers' tickets.
        accepts: gives the arguments that size the network for a task's signature.
    """

    name: str
    make: Callable[[Any], nn.Module]
    arguments: type[Config]
    accepts: Accepts = images_to_classes


ARCHITECTURES: Registry[Architecture] = Registry("model", Architecture, error=ModelError)
