"""The criteria of Zhou et al. 2019, section 3, beside magnitude, which they call large final, and chance.

w is a weight at the end of a training and w0 what that training started from. It is the training of the level before,
so w0 is the initialization where levels are rewound to it, else what they are rewound to. The keys `sign` and `single`
of every criterion make the paper's variants of them.
"""

from dataclasses import replace

import torch
from torch import Tensor

from ticketzoo.pruning.criteria import CRITERIA, Scores
from ticketzoo.pruning.probe import Probe

CITE = "Zhou et al. 2019, section 3"


@CRITERIA.add(
    "magnitude-increase",
    cite=CITE,
    words="smallest increase of magnitude since the start of the last training",
    needs_training=True,
    scored_anew=False,
    of_weights=True,
)
def magnitude_increase(probe: Probe) -> Scores:
    """Score by |w| - |w0|. Negative where a weight shrank."""
    return {name: _final(probe, name) - _first(probe, name) for name in probe.masks}


@CRITERIA.add(
    "movement",
    cite=CITE,
    words="smallest movement in the last training",
    needs_training=True,
    scored_anew=False,
    of_weights=True,
)
def movement(probe: Probe) -> Scores:
    """Score by |w - w0|."""
    return {name: (probe.weights[name].double() - probe.start[name].double()).abs() for name in probe.masks}


@CRITERIA.add(
    "large-init",
    cite=CITE,
    words="smallest magnitude at the start of the last training",
    scored_anew=False,
    of_weights=True,
)
def large_init(probe: Probe) -> Scores:
    """Score by |w0|."""
    return {name: _first(probe, name) for name in probe.masks}


@CRITERIA.add(
    "small-init",
    cite=CITE,
    words="largest magnitude at the start of the last training",
    scored_anew=False,
    of_weights=True,
)
def small_init(probe: Probe) -> Scores:
    """Score by -|w0|."""
    return {name: -_first(probe, name) for name in probe.masks}


@CRITERIA.add("small-final", cite=CITE, words="largest magnitude after training", scored_anew=False, of_weights=True)
def small_final(probe: Probe) -> Scores:
    """Score by -|w|."""
    return {name: -_final(probe, name) for name in probe.masks}


@CRITERIA.add(
    "large-init-large-final",
    cite=CITE,
    words="lower rank in its layer, of magnitude at the start of the last training and after it",
    needs_training=True,
    of_single_weights=True,
    of_weights=True,
)
def large_init_large_final(probe: Probe) -> Scores:
    """Score by the lower of two ranks among the survivors of the layer, of |w0| and |w|, divided by their number.

    That is the paper's quadrant of weights above a percentile of both, with an exact count.
    """
    return _lower_rank(probe, 1)


@CRITERIA.add(
    "small-init-small-final",
    cite=CITE,
    words="higher rank in its layer, of magnitude at the start of the last training and after it",
    needs_training=True,
    of_single_weights=True,
    of_weights=True,
)
def small_init_small_final(probe: Probe) -> Scores:
    """Score by the lower of two ranks among the survivors of the layer, of -|w0| and -|w|, divided by their number."""
    return _lower_rank(probe, -1)


CRITERIA.put(
    replace(
        CRITERIA["magnitude"],
        name="large-final-same-sign",
        cite=CITE,
        words="change of sign in the last training, then smallest magnitude after it",
        needs_training=True,
        of_single_weights=True,
        sign="same",
    )
)


def _final(probe: Probe, name: str) -> Tensor:
    return probe.weights[name].double().abs()


def _first(probe: Probe, name: str) -> Tensor:
    return probe.start[name].double().abs()


def _lower_rank(probe: Probe, sign: int) -> Scores:
    scores = {}
    for name, mask in probe.masks.items():
        both = (_ranks(sign * of(probe, name), mask) for of in (_first, _final))
        scores[name] = torch.minimum(*both) / max(1, int(mask.count_nonzero()))
    return scores


def _ranks(values: Tensor, mask: Tensor) -> Tensor:
    """Return float64: the place of each kept value among those of `values`, from 0; of equal ones the earlier first."""
    ranks = torch.zeros(values.shape, dtype=torch.float64)
    kept = mask.to(values.device)
    order = values[kept].argsort(stable=True).cpu()
    places = torch.empty(len(order), dtype=torch.float64)
    places[order] = torch.arange(len(order), dtype=torch.float64)
    ranks[mask.cpu()] = places
    return ranks
