"""Activation matching: units are matched by what they compute on the same examples."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.aligning.alignment import ALIGNMENTS, Network
from ticketzoo.aligning.permutation import Permutations
from ticketzoo.aligning.weights import assigned
from ticketzoo.models import create_from_architecture, load_model_state
from ticketzoo.models.state import State
from ticketzoo.seeds import derive_seed
from ticketzoo.training.forward import restored_generators

EXAMPLES = 2000
"""Training examples that are looked at, about."""


@ALIGNMENTS.add(
    "activations",
    cite="Ainsworth et al. 2023, section 3.1; Li et al. 2016",
    words="the correlation of what matched units compute on 2,000 training examples",
)
def activation_matching(network: Network, target: State, moved: State) -> Permutations:
    """Return the permutations of `moved` after which its units correlate most with those of `target`.

    Compared is what linear layers and convolutions give, before normalization and activation, over examples and places
    of an image; of units that several layers compute (a residual stream), correlations are added up.
    """
    models = [_model(network, state) for state in (target, moved)]
    layers = [name for names in network.groups.layers.values() for name in names]
    sums = {name: _Sums() for name in layers}
    steps = max(1, EXAMPLES // network.batch_size)
    with torch.no_grad(), restored_generators(network.device):
        batches = network.task.batches(network.batch_size, network.seed, 0, steps, network.device)
        for step, batch in enumerate(batches):
            seen = []
            for model in models:
                torch.manual_seed(derive_seed(network.seed, "augment", step))  # both see the same images
                with _watched(model, layers) as given:
                    network.task.loss(model, batch)
                seen.append(given)
            for name in layers:
                sums[name].add(seen[0][name], seen[1][name])
    return {
        group: assigned(sum((sums[name].correlation for name in names), torch.zeros((), dtype=torch.float64)))
        for group, names in network.groups.layers.items()
    }


class _Sums:
    """Sums over examples and places, of which correlations are made."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[Tensor] = []

    def add(self, one: Tensor, other: Tensor) -> None:
        first, second = (_by_unit(given) for given in (one, other))
        self.count += len(first)
        new = [first.sum(0), second.sum(0), (first**2).sum(0), (second**2).sum(0), first.T @ second]
        self.sums = [old + more for old, more in zip(self.sums, new, strict=True)] if self.sums else new

    @property
    def correlation(self) -> Tensor:
        """Float64 [units, units], 0 for units that never change."""
        first, second, squares, others, products = (total / self.count for total in self.sums)
        spread = ((squares - first**2).clamp(min=0).sqrt(), (others - second**2).clamp(min=0).sqrt())
        scale = spread[0][:, None] * spread[1]
        covariance = products - first[:, None] * second
        return torch.where(scale > 1e-12, covariance / scale.clamp(min=1e-12), 0.0)


def _by_unit(given: Tensor) -> Tensor:
    """Return float64 [examples x places, units] of (batch, units, ...)."""
    return given.detach().movedim(1, -1).reshape(-1, given.shape[1]).double().cpu()


def _model(network: Network, state: State) -> nn.Module:
    model = create_from_architecture(network.architecture, seed=0)
    load_model_state(model, state)
    return model.to(network.device).eval()


@contextmanager
def _watched(model: nn.Module, names: list[str]) -> Iterator[dict[str, Tensor]]:
    """Give what the layers of these names give in this block."""
    given: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, inputs, output: given.__setitem__(name, output)

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()
