"""Weights that read an input which never changes, such as a pixel at the border that is black in every image."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.images.batches import in_turn
from ticketzoo.data.images.splits import load_images
from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks.image_classification import ImageClassificationConfig
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.text import for_terminal

Unread: TypeAlias = dict[str, Tensor]
"""Bool tensors by the name of a masked parameter, of the shape of one row of it: True where the input never changes."""

BATCH = 1000


def read_unread(path: str | Path, shapes: Mapping[str, tuple[int, ...]]) -> Unread:
    """Return what a safetensors file says: by parameter a tensor of zeros and ones of the shape of one row.

    Raises:
        TicketError: it cannot be read, or does not fit the parameters of these `shapes`.
    """
    try:
        tensors = load_file(Path(path).expanduser())
    except (OSError, SafetensorError) as error:
        raise TicketError(f"{path}: cannot be read as safetensors: {for_terminal(error)[:200]}") from None
    for name, tensor in tensors.items():
        expected = shapes[name][1:] if name in shapes else None
        if expected is None or tuple(tensor.shape) != expected:
            there = f"one row of it has {list(expected)}" if expected is not None else "no mask has that name"
            raise TicketError(f"{path}: '{for_terminal(name)}' of shape {list(tensor.shape)}: {there}")
        if not ((tensor == 0) | (tensor == 1)).all():
            remedy = "give 1 for an input that never changes, else 0"
            raise TicketError(f"{path}: '{for_terminal(name)}' has values beside 0 and 1: {remedy}")
    return {name: tensor.bool() for name, tensor in tensors.items()}


def unread_in_data(ticket: Ticket, folder: str | Path | None = None) -> Unread:
    """Return the inputs of a ticket's first layers that have one value in all images it was found on.

    Args:
        ticket: with its recipe, which says which images these are.
        folder: a copy of the data set; by default it is loaded as the recipe says.

    Raises:
        TicketError: the recipe does not say, the images are changed at random in training, or no masked layer reads
            them.
        DataError: they cannot be loaded.
    """
    varies = varying_pixels(_dataset(ticket, folder))
    found = _of_first_layers(ticket, varies)
    if not found:
        raise TicketError(f"'{for_terminal(ticket.name)}': no masked layer reads the images themselves")
    return found


def varying_pixels(config: ImageClassificationConfig) -> Tensor:
    """Return bool [C, H, W]: True where training images differ. Raises DataError where they cannot be loaded."""
    train = load_images(config.dataset).train
    varies, first = torch.zeros(train.in_shape, dtype=torch.bool), None
    for images, _ in in_turn(train, batch_size=BATCH, device=torch.device("cpu")):
        first = images[0] if first is None else first
        varies |= (images != first).any(dim=0)
    return varies


def _dataset(ticket: Ticket, folder: str | Path | None) -> ImageClassificationConfig:
    name, recipe = for_terminal(ticket.name), ticket._stored.recipe
    task: Any = recipe.get("task")
    if not isinstance(task, dict) or task.get("type") != "image-classification":
        raise TicketError(f"'{name}': its recipe names no images: give the inputs that never change in a file")
    dataset = task.get("dataset")
    if folder is not None and isinstance(dataset, dict):
        task = {**task, "dataset": {**dataset, "mirror": str(folder)}}
    config = parse_recipe(task, ImageClassificationConfig, f"'{name}'")
    if config.augment.build() is not None:
        raise TicketError(f"'{name}': its images are changed at random in training: no pixel is the same in all")
    return config


def _of_first_layers(ticket: Ticket, varies: Tensor) -> Unread:
    """Return by parameter the inputs that never change, of layers that read the images themselves."""
    network = ticket.build(allow_empty=True).eval()
    images = torch.zeros(1, *varies.shape)
    found: Unread = {}

    def look(name: str, layer: nn.Module, given: tuple[Any, ...]) -> None:
        if not isinstance(given[0], Tensor) or given[0].untyped_storage().data_ptr() != images.data_ptr():
            return
        if isinstance(layer, nn.Linear) and layer.in_features == varies.numel():
            found[name] = ~varies.flatten()
        elif isinstance(layer, nn.Conv2d) and layer.groups == 1 and isinstance(layer.padding, tuple):
            found[name] = ~_seen_by(layer, varies)

    masked = ticket.config.shapes
    hooks = [
        module.register_forward_pre_hook(lambda layer, given, name=f"{path}.weight": look(name, layer, given))
        for path, module in network.named_modules()
        if f"{path}.weight" in masked
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


def _seen_by(layer: nn.Conv2d, varies: Tensor) -> Tensor:
    """Return bool [C, kernel height, kernel width]: whether any pixel that this place of the kernel meets varies."""
    assert isinstance(layer.padding, tuple)
    patches = F.unfold(varies[None].float(), layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    return patches[0].bool().any(dim=1).view(layer.in_channels, *layer.kernel_size)


def either(first: Unread | None, second: Unread | None) -> Unread | None:
    """Return the inputs that never change for one of two tickets; None where that is not known of both."""
    if first is None or second is None:
        return None
    return {
        name: first[name] | second[name] if name in first and name in second else {**first, **second}[name]
        for name in {**first, **second}
    }


def columns(unread: Unread | None, masks: Masks) -> dict[str, Tensor]:
    """Return for each mask bool [inputs]: True where the input never changes, kernel places counted as inputs."""
    known = unread or {}
    return {
        name: known[name].flatten() if name in known else torch.zeros(math.prod(mask.shape[1:]), dtype=torch.bool)
        for name, mask in masks.items()
    }
