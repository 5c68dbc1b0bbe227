"""The criterion `random`: chance."""

import torch

from ticketzoo.pruning.criteria import CRITERIA, Scores
from ticketzoo.pruning.probe import Probe
from ticketzoo.seeds import derive_seed


@CRITERIA.add(
    "random",
    cite="the control of Gale et al. 2019",
    words="chance",
    of_single_weights=True,
    inverts=False,
    scored_anew=False,
    of_weights=True,
)
def random(probe: Probe) -> Scores:
    """Score each layer by one random permutation of the recipe's seed, so that levels nest."""
    scores = {}
    for name, mask in probe.masks.items():
        generator = torch.Generator().manual_seed(derive_seed(probe.seed, "random-criterion", name))
        ranks = torch.randperm(mask.numel(), generator=generator).double()
        scores[name] = ((ranks + 1) / (mask.numel() + 1)).view(mask.shape)
    return scores
