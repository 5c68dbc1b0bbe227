"""Things in a model that are no tensors changed in place: an update that is recorded once cannot follow them."""

from typing import Any

from torch import nn

_PLAIN = (bool, int, float, str, type(None))


def python_state(model: nn.Module) -> dict[str, Any]:
    """Return the plain attributes of all modules, and where their buffers are in memory, by dotted name."""
    state: dict[str, Any] = {}
    for path, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, _PLAIN):
                state[f"{path}.{key}".lstrip(".")] = value
    return state | {name: buffer.data_ptr() for name, buffer in model.named_buffers()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """Return the name of something that is otherwise in two states of a model, if there is anything."""
    return next((name for name in before.keys() | after.keys() if before.get(name) != after.get(name)), None)
