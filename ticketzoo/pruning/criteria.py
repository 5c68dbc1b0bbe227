"""Criteria: what the weights of a network are worth. Each is a function from a probe to scores; the highest stay."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.part import Part
from ticketzoo.pruning.probe import Probe
from ticketzoo.seeds import derive_seed
from ticketzoo.util.registry import Registry
from ticketzoo.util.text import for_terminal

Scores: TypeAlias = Mapping[str, Tensor]
"""A float for each weight, by parameter name, of the parameter's shape. Signs count: the highest stay."""


class Ranking(NamedTuple):
    """Scores, and the weights that stay before all others: those that are not eligible go first, lowest score first."""

    scores: Scores
    eligible: Mapping[str, Tensor] | None = None
    """A bool for each weight, by parameter name; None where all are eligible."""

    def inverted(self, by_magnitude: bool) -> "Ranking":
        """Return the ranking in which whatever went last goes first; equal scores go by their places as before."""
        scores = {name: score.float().abs() if by_magnitude else score for name, score in self.scores.items()}
        eligible = None if self.eligible is None else {name: ~may for name, may in self.eligible.items()}
        return Ranking({name: -score for name, score in scores.items()}, eligible)

    def others(self, masks: Masks) -> Masks:
        """Return the kept weights that are not eligible."""
        return {name: mask & ~self.eligible[name].to(mask.device) for name, mask in masks.items() if self.eligible}


@dataclass(frozen=True)
class Criterion(Part):
    """A row of `CRITERIA`. `make(probe)` gives the scores, or a `Ranking`: scores and which weights are eligible.

    Attributes:
        words: what a card says the weights are removed by.
        by_magnitude: whether weights are ranked by the absolute value of their scores, compared as float32.
        needs_training: whether weights are compared with what their training started from: before it all are equal.
        of_single_weights: whether sums of scores over a filter mean nothing, as with eligible weights.
        inverts: whether keeping the lowest scores instead says something.
    """

    by_magnitude: bool = False
    needs_training: bool = False
    of_single_weights: bool = False
    inverts: bool = True

    def scores(self, probe: Probe) -> Scores:
        """Return the scores of `ranking`."""
        return self.ranking(probe).scores

    def ranking(self, probe: Probe) -> Ranking:
        """Return scores and eligibility of all masked parameters, checked but for NaN, which ranking finds.

        Raises:
            RunError: they do not fit the masks; the message says what came.
        """
        made = self.make(probe)
        scores, eligible = made if isinstance(made, Ranking) else Ranking(made)
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
            may = mask if eligible is None else eligible.get(name)
            if not isinstance(may, Tensor) or may.shape != mask.shape or may.dtype is not torch.bool:
                what = f"criterion {self.name!r} returned as eligible of '{name}' {_described(may)}"
                raise RunError(f"{what}, not bool {list(mask.shape)}")
        if eligible is not None and self.by_magnitude:
            scores = {name: scores[name].abs() for name in probe.masks}
        return Ranking(scores, eligible)


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
    words="smallest increase of magnitude since the start of the last training",
    needs_training=True,
)
def magnitude_increase(probe: Probe) -> Scores:
    """Score by |w| - |w0|, w0 being what the last training started from. Negative where a weight shrank.

    The last training is the one that ended with w, of the level before in iterative pruning. It started from the
    initialization where levels are rewound to it, else from the weights that they are rewound to.
    """
    return {name: probe.weights[name].double().abs() - probe.start[name].double().abs() for name in probe.masks}


@CRITERIA.add(
    "movement", cite="Zhou et al. 2019, section 3", words="smallest movement in the last training", needs_training=True
)
def movement(probe: Probe) -> Scores:
    """Score by |w - w0|, w0 being what the last training started from, as in `magnitude_increase`."""
    return {name: (probe.weights[name].double() - probe.start[name].double()).abs() for name in probe.masks}


@CRITERIA.add(
    "large-init", cite="Zhou et al. 2019, section 3", words="smallest magnitude at the start of the last training"
)
def large_init(probe: Probe) -> Scores:
    """Score by |w0|, w0 being what the last training started from, as in `magnitude_increase`."""
    return {name: probe.start[name].double().abs() for name in probe.masks}


@CRITERIA.add(
    "large-final-same-sign",
    cite="Zhou et al. 2019, section 3",
    words="change of sign in the last training, then smallest magnitude after it",
    needs_training=True,
    of_single_weights=True,
)
def large_final_same_sign(probe: Probe) -> Ranking:
    """Score by |w|; eligible where sign(w) = sign(w0), w0 being what the last training started from; sign(0) is 0."""
    same = {name: probe.weights[name].sign() == probe.start[name].sign() for name in probe.masks}
    return Ranking({name: probe.weights[name].double().abs() for name in probe.masks}, same)


@CRITERIA.add("random", cite="the control of Gale et al. 2019", words="chance", of_single_weights=True, inverts=False)
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
