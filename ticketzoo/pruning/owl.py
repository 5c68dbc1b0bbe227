"""The scope `owl`: layers with more outliers among their scores stay denser (Yin et al. 2024)."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from ticketzoo.pruning.block_walk import walk
from ticketzoo.pruning.part import PartConfig
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.scope import SCOPES, Group, Layers, Left, in_rows
from ticketzoo.pruning.wanda import CalibratedConfig, WandaConfig, wanda_scores


class OwlConfig(PartConfig):
    """The keys of scope `owl`.

    Attributes:
        name: name of the scope.
        outlier: how many times the mean of its block a score has to be to count as an outlier.
        spread: largest difference of a layer's density from the mean of all.
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


def densities(shares: Mapping[str, float], density: float, spread: float) -> dict[str, float]:
    """Return the density of each layer: its share of outliers brought to a range of 2 x `spread` around `density`."""
    low, high = min(shares.values()), max(shares.values())
    scaled = {name: (share - low) / (high - low) * 2 * spread if high > low else 0.0 for name, share in shares.items()}
    mean = sum(scaled.values()) / len(scaled)
    return {name: min(1.0, max(0.0, value - mean + density)) for name, value in scaled.items()}


@SCOPES.add(
    "owl",
    config=OwlConfig,
    cite="Yin et al. 2024, section 3",
    words="denser where more scores are outliers, the weights of each output ranked alone",
    by_rows=True,
    outliers=outliers,
)
def owl(layers: Layers, left: Left, *, config: OwlConfig, outliers: Mapping[str, float] | None = None) -> list[Group]:
    """Give layers densities by their outliers, and rank the weights of each output alone. In plans all are alike."""
    kept, units = (sum(getattr(layer, part) for layer in layers.values()) for part in ("kept", "units"))
    shares = dict.fromkeys(layers, 0.0) if outliers is None else {name: outliers[name] for name in layers}
    found = densities(shares, left(kept, units, None) / units, config.spread)
    return [Group((name,), in_rows(layer, round(found[name] * layer.units))) for name, layer in layers.items()]
