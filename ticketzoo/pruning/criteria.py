"""Criteria: what the weights of a network are worth. Each is a function from a probe to scores; the highest stay."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.pruning.part import Part
from ticketzoo.pruning.probe import Probe
from ticketzoo.seeds import derive_seed
from ticketzoo.util.registry import Registry
from ticketzoo.util.text import for_terminal

Scores: TypeAlias = Mapping[str, Tensor]
"""A float for each weight, by parameter name, of the parameter's shape. Signs count: the highest stay."""


@dataclass(frozen=True)
class Criterion(Part):
    """A row of `CRITERIA`. `make(probe)` gives the scores.

    Attributes:
        words: what a card says the weights are removed by.
        by_magnitude: whether weights are ranked by the absolute value of their scores, compared as float32.
        needs_training: whether weights are compared with what their training started from: before it all are equal.
        of_single_weights: whether sums of scores over a filter mean nothing.
    """

    by_magnitude: bool = False
    needs_training: bool = False
    of_single_weights: bool = False

    def scores(self, probe: Probe) -> Scores:
        """Return the scores of all masked parameters, checked but for NaN, which ranking finds.

        Raises:
            RunError: they do not fit the masks; the message says what came.
        """
        scores = self.make(probe)
        if not isinstance(scores, Mapping):
            raise RunError(f"criterion {self.name!r} returned {_described(scores)}, not a tensor for each parameter")
        for name, mask in probe.masks.items():
            needed = f"not float {list(mask.shape)}"
            if name not in scores:
                others = ", ".join(for_terminal(repr(other)) for other in list(scores)[:5]) or "nothing"
                raise RunError(f"criterion {self.name!r} returned no scores of '{name}', only of {others}")
            given = scores[name]
            if not isinstance(given, Tensor) or given.shape != mask.shape or not given.is_floating_point():
                raise RunError(f"criterion {self.name!r} returned for '{name}' {_described(given)}, {needed}")
        return scores


def _described(value: object) -> str:
    """Return type and shape of a value, in a few words."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return f"a {type(value).__name__}"


CRITERIA: Registry[Criterion] = Registry("criterion", Criterion, error=RecipeError)


@CRITERIA.add(
    "magnitude", cite="Frankle & Carbin 2019, section 2", words="smallest magnitude after training", by_magnitude=True
)
def magnitude(probe: Probe) -> Scores:
    """Score by |w|, of the weights as they are."""
    return probe.weights


@CRITERIA.add(
    "magnitude-increase",
    cite="Zhou et al. 2019, section 3",
    words="smallest increase of magnitude",
    needs_training=True,
)
def magnitude_increase(probe: Probe) -> Scores:
    """Score by |w| - |w0|, w0 being what the training started from. Negative where a weight shrank."""
    return {name: probe.weights[name].double().abs() - probe.start[name].double().abs() for name in probe.masks}


@CRITERIA.add(
    "movement", cite="Zhou et al. 2019, section 3", words="smallest movement in training", needs_training=True
)
def movement(probe: Probe) -> Scores:
    """Score by |w - w0|, w0 being what the training started from."""
    return {name: (probe.weights[name].double() - probe.start[name].double()).abs() for name in probe.masks}


@CRITERIA.add("large-init", cite="Zhou et al. 2019, section 3", words="smallest magnitude before training")
def large_init(probe: Probe) -> Scores:
    """Score by |w0|, of the weights that the training started from."""
    return {name: probe.start[name].double().abs() for name in probe.masks}


@CRITERIA.add("random", cite="the control of Gale et al. 2019", words="chance", of_single_weights=True)
def random(probe: Probe) -> Scores:
    """Score each layer by one random permutation of the recipe's seed, so that levels nest."""
    scores = {}
    for name, mask in probe.masks.items():
        generator = torch.Generator().manual_seed(derive_seed(probe.seed, "random-criterion", name))
        ranks = torch.randperm(mask.numel(), generator=generator).double()
        scores[name] = ((ranks + 1) / (mask.numel() + 1)).view(mask.shape)
    return scores


@CRITERIA.add("snip", cite="Lee et al. 2019, section 4", words="smallest effect on the loss, |gradient x weight|")
def snip(probe: Probe) -> Scores:
    """Score by |g w|, with the gradient g of the mean loss on one batch at the weights as they are."""
    gradients = probe.gradients()
    return {name: (gradients[name].double() * probe.weights[name].double()).abs() for name in probe.masks}
