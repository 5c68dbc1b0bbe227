"""Early-bird tickets: the mask is drawn again and again while the dense network trains, until it has settled."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.evaluation.distances import MOST_DRAWS
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.recipe import Config, Steps
from ticketzoo.runs.plan import Unknown

AT_ONCE = 1 << 24
"""Numbers of a mask matrix that are in memory as floats together, at most 2^24."""

FILE = "mask-distances"
"""Name of the further file of a ticket that holds the distances."""


class WatchConfig(Config):
    """The watch on the masks of a network in training.

    Attributes:
        every: length of training between two draws of the mask; there are at most 2,000 of them.
        window: draws that are compared: the newest with each of the others.
        threshold: distance that settled masks have at most, as a part of that of two random masks as dense layer by
            layer.
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

    @property
    def not_inverted(self) -> str:
        """Masks of the lowest scores settle at a draw of their own."""
        return super().not_inverted or f"method {self.method} settles by them at another draw"

    @model_validator(mode="after")
    def _one_level(self) -> "EarlyBirdConfig":
        if self.levels != 1:
            raise ValueError("levels: masks of other rates settle elsewhere, so a ticket has one: set levels to 1")
        criterion = self.pruning.criterion
        if CRITERIA[criterion.name].configured(criterion).keys.single:
            what = f"single keeps a number of weights of its own in each draw, and {self.method} compares equally many"
            raise ValueError(f"criterion {criterion.name}: {what}: leave single out")
        return self


@dataclass(frozen=True)
class Drawn:
    """A mask that was drawn.

    Attributes:
        flat: [units], bool: the weights, or filters, that it keeps.
        sizes: [layers], float64: how many of them each layer has.
    """

    flat: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, masks: Masks) -> "Drawn":
        """Return the mask of units by layer."""
        layers = list(masks.values())
        sizes = torch.tensor([mask.numel() for mask in layers], dtype=torch.float64)
        return cls(torch.cat([mask.flatten() for mask in layers]), sizes)

    @cached_property
    def density(self) -> Tensor:
        """The fraction kept of each layer, [layers], float64."""
        counts = [part.count_nonzero() for part in self.flat.split(self.sizes.long().tolist())]
        return torch.stack(counts).double().cpu() / self.sizes


@dataclass(frozen=True)
class Watched:
    """The distances of masks to each other.

    Attributes:
        distances: [masks, others], float64: the fraction of units (weights or filters) in which two differ.
        chance: the same of random masks: what two differ by on average that keep as much of each layer, which is
            d(1 - e) + e(1 - d) of the units of a layer of which they keep d and e.
    """

    distances: Tensor
    chance: Tensor

    @classmethod
    def of(cls, masks: Sequence[Drawn], others: Sequence[Drawn]) -> "Watched":
        """Return the distance of each of `masks` to each of `others`."""
        there = torch.stack([one.flat for one in others])
        here = there if masks is others else torch.stack([one.flat for one in masks])
        counts = differing(here, there).cpu()
        first, second = (torch.stack([one.density for one in drawn]) for drawn in (masks, others))
        weight = masks[0].sizes / masks[0].sizes.sum()
        chance = first * weight @ (1 - second).T + (1 - first) * weight @ second.T
        return cls(counts / there.shape[1], chance)

    @property
    def parts(self) -> Tensor:
        """The distances as parts of `chance`; masks that do not differ have 0."""
        return torch.where(self.distances > 0, self.distances / self.chance, 0.0)


def differing(here: Tensor, there: Tensor) -> Tensor:
    """Return in how many units masks differ from others: those that either keeps, less twice those that both do.

    The latter are products of zeros and ones, exact in float32 up to 2^24 of them, which are summed in float64.

    Args:
        here: bool [masks, units].
        there: bool [others, units].

    Returns:
        float64 [masks, others].
    """
    both = torch.zeros(len(here), len(there), dtype=torch.float64, device=here.device)
    width = max(1, AT_ONCE // max(len(here), len(there)))
    for some, others in zip(here.split(width, 1), there.split(width, 1), strict=True):
        both += (some.float() @ others.float().T).double()
    return here.count_nonzero(1)[:, None] + there.count_nonzero(1) - 2 * both


def near(drawn: Sequence[Drawn], window: int) -> tuple[float, float]:
    """Return how far the newest mask is from the farthest of the `window` - 1 before it: the largest distance and part.

    Distances are fractions of units, parts those of `Watched.parts`.
    """
    seen = Watched.of(drawn[-1:], drawn[-window:-1])
    return float(seen.distances.max()), float(seen.parts.max())


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

    drawn: list[Drawn] = []

    def draws() -> Iterator[Masks]:
        for step in steps[len(drawn) :]:
            masks = lab.prune(dense.as_of(step), lab.dense, to=1)
            drawn.append(Drawn.of(lab.units(masks)))
            yield masks

    masks, distance, part = _settled(draws(), drawn, steps, watch)
    draw = len(drawn) - 1
    start = dense.at(steps[draw])
    trained = lab.train(masks, start)
    measured = {
        "train_mask_distance": distance,
        "train_mask_distance_of_chance": part,
        "train_mask_settled_at": float(steps[draw]),
    }
    extras: dict[str, State] = {}
    if not isinstance(trained.final, Unknown):  # a plan draws no more than it needs
        deque(draws(), maxlen=0)
        extras[FILE] = _kept(Watched.of(drawn, drawn), steps, draw)
    yield Level(masks, start, trained, extras=extras, measured=measured)


def _settled(
    draws: Iterator[Masks], drawn: Sequence[Drawn], steps: Sequence[int], watch: WatchConfig
) -> tuple[Masks, float, float]:
    """Draw until a mask has settled, which adds to `drawn`. Return it, and what `near` says of it.

    Raises:
        RunError: none has.
    """
    at, nearest = 0, float("inf")
    for masks in draws:
        if len(drawn) < watch.window:
            continue
        distance, part = near(drawn, watch.window)
        if part <= watch.threshold:
            return masks, distance, part
        if part < nearest:
            at, nearest = steps[len(drawn) - 1], part
    said = f"the nearest, at iteration {at}, is within {nearest:.3f}"
    remedy = "raise finder.watch.threshold, or train longer: what is trained is kept"
    raise RunError(f"no mask of {len(steps)} draws settled within {watch.threshold}; {said}: {remedy}")


def _draws(lab: Lab, watch: WatchConfig) -> list[int]:
    """Return the iterations after which a mask is drawn. Raises RecipeError for too few, too many, or too near ones."""
    steps: list[int] = []
    while True:
        try:
            step = lab.steps(watch.every.times(len(steps) + 1))
        except RecipeError:
            break
        if step <= (steps[-1] if steps else 0):
            raise RecipeError(f"finder.watch.every: {watch.every} is less than an iteration; draw less often")
        if len(steps) == MOST_DRAWS:
            raise RecipeError(f"finder.watch.every: {watch.every} makes over {MOST_DRAWS:,} draws; draw less often")
        steps.append(step)
    if len(steps) < watch.window:
        few = f"{len(steps)} masks are drawn before the end of training, and its window is {watch.window}"
        raise RecipeError(f"finder.watch: {few}: draw more often, or train longer")
    return steps


def _kept(seen: Watched, steps: Sequence[int], draw: int) -> State:
    return {
        "distances": seen.distances,
        "chance": seen.chance,
        "steps": torch.tensor(steps),
        "settled": torch.tensor([draw]),
    }
