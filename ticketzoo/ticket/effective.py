"""Effective sparsity of a ticket: kept weights on no path from input to output count as removed, too."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ticketzoo.errors import ModelError
from ticketzoo.masks.masks import Masks, kept, sparsity_of, total
from ticketzoo.models.body import model_names_of
from ticketzoo.models.effective_masks import effective_masks
from ticketzoo.models.layers import is_bias
from ticketzoo.ticket.build import build_architecture, most_parameters
from ticketzoo.ticket.config import CUSTOM, Architecture, BaseRewind
from ticketzoo.util.text import show_numbers

if TYPE_CHECKING:
    from ticketzoo.ticket.contents import Contents

MOST_WEIGHTS = 30_000_000
"""Prunable weights up to which paths are followed for a card."""

QUICK = 8_000_000
"""Prunable weights times levels up to which they are followed where a ticket is merely looked at."""

BEGINS = "Effective sparsity"
"""First words of the lines."""

TOKENS = 8

NOT_FOLLOWED = "paths cannot be followed through this network"
"""Said whatever went wrong: a card that quoted the error would be another with another version of PyTorch."""


@dataclass(frozen=True)
class EffectiveLevel:
    """A level's weights on a path from input to output.

    Attributes:
        level: of the ticket.
        sparsity: fraction of the prunable weights that the masks remove.
        effective_sparsity: fraction that they remove or that lies on no path.
        kept: weights that the masks keep.
        effective: those of them on a path.
        layers: by parameter name, how many are kept and how many of them are on a path.
    """

    level: int
    sparsity: float
    effective_sparsity: float
    kept: int
    effective: int
    layers: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Effective:
    """Levels of one replicate, or the reason why paths are not known."""

    seed: int
    levels: tuple[EffectiveLevel, ...] = ()
    why_not: str = ""

    def lines(self) -> list[str]:
        """Return what a card says: a line for each level with kept weights on no path, or one line for all."""
        if self.why_not:
            return [f"{BEGINS} is not known: {self.why_not}"]
        lost = [one for one in self.levels if one.effective < one.kept]
        whole = [one.level for one in self.levels if one.effective == one.kept and one.sparsity > 0]
        lines = [f"{BEGINS} at level {one.level} (seed {self.seed}): {_words(one)}" for one in lost]
        if whole:
            which = f"level{'s' * (len(whole) > 1)} {show_numbers(whole)}"
            every = "every kept weight is on a path from input to output"
            lines.insert(0, f"{BEGINS} at {which} (seed {self.seed}) is the sparsity: {every}")
        return lines


def _words(one: EffectiveLevel) -> str:
    layers = [f"{name} {on:,} of {there:,}" for name, (there, on) in one.layers.items() if on < there]
    said = f"{one.effective_sparsity:.4f} in place of {one.sparsity:.4f}"
    where = f"on a path from input to output are {one.effective:,} of {one.kept:,} kept weights"
    return f"{said}; {where} ({', '.join(layers)})"


Inputs = Tensor | Mapping[str, Tensor]
"""An example: the first argument of a network, or arguments by name."""


def effective_sparsity(
    ticket: "Contents",
    *,
    most: int | None = MOST_WEIGHTS,
    network: nn.Module | None = None,
    inputs: Inputs | None = None,
) -> Effective:
    """Return the effective sparsities of a ticket's levels, of the replicate that it is a view of.

    A path also begins at a bias that is not 0 in the weights that the level starts from. Those of a base model are not
    fetched: there all biases begin paths. See `ticketzoo.models.effective_masks.effective_masks`.

    Args:
        ticket: the ticket.
        most: prunable weights above which nothing is computed; None for no such bound.
        network: of a ticket over a network of one's own, that network on the CPU: a copy of it is looked at.
        inputs: goes with it, an example of any values.
    """
    config = ticket.config
    if network is not None and inputs is not None:
        return _of_own(ticket, network, {"": inputs} if isinstance(inputs, Tensor) else inputs)
    if most is not None and config.prunable_weights > most:
        many = f"the network has {config.prunable_weights:,} prunable weights, more than {most:,}"
        return Effective(ticket.seed, why_not=f"{many}: ask ticketzoo.ticket.effective for it")
    try:
        if reason := _unknown_network(config.architecture):
            return Effective(ticket.seed, why_not=reason)
        stated = config.architecture
        inputs = example_inputs(stated.library, stated.name, stated.kwargs)
        model = build_architecture(stated, 0, at_most=most_parameters(config, {}))
        return Effective(ticket.seed, tuple(_levels(ticket, model, inputs)))
    except (ModelError, RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError):
        return Effective(ticket.seed, why_not=NOT_FOLLOWED)


def _of_own(ticket: "Contents", network: nn.Module, inputs: Mapping[str, Tensor]) -> Effective:
    there = {name: parameter.shape for name, parameter in network.named_parameters()}
    masks = model_names_of(ticket.masks, network)
    if wrong := [name for name, mask in masks.items() if there.get(name) != mask.shape]:
        return Effective(ticket.seed, why_not=f"the network has no parameter '{wrong[0]}' of the ticket's shape")
    ones = {name: torch.ones_like(value) for name, value in inputs.items()}
    try:
        return Effective(ticket.seed, tuple(_levels(ticket, copy.deepcopy(network), ones)))
    except ModelError as error:
        return Effective(ticket.seed, why_not=str(error))


def _unknown_network(stated: Architecture) -> str:
    """Return why the network or its input is not known, "" where both are."""
    try:
        example_inputs(stated.library, stated.name, stated.kwargs)
        if stated.library == CUSTOM:
            build_architecture(stated, 0)
    except ModelError as error:
        return str(error)
    return ""


def _levels(ticket: "Contents", model: nn.Module, inputs: Mapping[str, Tensor]) -> Iterator[EffectiveLevel]:
    config = ticket.config
    with_weights = not isinstance(config.rewind, BaseRewind)
    for entry in config.levels:
        at = ticket.at(level=entry.level)
        live = biases_of(model_names_of(at.rewind_state, model)) if with_weights else None
        masks = model_names_of(at.masks, model)
        yield _level(entry.level, masks, effective_masks(model, masks, inputs, live))


def _level(level: int, masks: Masks, on: Masks) -> EffectiveLevel:
    there, reached, all_of = kept(masks), kept(on), total(masks)
    layers = {name: (int(mask.count_nonzero()), int(on[name].count_nonzero())) for name, mask in masks.items()}
    return EffectiveLevel(level, sparsity_of(there, all_of), sparsity_of(reached, all_of), there, reached, layers)


def biases_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the biases of a state, at which paths may begin."""
    return {name: tensor for name, tensor in state.items() if is_bias(name)}


def example_inputs(library: str, name: str, kwargs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return an example of ones, as `effective_masks` takes it. Raises ModelError where the input is not known."""
    shape = kwargs.get("in_shape")
    if isinstance(shape, list):
        return {"": torch.ones([1, *(int(str(side)) for side in shape)])}
    if isinstance(size := kwargs.get("observation"), int):
        return {"": torch.ones(1, size)}
    if library == "transformers":
        tokens = torch.ones(1, TOKENS, dtype=torch.long)
        return {"input_ids": tokens, "attention_mask": tokens}
    raise ModelError(f"what {name} takes as input is not stated")
