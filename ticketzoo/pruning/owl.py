"""The scope `owl`: layers with more outliers among their scores stay denser (Yin et al. 2024)."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from ticketzoo.pruning.block_walk import walk
from ticketzoo.pruning.part import PartConfig
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.scope import SCOPES, Group, Layers, Left
from ticketzoo.pruning.wanda import CalibratedConfig, WandaConfig, wanda_scores


class OwlConfig(PartConfig):
    """The keys of scope `owl`.

    Attributes:
        name: name of the scope.
        outlier: how many times the mean of its block a score has to be to count as an outlier.
        spread: largest difference of a layer's density from that of all, before what does not fit is given to others.
    """

    name: str = "owl"
    outlier: Annotated[float, Field(gt=0)] = 5.0
    spread: Annotated[float, Field(ge=0, lt=1)] = 0.08


def outliers(probe: Probe, config: OwlConfig | None, calibrated: object) -> dict[str, float]:
    """Return, for each layer, the share of the scores of its block that are above `outlier` times their mean.

    The scores are Wanda's, of the network before it is pruned.
    """
    config = config or OwlConfig()
    data = calibrated if isinstance(calibrated, CalibratedConfig) else WandaConfig()
    found: dict[str, float] = {}
    for block in walk(probe, data.sequences, "scope owl"):
        scores = list(wanda_scores(block).values())
        mean = sum(float(one.double().sum()) for one in scores) / sum(one.numel() for one in scores)
        above = sum(int((one > config.outlier * mean).sum()) for one in scores)
        share = above / sum(one.numel() for one in scores)
        found |= dict.fromkeys(block.layers, share)
    return found


def densities(
    shares: Mapping[str, float], density: float, spread: float, layers: Layers | None = None
) -> dict[str, float]:
    """Return the density of each layer: its share of outliers brought to a range of 2 x `spread` around `density`.

    All are moved together until `density` of all units stays. None is below 0, or more than its layer has left.

    Args:
        shares: of outliers, by layer.
        density: of all layers together.
        spread: largest difference from it, before what does not fit is given to the others.
        layers: the layers' units; as many of each, of which none is gone, by default.
    """
    low, high = min(shares.values()), max(shares.values())
    scaled = {name: (share - low) / (high - low) * 2 * spread if high > low else 0.0 for name, share in shares.items()}
    units = {name: layers[name].units if layers else 1 for name in shares}
    most = {name: layers[name].kept / layers[name].units if layers else 1.0 for name in shares}

    def moved(by: float) -> dict[str, float]:
        return {name: min(most[name], max(0.0, value + by)) for name, value in scaled.items()}

    bends = sorted({-value for value in scaled.values()} | {most[name] - value for name, value in scaled.items()})
    stay = [sum(units[name] * one for name, one in moved(bend).items()) for bend in bends]
    return moved(float(np.interp(density * sum(units.values()), stay, bends)))


def in_whole_rows(found: Mapping[str, float], layers: Layers, count: int) -> dict[str, int]:
    """Return how many weights each layer keeps, as many of each output: `count` in all, or the next that rows allow.

    That is less than one weight more for each output of one layer. The layers that would lose the largest part of
    a weight more lose it; of equal ones the earlier.

    Args:
        found: the density of each layer.
        layers: the layers' units.
        count: how many units stay of all layers.
    """
    outputs = {name: layer.shape[0] for name, layer in layers.items()}
    going = {name: round((1 - found[name]) * layer.units / outputs[name], 9) for name, layer in layers.items()}
    gone = {name: int(one) for name, one in going.items()}
    left = sum(layer.units - gone[name] * outputs[name] for name, layer in layers.items()) - count
    for name in sorted(layers, key=lambda name: gone[name] - going[name]):
        if gone[name] < going[name] and outputs[name] <= left:
            gone[name] += 1
            left -= outputs[name]
    return {name: min(layer.kept, layer.units - gone[name] * outputs[name]) for name, layer in layers.items()}


@SCOPES.add(
    "owl",
    config=OwlConfig,
    cite="Yin et al. 2024, section 3",
    words="denser where more scores are outliers, the weights of each output ranked alone",
    by_rows=True,
    revision=2,
    outliers=outliers,
)
def owl(layers: Layers, left: Left, *, config: OwlConfig, outliers: Mapping[str, float] | None = None) -> list[Group]:
    """Give layers densities by their outliers, and rank the weights of each output alone. In plans all are alike."""
    kept, units = (sum(getattr(layer, part) for layer in layers.values()) for part in ("kept", "units"))
    shares = dict.fromkeys(layers, 0.0) if outliers is None else {name: outliers[name] for name in layers}
    count = left(kept, units, None)
    stay = in_whole_rows(densities(shares, count / units, config.spread, layers), layers, count)
    return [Group((name,), stay[name]) for name in layers]
