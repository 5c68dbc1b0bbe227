"""A probe of a network with its calibration inputs, for criteria that prune block by block."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from ticketzoo.masks.masks import Masks
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner


@dataclass(frozen=True)
class Calibrated(Weights):
    network: nn.Module = field(default_factory=nn.Identity)
    examples: tuple[Tensor, ...] = ()

    def model(self) -> nn.Module:
        return copy.deepcopy(self.network)

    def losses(self, model: nn.Module, examples: int) -> Iterator[Callable[[], Tensor]]:
        for example in self.examples[:examples]:
            yield partial(model, example)


def probe_of(network: nn.Module, *examples: Sequence[Sequence[float]]) -> Calibrated:
    """A probe of the weights of a network; each example is rows of numbers."""
    weights = {name: one.detach() for name, one in network.named_parameters() if name.endswith("weight")}
    masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in weights.items()}
    return Calibrated(weights, masks, network=network, examples=tuple(torch.tensor(one) for one in examples))


def pruned(probe: Calibrated, **prune: object) -> Masks:
    """The masks of the first level."""
    config = PruningConfig.model_validate({"prune": prune})
    return Pruner.of(config, probe.network)(probe, to=1)


def linear(weight: Sequence[Sequence[float]]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    return layer


class Stack(nn.Module):
    """Blocks, one after the other."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)

    def forward(self, inputs: Tensor) -> Tensor:
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs


HALF = {"levels": [0.5]}
EXAMPLE = [[3.0, 0.6], [4.0, 0.8]]
"""Two tokens whose inputs have the norms 5 and 1."""
