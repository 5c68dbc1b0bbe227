"""A network's blocks in their order, each with the inputs that its layers see through the blocks before it."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.models.body import body_of
from ticketzoo.models.layers import is_conv1d
from ticketzoo.pruning.probe import Probe

Reduce = Callable[[Tensor], Tensor]
"""From inputs [tokens, inputs] of a layer to what is summed over all of them."""

_Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass
class Block:
    """A block of a network: what runs between two places where nothing else is remembered.

    Attributes:
        module: the block.
        layers: its layers with a masked weight, by the name of that weight.
        inputs: its arguments, of each calibration batch.
        who: begins messages.
    """

    module: nn.Module
    layers: dict[str, nn.Module]
    inputs: list[_Call]
    who: str

    def weight(self, name: str) -> nn.Parameter:
        """Return a masked weight."""
        return self.layers[name].get_parameter("weight")

    @torch.no_grad()
    def summed(self, reduce: Reduce) -> dict[str, Tensor]:
        """Return, for each layer, the sum of `reduce` of its inputs, over batches and processes, on the CPU.

        Raises:
            RunError: inputs that are not finite.
        """
        sums: dict[str, Tensor] = {}

        def note(name: str, layer: nn.Module, given: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            axis = 1 if isinstance(layer, _ConvNd) else -1
            inputs: Tensor = given[0] if given else next(iter(keywords.values()))
            part = reduce(inputs.detach().float().movedim(axis, -1).flatten(0, -2))
            sums[name] = sums[name] + part if name in sums else part

        hooks = [
            layer.register_forward_pre_hook(partial(note, name), with_kwargs=True)
            for name, layer in self.layers.items()
        ]
        try:
            self.run()
        finally:
            for hook in hooks:
                hook.remove()
        if missing := [name for name in self.layers if name not in sums]:
            raise RunError(f"{self.who}: '{missing[0]}' sees no input on the calibration texts: exclude its layer")
        found = {name: processes.summed_tensor(total) for name, total in sums.items()}
        for name, total in found.items():
            if not bool(total.isfinite().all()):
                what = f"{self.who}: the inputs of '{name}' are NaN or infinite on the calibration texts"
                raise RunError(f"{what}: the weights or the data are damaged")
        return found

    @torch.no_grad()
    def run(self) -> list[_Call]:
        """Return what the block gives for all batches, as the arguments of the block after it."""
        given = []
        for arguments, keywords in self.inputs:
            output = self.module(*arguments, **keywords)
            hidden = output[0] if isinstance(output, tuple) else output
            if arguments:
                given.append(((hidden, *arguments[1:]), keywords))
            else:
                given.append(((), keywords | {self._first(keywords): hidden}))
        return given

    def _first(self, keywords: dict[str, Any]) -> str:
        """Return the keyword of what goes from block to block: the first parameter of `forward`, or the first given."""
        named = inspect.signature(self.module.forward).parameters
        return next((name for name in named if name in keywords), next(iter(keywords)))


class _Reached(Exception):
    pass


def walk(probe: Probe, sequences: int, who: str) -> Iterator[Block]:
    """Yield the blocks of a network in order; what their layers are changed to counts for the blocks after them.

    Blocks are the members of the first `nn.ModuleList` that holds a masked weight, as in all decoders and encoders; a
    network without is one block. Remembered are the inputs of one block.

    Args:
        probe: the network, and its data.
        sequences: examples to calibrate with.
        who: begins messages.

    Raises:
        RunError: a masked weight lies outside the blocks, is not a float, or is of no linear or convolution layer.
    """
    model = probe.model().eval()
    blocks = _blocks(model, list(probe.masks))
    layers = [_layers(model, block, probe, who) for block in blocks]
    if outside := [name for name in probe.masks if not any(name in found for found in layers)]:
        raise RunError(f"{who} goes block by block, and '{outside[0]}' lies outside the blocks: add it to exclude")
    calls = _calls_of_first(probe, model, blocks[0], sequences)
    for number, (module, found) in enumerate(zip(blocks, layers, strict=True)):
        block = Block(module, found, calls, who)
        yield block
        if number + 1 < len(blocks):
            calls = block.run()


def _blocks(model: nn.Module, names: list[str]) -> list[nn.Module]:
    masked = {id(model.get_parameter(name)) for name in names}
    for module in body_of(model).modules():
        if isinstance(module, nn.ModuleList) and masked & {id(parameter) for parameter in module.parameters()}:
            return list(module)
    return [model]


def _layers(model: nn.Module, block: nn.Module, probe: Probe, who: str) -> dict[str, nn.Module]:
    """Return the layers of a block whose weight is masked, in the order of the masks."""
    inside, found = {id(parameter) for parameter in block.parameters()}, {}
    for name in probe.masks:
        weight = model.get_parameter(name)
        if id(weight) not in inside:
            continue
        layer = model.get_submodule(name.rpartition(".")[0])
        if not weight.is_floating_point():
            dtype = str(weight.dtype).removeprefix("torch.")
            raise RunError(f"{who}: '{name}' is {dtype}: a quantised layer cannot be scored; load the model as floats")
        if not name.endswith("weight") or not (isinstance(layer, nn.Linear | _ConvNd) or is_conv1d(layer)):
            kind = type(layer).__name__
            raise RunError(f"{who} scores linear and convolution layers, and '{name}' is of {kind}: exclude it")
        found[name] = layer
    return found


@torch.no_grad()
def _calls_of_first(probe: Probe, model: nn.Module, first: nn.Module, sequences: int) -> list[_Call]:
    """Return the arguments of the first block for all calibration batches, of which each is one example."""
    calls: list[_Call] = []

    def note(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        calls.append((arguments, keywords))
        raise _Reached

    hook = first.register_forward_pre_hook(note, with_kwargs=True)
    try:
        for loss in probe.losses(model, sequences):
            try:
                loss()
            except _Reached:
                continue
    finally:
        hook.remove()
    return calls
