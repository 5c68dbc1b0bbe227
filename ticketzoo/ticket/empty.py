"""Layers of which a ticket's masks keep nothing, or next to nothing, under a model that uses them."""

import math
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.models.body import unused_by_head
from ticketzoo.models.layers import is_bias
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.levels import PackedLevels
from ticketzoo.ticket.stored import Stored
from ticketzoo.util.text import show_sparsity

NEARLY_EMPTY = 0.001
"""Density of a parameter below which cards and commands name it."""


def empty_layers(stored: Stored, config: TicketConfig) -> list[str]:
    """Return a line for each parameter of which a replicate keeps next to nothing at some packaged level.

    Such as "pooler.dense.weight keeps 20 of 147,456 weights at level 5 and nothing from level 6 (sparsity 0.600) on",
    with the seed where there are several replicates.

    Raises:
        TicketError: a damaged file of masks.
    """
    seeds = [replicate.seed for replicate in config.replicates]
    return [line for seed in seeds for line in empty_layers_of(stored.replicates[seed].levels, config, seed)]


def heading(line: str) -> str:
    """Return what goes before a line of `empty_layers`: "empty layer", or "nearly empty layer" where weights stay."""
    return "empty layer" if " nothing " in line else "nearly empty layer"


def empty_layers_of(levels: PackedLevels, config: TicketConfig, seed: int | None = None) -> list[str]:
    """Return the lines of `empty_layers` of one replicate. `seed`: its own, which they name where there are several."""
    lines = _empty_in(levels, {entry.level: entry.sparsity for entry in config.levels})
    return [f"{line} (seed {seed})" for line in lines] if seed is not None and len(config.replicates) > 1 else lines


def _empty_in(levels: PackedLevels, sparsities: Mapping[int, float]) -> list[str]:
    """Return a line for each parameter of which next to nothing is left, less than a weight in a thousand.

    Args:
        levels: the packed masks.
        sparsities: of the levels.
    """
    lines = []
    kept = {level: levels.kept(level) for level in levels}
    for name, shape in levels.shapes.items():
        size = math.prod(shape)
        few = [level for level in levels if 0 < kept[level][name] < NEARLY_EMPTY * size]
        none = [level for level in levels if kept[level][name] == 0]
        said = [f"{kept[level][name]:,} of {size:,} weights at level {level}" for level in few[:1]]
        if none:
            where = f"level {none[0]} (sparsity {show_sparsity(sparsities[none[0]])})"
            to_the_end = len(none) == sum(level >= none[0] for level in levels)
            said.append(f"nothing from {where} on" if to_the_end else f"nothing at {where}")
        if said:
            lines.append(f"{name} keeps {' and '.join(said)}")
    return lines


def refuse_empty(masks: Mapping[str, Tensor], model: nn.Module, where: str, remedy: str) -> None:
    """Raise TicketError, naming them, if masks of parameters that `model` uses keep nothing.

    The output of such a layer is constant: nothing before it would learn. All layers count as used but those that the
    head of a `transformers` model does without, and biases.
    """
    empty = [name for name, mask in masks.items() if mask.numel() and not mask.any() and not is_bias(name)]
    if used := _used(empty, lambda: model):
        raise TicketError(
            f"{where}: no weight is kept of {', '.join(used)}, so nothing before it would learn; {remedy}"
        )


def nearly_empty(masks: Mapping[str, Tensor], model: Callable[[], nn.Module]) -> list[str]:
    """Return a line such as "fc2.weight keeps 3 of 30,000 weights" for each layer in use that keeps next to nothing.

    Args:
        masks: by the names of parameters in the model.
        model: gives it; called only if there is such a layer.
    """
    kept = {name: int(mask.count_nonzero()) for name, mask in masks.items()}
    few = [name for name, count in kept.items() if not is_bias(name) and 0 < count < NEARLY_EMPTY * masks[name].numel()]
    return [f"{name} keeps {kept[name]:,} of {masks[name].numel():,} weights" for name in _used(few, model)]


def _used(names: list[str], model: Callable[[], nn.Module]) -> list[str]:
    unused = unused_by_head(model()) if names else set()
    return [name for name in names if name not in unused]
