"""Networks that a user's own code builds: known by their parameters' names and shapes."""

import secrets
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ticketzoo.distributed import processes
from ticketzoo.errors import ModelError
from ticketzoo.models.state import model_state
from ticketzoo.util.digest import digest_of, network_digest
from ticketzoo.util.random_state import seeded


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
        with seeded(0), torch.device("cpu"):
            model = factory()
            if not isinstance(model, nn.Module):
                raise ModelError(f"model: must make a torch.nn.Module when called, not {type(model).__name__}")
            name = name or type(model).__name__
            shapes, code = _shapes(model), _code_of(model, factory)
            first = weakref.ref(model)
            del model  # before there is another: networks may be large
            if first() is factory():
                raise ModelError("model: must make a new network at each call; write `lambda: MyNetwork()`")
        super().__init__(library="custom", name=name, kwargs={}, parameters=shapes, code=code)

    def build(self, seed: int) -> nn.Module:
        """Return a new network on the CPU in training mode, its weights drawn from `seed`.

        Raises:
            ModelError: it is not the one that was described.
        """
        with seeded(seed), torch.device("cpu"):
            model = self.factory()
        if _shapes(model) != self["parameters"]:
            raise ModelError(f"model: makes networks of different parameters: {self['name']} changed between two calls")
        return model.train()

    def __reduce__(self) -> tuple[Any, ...]:
        return _described, (self.factory, dict(self))


def _described(factory: Callable[[], nn.Module], description: dict[str, Any]) -> OwnArchitecture:
    """Return an architecture as another process described it; nothing is built."""
    architecture = OwnArchitecture.__new__(OwnArchitecture)
    architecture.factory = factory
    architecture.update(description)
    return architecture


def _shapes(model: nn.Module) -> list[dict[str, Any]]:
    return [{"name": key, "shape": list(tensor.shape)} for key, tensor in model_state(model).items()]


def _code_of(model: nn.Module, factory: Callable[[], nn.Module]) -> str:
    """Return a digest of all that decides the network's function but its weights, so that a change trains anew.

    Where that cannot be told, it is a random one: nothing is reused.
    """
    network, made_by = network_digest(model), digest_of(factory)
    if network is None or made_by is None:
        return f"unknown {processes.from_each(secrets.token_hex(16))[0]}"
    return f"{network} {made_by}"
