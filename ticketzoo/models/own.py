"""Networks that a user's own code builds: known by their parameters' names and shapes."""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.state import model_state


class OwnArchitecture(dict[str, Any]):
    """An architecture, as `ticketzoo.models.architecture_of` gives it, that its user's `factory` builds.

    It is JSON like any other; to build a network needs the factory, which is not written down.
    """

    def __init__(self, factory: Callable[[], nn.Module], name: str | None = None) -> None:
        """Describe the network that `factory` makes.

        Args:
            factory: makes the network with fresh weights, at each call a new one; called with a fixed random state.
            name: of the network, for tickets; by default that of its class.

        Raises:
            ModelError: it does not make networks, or one object again and again.
        """
        if isinstance(factory, nn.Module):
            raise ModelError("model: give a function that makes the network, not the network: `lambda: MyNetwork()`")
        self.factory = factory
        model, again = factory(), factory()
        if not isinstance(model, nn.Module):
            raise ModelError(f"model: must make a torch.nn.Module when called, not {type(model).__name__}")
        if model is again:
            raise ModelError("model: must make a new network at each call; write `lambda: MyNetwork()`")
        name = name or type(model).__name__
        shapes = [{"name": key, "shape": list(tensor.shape)} for key, tensor in model_state(model).items()]
        super().__init__(library="custom", name=name, kwargs={}, parameters=shapes, code=_code_of(type(model)))

    def build(self, seed: int) -> nn.Module:
        """Return a new network on the CPU in training mode, its weights drawn from `seed`.

        Raises:
            ModelError: it is not the one that was described.
        """
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(seed)
            model = self.factory()
        found = [{"name": key, "shape": list(tensor.shape)} for key, tensor in model_state(model).items()]
        if found != self["parameters"]:
            raise ModelError(f"model: makes networks of different parameters: {self['name']} changed between two calls")
        return model.train()

    def __reduce__(self) -> tuple[Any, ...]:
        return OwnArchitecture, (self.factory, self["name"])


def _code_of(kind: type[nn.Module]) -> str | None:
    """Return a digest of the source of a class, so that trainings are done again after it is changed."""
    try:
        return hashlib.sha256(inspect.getsource(kind).encode()).hexdigest()
    except (OSError, TypeError):  # made in a session that keeps no source
        return None
