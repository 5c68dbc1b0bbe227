"""BERT-base's prunable weights, filled with random numbers: 12 layers of six matrices, and the pooler."""

import torch
from torch import Tensor

from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.magnitude import prune_by_magnitude

_LAYER = {
    "attention.self.query": (768, 768),
    "attention.self.key": (768, 768),
    "attention.self.value": (768, 768),
    "attention.output.dense": (768, 768),
    "intermediate.dense": (3072, 768),
    "output.dense": (768, 3072),
}


def shapes(layers: int = 12) -> dict[str, tuple[int, int]]:
    """Shapes by parameter name: with 12 layers, 73 matrices of 85,524,480 weights."""
    encoder = {
        f"encoder.layer.{layer}.{name}.weight": shape for layer in range(layers) for name, shape in _LAYER.items()
    }
    return {**encoder, "pooler.dense.weight": (768, 768)}


def random_weights(layers: int = 12) -> dict[str, Tensor]:
    """Normal float32 weights whose size grows from layer to layer, so that layers are pruned unequally."""
    generator = torch.Generator().manual_seed(0)
    named = shapes(layers)
    return {
        name: torch.randn(shape, generator=generator) * (0.02 + 0.02 * order / len(named))
        for order, (name, shape) in enumerate(named.items())
    }


def levels(weights: dict[str, Tensor], last: int, rate: float = 0.2) -> list[Masks]:
    """Nested masks of levels 0 to `last`, by global magnitude, without training in between."""
    masks = [{name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}]
    for _ in range(last):
        masks.append(prune_by_magnitude(weights, masks[-1], PruningConfig(rate=rate)))
    return masks
