"""The plot of the distances between masks that were drawn while a network trained."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load

from ticketzoo.evaluation.drawing import figure_of

if TYPE_CHECKING:
    from torch import Tensor

    from ticketzoo.evaluation.figure import Plot

NAME = "mask-distances.png"
DISTANCES = "extra/mask-distances-"
"""Begins the paths of the files that hold them."""

_FILE = re.compile(re.escape(DISTANCES) + r"seed-(\d+)-level-\d+\.safetensors")
MOST_DRAWS, MOST_PANELS = 2000, 8

Read = Callable[[str], bytes | None]
"""Gives the content of a further file of a ticket, by its path."""


def distance_plots(files: Iterable[str], read: Read) -> "Mapping[str, Callable[[], Plot]]":
    """Return by file name what draws the distances that a ticket holds; nothing for tickets without such.

    Args:
        files: paths of a ticket's files.
        read: gives their content.
    """
    found = sorted((int(match[1]), path) for path in files if (match := _FILE.fullmatch(path)))
    contents = {seed: read(path) for seed, path in found[:MOST_PANELS]}
    seeds = {seed: content for seed, content in contents.items() if content is not None and _is_whole(content)}
    return {NAME: partial(plot_distances, seeds, len(found))} if seeds else {}


def plot_distances(seeds: Mapping[int, bytes], of: int) -> "Plot":
    """Draw the distances of all draws to each other, a panel for each seed, as parts of that of random masks.

    A cross marks the draw that had settled. At most eight seeds have a panel; the label of the scale says how many of
    how many.
    """
    import numpy as np

    with figure_of(max(4.8, 0.8 + 3.4 * len(seeds)), 4.0, len(seeds)) as (figure, panels):
        image: Any = None
        for axes, (seed, content) in zip(np.atleast_1d(panels), seeds.items(), strict=True):
            held = load(content)
            part = held["distances"].div(held["chance"]).nan_to_num(0.0).clamp(0, 1).numpy()
            steps, settled = held["steps"].tolist(), int(held["settled"])
            image = axes.imshow(part, cmap="inferno_r", vmin=0, vmax=1, origin="lower")
            axes.plot(settled, settled, "x", color="#0072B2", markersize=9, markeredgewidth=2)
            ticks = sorted({0, settled, len(steps) - 1})
            axes.set_xticks(ticks, [f"{steps[tick]:,}" for tick in ticks])
            axes.set_yticks(ticks, [f"{steps[tick]:,}" for tick in ticks])
            axes.set_title(f"seed {seed}: settled at {steps[settled]:,}", loc="left", fontsize=11)
            axes.set_xlabel("drawn after iteration")
            axes.spines[:].set_visible(False)
        cut = f" ({len(seeds)} of {of} seeds)" if len(seeds) < of else ""
        figure.colorbar(image, ax=panels, shrink=0.85, label=f"distance / that of random masks{cut}")
        figure.rows_sha256 = hashlib.sha256(b"".join(seeds.values())).hexdigest()
        return figure


def _is_whole(content: bytes) -> bool:
    """Tell whether a file from outside holds what a plot is drawn of: fractions in float64, numbers in int64."""
    import torch

    try:
        held: dict[str, Tensor] = load(content)
        fractions, numbers = (
            [held[name] for name in names] for names in (("distances", "chance"), ("steps", "settled"))
        )
    except (SafetensorError, KeyError, ValueError, TypeError):
        return False
    draws = numbers[0].numel()
    shapes = [tuple(tensor.shape) for tensor in fractions + numbers]
    if shapes != [(draws, draws), (draws, draws), (draws,), (1,)] or not 0 < draws <= MOST_DRAWS:
        return False
    kinds = [tensor.dtype for tensor in fractions + numbers]
    if kinds != [torch.float64, torch.float64, torch.int64, torch.int64]:
        return False
    bounded = all(bool(((tensor >= 0) & (tensor <= 1)).all()) for tensor in fractions)  # NaN is neither
    return bounded and 0 <= int(numbers[1]) < draws
