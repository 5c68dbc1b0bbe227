"""Early-bird tickets: the mask is drawn again and again while the dense network trains, until it has settled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.models.state import State
from ticketzoo.recipe import Config, Steps

FILE = "mask-distances"
"""Name of the further file of a ticket that holds the distances."""


class WatchConfig(Config):
    """The watch on the masks of a network in training.

    Attributes:
        every: length of training between two draws of the mask.
        window: draws that are compared: the newest with each of the others.
        threshold: distance that settled masks have at most, as a part of that of two random masks as sparse.
    """

    every: Steps = Steps(1, "ep")
    window: Annotated[int, Field(ge=2, le=1000)] = 5
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.1

    @field_validator("every")
    @classmethod
    def _is_a_length(cls, every: Steps) -> Steps:
        if every.count <= 0:
            raise ValueError("every must be longer than 0")
        return every


class EarlyBirdConfig(MethodConfig):
    """Pruning in one round, by the weights of the dense training at the first draw whose mask has settled.

    Attributes:
        watch: how the mask is watched.
    """

    method: str = "early-bird"
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    levels: Annotated[int, Field(ge=1, le=1000)] = 1
    watch: WatchConfig = WatchConfig()

    @model_validator(mode="after")
    def _one_level(self) -> "EarlyBirdConfig":
        if self.levels != 1:
            raise ValueError("levels: masks of other rates settle elsewhere, so a ticket has one: set levels to 1")
        return self


@dataclass(frozen=True)
class Watched:
    """The masks that were drawn.

    Attributes:
        distances: [draws, draws], the fraction of units (weights or filters) in which two masks differ.
        chance: that of two random masks as sparse, 2p(1 - p).
    """

    distances: Tensor
    chance: float

    def settled(self, window: int, threshold: float) -> int | None:
        """Return the number, from 0, of the first draw within `threshold` of each of the `window` - 1 before it.

        Distances are taken as parts of `chance`. None where there is no such draw.
        """
        draws = range(window - 1, len(self.distances))
        return next((draw for draw in draws if self.near(draw, window) <= threshold), None)

    def near(self, draw: int, window: int) -> float:
        """Return the largest distance of a draw to the `window` - 1 before it, as a part of `chance`."""
        return float(self.distances[draw, draw - window + 1 : draw].max()) / self.chance


def watched(draws: Sequence[Masks]) -> Watched:
    """Return the distances of masks that are equally sparse."""
    flat = [torch.cat([mask.flatten() for mask in masks.values()]) for masks in draws]
    rows = [torch.stack([(one ^ other).count_nonzero() for other in flat]) for one in flat]
    removed = sparsity(draws[0])
    return Watched(torch.stack(rows).double() / len(flat[0]), 2 * removed * (1 - removed))


@METHODS.add(
    "early-bird",
    config=EarlyBirdConfig,
    cite="You et al. 2020, section 3",
    words="early-bird {criterion} pruning of the dense network in training, once its mask has settled",
)
def early_bird(lab: Lab, config: EarlyBirdConfig) -> Iterator[Level]:
    """Yield the dense network, and the mask of the draw that settled; training goes on from the weights of that draw.

    The dense network is trained to the end all the same: it is measured, and the distances of all draws are kept.
    """
    steps, watch = _draws(lab, config.watch), config.watch
    dense = lab.train(lab.dense, lab.initial, keep=steps)
    yield Level(lab.dense, lab.initial, dense)
    masks = [lab.prune(dense.at(step), lab.dense, to=1) for step in steps]
    seen = watched([lab.units(one) for one in masks])
    draw = seen.settled(watch.window, watch.threshold)
    if draw is None:
        near = {number: seen.near(number, watch.window) for number in range(watch.window - 1, len(steps))}
        best = min(near, key=lambda number: near[number])
        said = f"the nearest, at iteration {steps[best]}, is within {near[best]:.3f}"
        remedy = "raise finder.watch.threshold, or train longer: what is trained is kept"
        raise RunError(f"no mask of {len(steps)} draws settled within {watch.threshold}; {said}: {remedy}")
    start, part = dense.at(steps[draw]), seen.near(draw, watch.window)
    trained = lab.train(masks[draw], start)
    measured = {
        "train_mask_distance": part * seen.chance,
        "train_mask_distance_of_chance": part,
        "train_mask_settled_at": float(steps[draw]),
    }
    yield Level(masks[draw], start, trained, extras={FILE: _kept(seen, steps, draw)}, measured=measured)


def _draws(lab: Lab, watch: WatchConfig) -> list[int]:
    """Return the iterations after which a mask is drawn. Raises RecipeError where these are too few, or too near."""
    steps: list[int] = []
    while True:
        try:
            step = lab.steps(watch.every.times(len(steps) + 1))
        except RecipeError:
            break
        if step <= (steps[-1] if steps else 0):
            raise RecipeError(f"finder.watch.every: {watch.every} is less than an iteration; draw less often")
        steps.append(step)
    if len(steps) < watch.window:
        few = f"{len(steps)} masks are drawn before the end of training, and its window is {watch.window}"
        raise RecipeError(f"finder.watch: {few}: draw more often, or train longer")
    return steps


def _kept(seen: Watched, steps: Sequence[int], draw: int) -> State:
    return {
        "distances": seen.distances,
        "chance": torch.tensor([seen.chance], dtype=torch.float64),
        "steps": torch.tensor(steps),
        "settled": torch.tensor([draw]),
    }
