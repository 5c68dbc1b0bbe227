"""The picture of a ticket's masks: how dense each layer is, and what the first one reads of an image."""

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ticketzoo.evaluation.drawing import COLOURS, MARKERS, figure_of, short_label
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket.card_metadata import headline_level
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.util.text import counted, show_sparsity

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot

NAME = "masks.png"
MOST_BARS = 24
"""More layers than this are curves over depth, one for each kind of layer."""
MOST_KINDS = 16
"""So many kinds are named."""
MOST_WEIGHTS = 20_000_000
"""Masks of more weights than this, over replicates, are those of the first replicate alone."""

MasksOf = Callable[[int, int], Masks]
"""Gives the masks of a level and a seed."""


def mask_plots(config: TicketConfig, masks_of: MasksOf) -> "Mapping[str, Callable[[], Plot]]":
    """Return by file name what draws the masks of the level that a ticket's card is headed by; none without levels."""
    level = headline_level(config)
    return {} if level is None else {NAME: partial(plot_masks, config, level.level, masks_of)}


def plot_masks(config: TicketConfig, level: int, masks_of: MasksOf) -> "Plot":
    """Draw the fraction of weights that each layer keeps, and beside it the first layer, where it reads an image.

    Means over replicates. Of a linear layer that reads pixels the picture is of the weights kept for each pixel, over
    channels; of a convolution, of each place of each of its kernels.

    Args:
        config: of ticket.json.
        level: of the masks.
        masks_of: gives them.
    """
    seeds = [replicate.seed for replicate in config.replicates]
    seeds = seeds if config.prunable_weights * len(seeds) <= MOST_WEIGHTS else seeds[:1]
    densities: dict[str, float] = {}
    read: dict[str, Tensor] = {}  # of the layer that reads the image alone: all of a large network would be copied
    for seed in seeds:
        for name, mask in masks_of(level, seed).items():
            densities[name] = densities.get(name, 0.0) + float(mask.sum()) / mask.numel() / len(seeds)
            if _reads_image(config, mask) and (name in read or not read):
                read[name] = read.get(name, torch.zeros(mask.shape, dtype=torch.int32)) + mask
    picture = _picture(config, read, len(seeds))
    deep = len(densities) > MOST_BARS
    height = 4.4 if deep else max(1.6 + 0.26 * len(densities), 3.2)
    with figure_of(7.2, height, 1 if picture is None else 2, sharey=False) as (figure, panels):
        axes = panels if picture is None else panels[0]
        sparsity = show_sparsity(next(one.sparsity for one in config.levels if one.level == level))
        title = f"level {level}, sparsity {sparsity}, mean of {counted(len(seeds), 'seed')}"
        axes.set_title(title, loc="left", fontsize=11)
        (_draw_curves if deep else _draw_bars)(axes, densities)
        if picture is not None:
            _draw_picture(figure, panels[1], *picture)
        figure.rows_sha256, figure.drawn_of = config.mask_sha256, "masks"
        return figure


def _draw_bars(axes: Any, densities: Mapping[str, float]) -> None:
    axes.set_xlim(0, 1)
    axes.set_xlabel("fraction of weights kept")
    axes.barh(range(len(densities)), list(densities.values()), color="#0072B2", height=0.7)
    axes.set_yticks(range(len(densities)), [short_label(name.removesuffix(".weight")) for name in densities])
    for place, density in enumerate(densities.values()):
        at = (min(density, 0.86), place)
        axes.annotate(f"{density:.3f}", at, (3, 0), textcoords="offset points", va="center", fontsize=9)
    axes.invert_yaxis()


def _draw_curves(axes: Any, densities: Mapping[str, float]) -> None:
    """Draw a curve for each kind of layer, whose names differ in numbers alone, from the first to the last of them."""
    kinds: dict[str, list[float]] = {}
    for name, density in densities.items():
        kinds.setdefault(re.sub(r"\d+", "*", name.removesuffix(".weight")), []).append(density)
    for place, (kind, found) in enumerate(kinds.items()):
        style = {"marker": MARKERS[place % len(MARKERS)], "color": COLOURS[place % len(COLOURS)], "ms": 5}
        axes.plot(range(1, len(found) + 1), found, label=short_label(kind) if place < MOST_KINDS else None, **style)
    axes.set_ylim(0, 1)
    axes.set_ylabel("fraction of weights kept")
    axes.set_xlabel("layers of a kind, from the first on")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _draw_picture(figure: "Plot", axes: Any, picture: Tensor, title: str, scale: str) -> None:
    image = axes.imshow(picture.numpy(), cmap="Blues", vmin=0, interpolation="nearest")
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.8, label=scale)


def _in_shape(config: TicketConfig) -> tuple[int, ...]:
    """Return the channels, height and width of the images that the network takes; empty where it takes none."""
    stated = config.architecture.kwargs.get("in_shape")
    shape = tuple(size for size in stated if isinstance(size, int)) if isinstance(stated, list) else ()
    return shape if len(shape) == 3 else ()


def _reads_image(config: TicketConfig, mask: Tensor) -> bool:
    """Tell whether a layer is as wide as the images: linear over their values, or a convolution of their channels."""
    shape = _in_shape(config)
    linear = mask.ndim == 2 and mask.shape[1] == math.prod(shape)
    return bool(shape) and (linear or (mask.ndim == 4 and mask.shape[1] == shape[0]))


def _picture(config: TicketConfig, read: Mapping[str, Tensor], seeds: int) -> tuple[Tensor, str, str] | None:
    """Return the layer in `read` as an image [height, width], its title and the words of its scale, if it is there."""
    for name, total in read.items():
        label, shape = short_label(name.removesuffix(".weight")), _in_shape(config)
        if total.ndim == 2:
            pixels = total.sum(0, dtype=torch.float32).reshape(shape).sum(0) / seeds
            return pixels, f"{label}, by pixel", f"weights kept, of {total.shape[0] * shape[0]}"
        return _tiled(total.float().mean(1) / seeds), f"{label}, its {len(total)} kernels", "fraction kept"
    return None


def _tiled(kernels: Tensor) -> Tensor:
    """Return kernels [n, height, width] beside each other as one picture, with a gap between them."""
    columns = math.ceil(math.sqrt(len(kernels)))
    rows = math.ceil(len(kernels) / columns)
    height, width = kernels.shape[1] + 1, kernels.shape[2] + 1
    picture = torch.full((rows * height - 1, columns * width - 1), float("nan"))
    for place, kernel in enumerate(kernels):
        top, left = place // columns * height, place % columns * width
        picture[top : top + height - 1, left : left + width - 1] = kernel
    return picture
