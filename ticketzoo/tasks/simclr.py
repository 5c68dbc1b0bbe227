"""The objective of SimCLR (Chen et al. 2020, arXiv 2002.05709, section 2.1), and how well views are told apart."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ticketzoo.distributed.batch_norm import Summed
from ticketzoo.distributed.processes import Share


def nt_xent(views: Tensor, temperature: float, share: Share | None = None) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy of two views of each image, in nats: a scalar.

    Of each view, the mean of -ln(exp(s / t) / sum exp(s' / t)): s is its cosine similarity to the other view of the
    image, and the s' are those to all views of the batch but itself.

    Args:
        views: float [2, b, d], of the images here.
        temperature: t.
        share: the part of the batch that is here; of several processes the views of all are compared with. Default all.
    """
    own = F.normalize(views.float(), dim=2)
    everyone, start = _gathered(own, share)
    count, here = everyone.shape[1], own.shape[1]
    places = start + torch.arange(here, device=own.device)
    itself, other = torch.cat([places, places + count]), torch.cat([places + count, places])
    similarity = own.flatten(0, 1) @ everyone.flatten(0, 1).mT / temperature
    return F.cross_entropy(similarity.scatter(1, itself[:, None], float("-inf")), other)


def _gathered(own: Tensor, share: Share | None) -> tuple[Tensor, int]:
    """Return the views of all processes [2, total, d], through which gradients flow, and the place of the first own."""
    if share is None or share.stop - share.start == share.total:
        return own, 0
    after = share.total - share.start - own.shape[1]
    return Summed.apply(F.pad(own, [0, 0, share.start, after])), share.start


def retrieved(views: Tensor) -> float:
    """Return how many of the views have the other view of their image nearest to them, by cosine similarity.

    One that k views are equally near to, the other among them, counts 1/k: what a draw among them would find.

    Args:
        views: float [2, b, d].
    """
    flat = F.normalize(views.double(), dim=2).flatten(0, 1)
    similarity = (flat @ flat.mT).fill_diagonal_(float("-inf"))
    others = torch.arange(len(flat), device=flat.device).roll(views.shape[1])
    nearest = similarity >= similarity.amax(1, keepdim=True) - _TIE
    return float((nearest.gather(1, others[:, None])[:, 0] / nearest.sum(1)).sum())


_TIE = 1e-9
"""Cosine similarities closer than this are the same: float64 says no more of sums in another order."""
