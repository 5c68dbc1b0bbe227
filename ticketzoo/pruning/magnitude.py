"""One round of magnitude pruning, of weights that are at hand."""

from collections.abc import Mapping

from torch import Tensor

from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner


def prune_by_magnitude(weights: Mapping[str, Tensor], masks: Masks, config: PruningConfig, *, to: int = 1) -> Masks:
    """Return the masks of one more round on trained `weights`, by magnitude; raises as `Pruner` does.

    Removes exactly round(rate * survivors) weights of smallest magnitude by default (Python's round: half to even);
    among equal magnitudes the one earlier in the model goes first. The result is a subset of `masks`, which is not
    changed.
    """
    return Pruner.of(config)(Weights(weights, masks), to=to)
