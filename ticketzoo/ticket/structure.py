"""Filters: what masks that remove whole filters keep, and the masks that follow from it."""

from collections.abc import Mapping

import torch

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket.fields import FilterLayer

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
    for name in layers:
        rows, indices = len(_rows(masks, name)), kept.get(name)
        if indices is None or indices != sorted(set(indices)) or not all(0 <= index < rows for index in indices):
            raise TicketError(f"structure: the kept filters of '{name}' must be rising numbers from 0 to {rows - 1}")
    for name, mask in implied_masks(masks, kept, layers).items():
        if not torch.equal(mask, masks[name]):
            raise TicketError(f"structure: the mask of '{name}' is not what its filters and its inputs' leave")


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
        raise TicketError(f"structure: '{name}' has no mask with rows and columns")
    return masks[name].flatten(1)
