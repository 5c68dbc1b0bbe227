"""The tables of architectures: single ones, and libraries of them.

An architecture of your own is one decorator, from any module that is imported before its name is used:

    class PolicyArguments(Config):
        observation: int = 4
        actions: int = 2

    @ARCHITECTURES.add(
        "mylab/policy",
        arguments=PolicyArguments,
        accepts={(Observation, Actions): lambda seen, acts: {"observation": seen.shape[0], "actions": acts.count}},
    )
    class Policy(nn.Module):
        def __init__(self, arguments: PolicyArguments) -> None: ...

A ticket stores the name and the arguments, so both must go on building the same network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ticketzoo.errors import ModelError
from ticketzoo.models.arguments import Arguments, parse_arguments
from ticketzoo.models.initialisation import initialise
from ticketzoo.models.projection import add_projection
from ticketzoo.models.signature import Accepts, Classes, Features, Image, Projections
from ticketzoo.recipe import Config
from ticketzoo.util.registry import Registry

MAX_PARAMETERS = 200_000_000


@dataclass(frozen=True)
class Architecture:
    """A row of `ARCHITECTURES`.

    Attributes:
        name: by which recipes and tickets ask for it. A name `mylab/policy` is stored as library `mylab`, name
            `policy`; one without a slash as of library `ticketzoo`.
        make: builds the network from its checked arguments, with PyTorch's random state seeded.
        arguments: their types and defaults. All must be JSON-able and bounded: they also come from tickets that
            strangers published.
        accepts: the signatures it can be sized for.
        max_parameters: most that a network may have, counted before memory is allocated by making it on the meta
            device; None where its arguments bound it.
    """

    name: str
    make: Callable[[Any], nn.Module]
    arguments: type[Config]
    accepts: Accepts
    max_parameters: int | None = MAX_PARAMETERS

    def describe(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON-able arguments, every default written out. Raises ModelError where one does not fit."""
        return parse_arguments(self.name, self.arguments, dict(kwargs)).model_dump(mode="json")

    def create(self, kwargs: Mapping[str, Any], seed: int, *, at_most: int | None = None) -> nn.Module:
        """Build the network on the CPU, in training mode; the global random state is left as it was.

        Raises:
            ModelError: an argument does not fit, or there would be more than `max_parameters`, or than `at_most`.
        """
        arguments = parse_arguments(self.name, self.arguments, dict(kwargs))
        limits = [limit for limit in (self.max_parameters, at_most) if limit is not None]
        if limits:
            self._check_size(arguments, min(limits))
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(seed)
            model = self._made(arguments)
            if isinstance(arguments, Arguments):
                initialise(model, arguments.init)
        return model

    def outline(self, kwargs: Mapping[str, Any]) -> nn.Module:
        """Return the network on the meta device, without memory. Raises ModelError where an argument does not fit."""
        return self._outline(parse_arguments(self.name, self.arguments, dict(kwargs)))

    def _outline(self, arguments: Config) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            try:
                with torch.device("meta"):
                    return self._made(arguments)
            except NotImplementedError:  # torchvision's regnets compute their widths with tensors
                with _ParametersOnMeta():
                    return self._made(arguments)

    def _made(self, arguments: Config) -> nn.Module:
        model = self.make(arguments)
        if isinstance(arguments, Arguments) and arguments.projection is not None:
            add_projection(model, arguments.projection, self.name)
        return model

    def _check_size(self, arguments: Config, most: int) -> None:
        parameters = sum(parameter.numel() for parameter in self._outline(arguments).parameters())
        if parameters > most:
            given = ", ".join(f"{key}={value}" for key, value in arguments.model_dump(mode="json").items())
            allowed = f"at most {most:,} are allowed"
            raise ModelError(f"{self.name} has {parameters:,} parameters with {given[:200]}; {allowed}")


class _ParametersOnMeta(TorchFunctionMode):
    """Makes what layers fill on the meta device, and computes with other tensors as ever."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func in (torch.empty, torch.ones, torch.zeros) and given.get("device") is None:
            given["device"] = "meta"
        return func(*args, **given)


ARCHITECTURES: Registry[Architecture] = Registry("model", Architecture, error=ModelError)


@dataclass(frozen=True)
class Library:
    """A row of `LIBRARIES`: architectures that another package names, `<library>/<name>` in recipes.

    Attributes:
        name: of the library, as it is stored.
        make: `make(name, kwargs, seed, at_most)` builds a network, or raises ModelError where that would have more than
            `at_most` parameters (None: any number).
        describe: `describe(name, kwargs)` gives what is stored: a name and arguments, every default written out.
        accepts: the signatures that its architectures can be sized for.
        names: gives all names, if they can be listed; another one is then unknown.
    """

    name: str
    make: Callable[[str, dict[str, Any], int, int | None], nn.Module]
    describe: Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]]
    accepts: Accepts
    names: Callable[[], list[str]] | None = None


LIBRARIES: Registry[Library] = Registry("architecture library", Library, error=ModelError)


def _of_image(image: Image, outputs: int) -> dict[str, Any]:
    return {"in_shape": [image.channels, image.height, image.width], "num_classes": outputs}


SCORES_IMAGES: Accepts = {
    (Image, Classes): lambda image, classes: _of_image(image, classes.count),
    (Image, Features): lambda image, features: _of_image(image, features.size),
    (Image, Projections): lambda image, ends: _of_image(image, ends.size) | {"projection": ends.hidden},
}
"""Of networks with the arguments `in_shape` and `num_classes`; for projections with `projection`, too."""
