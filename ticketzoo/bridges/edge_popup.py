"""Checkpoints of edge-popup: layers with `scores` beside `weight`."""

import torch
from torch import Tensor

from ticketzoo.bridges.brought import Brought, Options, Source
from ticketzoo.bridges.buffers import inner
from ticketzoo.bridges.formats import FORMATS
from ticketzoo.errors import TicketError


def _scored(source: Source) -> bool:
    tensors = inner(source)
    return any(name.endswith(".scores") and f"{name[:-7]}.weight" in tensors for name in tensors)


@FORMATS.add(
    "edge-popup",
    words="layers with `scores` beside `weight`: hidden-networks",
    claims=_scored,
    cite="Ramanujan et al. 2020, arXiv 1911.13299",
)
def read_scores(source: Source, options: Options) -> Brought:
    """Return the masks of the highest scores by magnitude, in each layer `keep` of them, and the weights.

    The fraction is not in the file: it is `--prune-rate` of the training. Scores of a fixed subnet, all 0 or 1, are
    its mask.
    """
    tensors = inner(source)
    scores = {f"{name[:-7]}.weight": one for name, one in tensors.items() if name.endswith(".scores")}
    if not scores:
        raise TicketError(f"{source.where}: has no layer with `scores`")
    if damaged := [name for name, one in scores.items() if bool(one.isnan().any())]:
        raise TicketError(f"{source.where}: the scores of '{damaged[0]}' hold NaN: the training diverged")
    masks = {name: _mask(one, options.keep, source.where) for name, one in scores.items()}
    return Brought(masks, {name: one for name, one in tensors.items() if not name.endswith(".scores")})


def _mask(scores: Tensor, keep: float | None, where: str) -> Tensor:
    if ((scores == 0) | (scores == 1)).all():
        return scores != 0
    if keep is None or not 0 < keep <= 1:
        raise TicketError(f"{where}: scores alone do not say how many weights stay: give --keep, from 0 to 1")
    dropped = int((1 - keep) * scores.numel())
    mask = torch.ones(scores.numel(), dtype=torch.bool)
    mask[scores.abs().flatten().sort().indices[:dropped]] = False
    return mask.view(scores.shape)
