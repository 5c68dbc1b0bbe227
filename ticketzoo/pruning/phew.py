"""PHEW: the weights on paths of large magnitude, drawn by random walks, without data."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import total
from ticketzoo.pruning.criteria import CRITERIA, CriterionConfig, Scores
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.walks import Direction, Met, Stop, Weight, draw, stops, walk
from ticketzoo.seeds import derive_seed

TURNS: tuple[Direction, ...] = ("forward", "backward")

AT_ONCE = 512
"""Pairs of walks that are drawn together."""

NEVER = 2**52
"""Place in the order of edges that no walk has met."""


class PhewConfig(CriterionConfig):
    """The keys of criterion `phew`.

    Attributes:
        name: name of the criterion.
        kernels: part of a convolution's kernel that a walk keeps: a `single` weight, drawn by magnitude, or the
            `whole`.
        walks: walks at most; they end as soon as they have met enough weights.
    """

    name: str = "phew"
    kernels: Literal["single", "whole"] = "single"
    walks: Annotated[int, Field(ge=2)] = 1_000_000


@CRITERIA.add(
    "phew",
    config=PhewConfig,
    cite="Patil & Dovrolis 2021, section 4",
    words="on no path that random walks met early",
    of_single_weights=True,
    sets_layers=True,
    inverts=False,
    scored_anew=False,
    tried=lambda probe, config: _way(probe),
)
def phew(probe: Probe, config: PhewConfig, count: int | None = None) -> Scores:
    """Score weights by how early a walk meets them: the first `count` stay, and those of more stay of fewer.

    Walks alternate between forward ones from an input to an output and backward ones. Each step takes a weight in
    proportion to its magnitude among those of its unit. Weights of the last walk that are too many are those at its
    end.

    Raises:
        RunError: the network has anything else than linear and convolution layers and sums, or the walks do not meet
            enough weights.
    """
    way = _way(probe)
    first = {name: torch.full((mask.numel(),), NEVER) for name, mask in probe.masks.items()}
    generator = torch.Generator().manual_seed(derive_seed(probe.seed, "phew"))
    needed = total(probe.masks) if count is None else count
    for start in range(0, config.walks // 2, AT_ONCE):
        numbers = torch.arange(start, min(start + AT_ONCE, config.walks // 2))
        for turn, direction in enumerate(TURNS):
            for met in walk(way, numbers, direction, generator):
                _note(first, met, way, turn, config.kernels, generator)
        if sum(int((places < NEVER).sum()) for places in first.values()) >= needed:
            return {name: -first[name].double().view(mask.shape) for name, mask in probe.masks.items()}
    met_now = sum(int((places < NEVER).sum()) for places in first.values())
    what = f"{config.walks:,} walks meet {met_now:,} of the {needed:,} weights to keep"
    raise RunError(f"criterion 'phew': {what}; ask for a higher sparsity, or more walks")


def _way(probe: Probe) -> list[Stop]:
    """Return the stops of the network. Raises RunError for one that walks do not go through."""
    given = probe.inputs()
    inputs = [*given.values()] if isinstance(given, dict) else [*given]
    if len(inputs) != 1:
        raise RunError(f"criterion 'phew': walks begin at one input, and the network takes {len(inputs)}")
    return stops(probe.model().cpu().eval(), inputs[0].cpu())


def _note(
    first: dict[str, Tensor], met: Met, way: list[Stop], turn: int, kernels: str, generator: torch.Generator
) -> None:
    """Take down the place of each weight that was met, if it is the earliest: by walk, then by the step of the walk."""
    weight = way[met.stop].weight
    assert weight is not None
    walks, places = met.walks, weight.places(met.inputs, met.outputs)
    size = weight.kernels.shape[2]
    if size > 1 and kernels == "single":
        places = places + _in_kernel(weight, met, generator)
    elif size > 1:
        walks, places = walks.repeat_interleave(size), (places[:, None] + torch.arange(size)).flatten()
    if weight.name not in first:
        return
    step = met.stop if turn == 0 else len(way) - 1 - met.stop
    order = (2 * walks + turn) * len(way) + step
    first[weight.name].scatter_reduce_(0, places, order, "amin")


def _in_kernel(weight: Weight, met: Met, generator: torch.Generator) -> Tensor:
    _, places = draw(weight.kernels[met.outputs, met.inputs % weight.inputs], generator)
    return places
