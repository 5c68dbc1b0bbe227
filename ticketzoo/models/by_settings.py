"""Networks of `transformers` by their config.json and the name of their class, of any model type.

Settings come from strangers: nothing of theirs is run, and no memory is taken before all shapes are those expected.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks

from ticketzoo.errors import ModelError
from ticketzoo.models.arguments import shorten
from ticketzoo.models.state import model_state
from ticketzoo.util.random_state import seeded
from ticketzoo.util.text import one_line

LARGEST = 2**24
"""Most that a whole number in settings may be."""
_LEFT = ("auto_map", "architectures", "transformers_version", "torch_dtype", "dtype", "_name_or_path", "model_type")


def build_by_settings(
    settings: Mapping[str, Any], kind: str, shapes: Mapping[str, Sequence[int]], seed: int
) -> nn.Module:
    """Build a network on the CPU, in training mode, in float32, with weights drawn from `seed`.

    Args:
        settings: content of its config.json.
        kind: name of its class in `transformers`, such as `T5ForConditionalGeneration`.
        shapes: of the parameters and buffers that it has, as a ticket names them.
        seed: of fresh weights.

    Raises:
        ModelError: an unknown class or model type, a quantised network, or one of other parameters.
    """
    make = _maker(settings, kind)
    whole = _outlined(make, kind, len(shapes))
    there = whole if whole.keys() <= shapes.keys() else _bare(whole, class_of(kind).base_model_prefix)
    if wrong := [name for name, shape in there.items() if tuple(shapes.get(name, ())) != shape or name not in shapes]:
        stated = tuple(shapes[wrong[0]]) if wrong[0] in shapes else "not there"
        what = f"config.json makes a {kind} whose '{wrong[0]}' is {there[wrong[0]]}"
        raise ModelError(f"{what}, and in the ticket it is {stated}")
    with seeded(seed), torch.device("cpu"):
        return _made(make, kind).train()


def shapes_by_settings(settings: Mapping[str, Any], kind: str, tensors: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes, by the names in a ticket, of a network of about as many `tensors`; see `build_by_settings`."""
    return _bare(_outlined(_maker(settings, kind), kind, tensors), class_of(kind).base_model_prefix)


def _bare(shapes: dict[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[int, ...]]:
    return {name.removeprefix(f"{prefix}."): shape for name, shape in shapes.items()}


def _outlined(make: Callable[[], nn.Module], kind: str, tensors: int) -> dict[str, tuple[int, ...]]:
    with _at_most(tensors), torch.random.fork_rng(devices=[]), torch.device("meta"):
        outline = _made(make, kind)
    return {name: tuple(one.shape) for name, one in model_state(outline).items()}


def class_of(kind: object) -> Any:
    """Return the class of models of `transformers` that is called `kind`; None if there is none."""
    import transformers

    made = getattr(transformers, kind, None) if isinstance(kind, str) and kind.isidentifier() else None
    return made if isinstance(made, type) and issubclass(made, transformers.PreTrainedModel) else None


def _maker(settings: Mapping[str, Any], kind: str) -> Callable[[], nn.Module]:
    import transformers

    if (made := class_of(kind)) is None:
        raise ModelError(f"transformers {transformers.__version__} has no model {shorten(kind)}: build it yourself")
    if settings.get("quantization_config"):
        raise ModelError(f"config.json is of a quantised {kind}: masks are of floats; take the unquantised model")
    if (large := _largest(settings)) > LARGEST:
        raise ModelError(f"config.json has the number {large}; at most {LARGEST} is built from")
    model_type = str(settings.get("model_type"))
    keys = {key: value for key, value in settings.items() if key not in _LEFT}

    def make() -> nn.Module:
        return made(transformers.AutoConfig.for_model(model_type, **keys))

    return make


def _made(make: Callable[[], nn.Module], kind: str) -> nn.Module:
    try:
        return make()
    except ModelError:
        raise
    except Exception as error:  # transformers raises dozens of unrelated types for settings that do not fit
        raise ModelError(f"config.json makes no {kind}: {one_line(error)[:200]}") from error


def _largest(value: object) -> int:
    if isinstance(value, Mapping):
        return max(map(_largest, value.values()), default=0)
    if isinstance(value, list):
        return max(map(_largest, value), default=0)
    return abs(value) if isinstance(value, int) and not isinstance(value, bool) else 0


@contextmanager
def _at_most(tensors: int) -> Iterator[None]:
    """Stop the building of a network with far more parameters than there are `tensors`, in this thread."""
    most, here, seen = 8 * tensors + 1000, threading.get_ident(), 0

    def count(module: nn.Module, name: str, parameter: object) -> None:
        nonlocal seen
        seen += threading.get_ident() == here
        if seen > most:
            raise ModelError(f"config.json makes a network of more than {most} tensors; there are {tensors}")

    added = [
        hooks.register_module_parameter_registration_hook(count),
        hooks.register_module_buffer_registration_hook(count),
        hooks.register_module_module_registration_hook(lambda *given: count(*given)),
    ]
    try:
        yield
    finally:
        for one in added:
            one.remove()
