"""Filters: what masks that remove whole filters keep, and the masks that follow from it."""

from collections.abc import Collection, Mapping
from typing import NoReturn

import torch

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket.fields import FilterLayer, Filters, Pruning, Replicate
from ticketzoo.util.text import for_terminal

Kept = Mapping[str, list[int]]
"""Indices of the filters that each layer keeps."""


def filters_of(masks: Masks, layers: Mapping[str, FilterLayer]) -> dict[str, list[int]]:
    """Return the indices of the filters that each layer keeps: of the rows of its weight that keep anything.

    Raises:
        TicketError: a layer or consumer has no mask, or the masks are not those that follow from these filters.
    """
    kept = {name: _rows(masks, name).any(1).nonzero().flatten().tolist() for name in layers}
    check_filters(masks, kept, layers)
    return kept


def check_filters(masks: Masks, kept: Kept, layers: Mapping[str, FilterLayer]) -> None:
    """Raise TicketError unless the masks of layers and their consumers are those that follow from `kept` filters."""
    check_kept(kept, layers, {name: tuple(mask.shape) for name, mask in masks.items()})
    for name, mask in implied_masks(masks, kept, layers).items():
        if not torch.equal(mask, masks[name]):
            raise TicketError(f"structure: the mask of '{name}' is not what its filters and its inputs' leave")


def check_kept(kept: Kept, layers: Mapping[str, FilterLayer], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise TicketError unless `kept` has rising indices of the filters of every layer, and of nothing else."""
    if kept.keys() != layers.keys():
        other = for_terminal(min(kept.keys() ^ layers.keys()))
        said = "is no layer that loses filters" if other in kept else "has no kept filters"
        raise TicketError(f"structure: '{other}' {said}")
    for name, indices in kept.items():
        rows = shapes[name][0] if len(shapes.get(name, ())) > 1 else _no_rows(name)
        if indices != sorted(set(indices)) or not all(0 <= index < rows for index in indices):
            raise TicketError(f"structure: the kept filters of '{name}' must be rising numbers from 0 to {rows - 1}")


def check_stated(
    replicate: Replicate, pruning: Pruning, levels: Collection[int], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise ValueError unless a replicate states its filters at exactly these levels, where masks are of filters."""
    structure, where = pruning.structure, f"replicates: seed {replicate.seed}"
    if (replicate.filters is None) == isinstance(structure, Filters):
        raise ValueError(f"{where} must have filters if pruning.structure is of filters, and only then")
    if replicate.filters is None or not isinstance(structure, Filters):
        return
    if replicate.filters.keys() != {str(level) for level in levels}:
        raise ValueError(f"{where} must have filters of the packaged levels {sorted(levels)}, and of no others")
    for level, kept in replicate.filters.items():
        try:
            check_kept(kept, structure.layers, shapes)
        except TicketError as error:
            raise ValueError(f"{where}: filters: level {level}: {error}") from None


def implied_masks(like: Masks, kept: Kept, layers: Mapping[str, FilterLayer]) -> Masks:
    """Return the masks of layers and their consumers that keep these filters, with the shapes of `like`.

    Of a layer the rows of other filters go. Of a consumer the inputs go that came from them: along its second
    dimension, `area` for each filter.

    Raises:
        TicketError: a consumer has no mask, or not as many inputs.
    """
    names = {*layers, *(one for layer in layers.values() for one in layer.consumers)}
    masks = {name: torch.ones_like(_rows(like, name)).view(like[name].shape) for name in names}
    for name, layer in layers.items():
        gone = torch.ones(len(like[name]), dtype=torch.bool, device="cpu")
        gone[kept[name]] = False
        masks[name][gone] = False
        for consumer in layer.consumers:
            inputs = like[consumer].shape[1]
            if inputs != len(gone) * layer.area:
                needed = f"{len(gone)} filters of area {layer.area}"
                raise TicketError(f"structure: '{consumer}' has {inputs} inputs, but '{name}' gives {needed}")
            masks[consumer][:, gone.repeat_interleave(layer.area)] = False
    return masks


def _rows(masks: Masks, name: str) -> torch.Tensor:
    if name not in masks or masks[name].dim() < 2:
        _no_rows(name)
    return masks[name].flatten(1)


def _no_rows(name: str) -> NoReturn:
    raise TicketError(f"structure: '{name}' has no mask with rows and columns")
