"""Random walks over the weights of a network, from inputs to outputs and back: the paths that PHEW keeps."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.fx import Node

from ticketzoo.errors import ModelError, RunError
from ticketzoo.models.graph import is_sum, traced

Direction: TypeAlias = Literal["forward", "backward"]


@dataclass
class Weight:
    """A linear or convolution layer on the way, as float64 magnitudes.

    Attributes:
        name: of its parameter.
        steps: [outputs, inputs]: the sum of the kernel between two units, 0 where there is none.
        kernels: [outputs, inputs of a group, positions]: the single weights.
        inputs: units of a group.
    """

    name: str
    steps: Tensor
    kernels: Tensor
    inputs: int

    @classmethod
    def of(cls, name: str, layer: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d, weight: Tensor) -> "Weight":
        """Return the weight of a layer."""
        kernels = (
            weight.detach().double().abs().cpu().flatten(2) if weight.dim() > 2 else weight.detach().double().abs()
        )
        kernels = kernels.cpu().reshape(weight.shape[0], weight.shape[1], -1)
        groups = getattr(layer, "groups", 1)
        blocks = kernels.sum(2).chunk(groups)
        return cls(name, torch.block_diag(*blocks), kernels, weight.shape[1])

    def places(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Return the index of the first weight of the kernel between units, in C order of the parameter."""
        return (outputs * self.inputs + inputs % self.inputs) * self.kernels.shape[2]


@dataclass
class Stop:
    """A place on the way: what comes next, and what happens to a walk that comes through.

    Attributes:
        units: of its output.
        area: outputs for each unit of its input, where an image is flattened.
        weight: of a layer.
        before: indices of the stops that lead to it.
        after: indices of the stops that it leads to.
    """

    units: int
    area: int = 1
    weight: Weight | None = None
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)


def stops(model: nn.Module, ones: Tensor) -> list[Stop]:
    """Return the stops of a network from input to output, in the order of its forward pass.

    Followed are linear and convolution layers, sums (shortcuts), flattening, and all that treats units by themselves.

    Args:
        model: in evaluation mode.
        ones: an input of one example.

    Raises:
        RunError: the network's graph has anything else.
    """
    try:
        graph = traced(model, ones)
    except ModelError as error:
        raise RunError(f"walks: {error}") from None
    modules, names = dict(model.named_modules()), {id(p): name for name, p in model.named_parameters()}
    found: list[Stop] = []
    index: dict[Node, int] = {}
    for node in graph.nodes:
        sources = [one for one in node.all_input_nodes if one in index]
        if node.op == "output":
            found = found[: index[sources[0]] + 1] if len(sources) == 1 else []
            break
        if not isinstance(node.meta.get("tensor_meta"), tuple) or (node.op != "placeholder" and not sources):
            continue
        index[node] = len(found)
        found.append(_stop(node, sources, modules, names))
        for source in sources:
            found[-1].before.append(index[source])
            found[index[source]].after.append(index[node])
    if not found:
        raise RunError(f"walks need a network of one output, and {type(model).__name__} has another number")
    return _on_the_way(found)


def _stop(node: Node, sources: list[Node], modules: dict[str, nn.Module], names: dict[int, str]) -> Stop:
    shape = _shape(node)
    if node.op == "placeholder":
        return Stop(shape[1])
    module = modules.get(str(node.target)) if node.op == "call_module" else None
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return Stop(shape[1], weight=Weight.of(names[id(module.weight)], module, module.weight))
    before = _shape(sources[0])
    if len(sources) > 1 and not (is_sum(node) and all(_shape(one)[1] == shape[1] for one in sources)):
        raise RunError(f"walks do not go through {node.name}, which reads {len(sources)} tensors and does not add them")
    if shape[1] == before[1]:
        return Stop(shape[1])
    if shape[1] == prod(before[1:]):
        return Stop(shape[1], area=prod(before[2:]))
    raise RunError(f"walks do not go through {node.name}, from {before[1]} to {shape[1]} units without a weight")


def _shape(node: Node) -> tuple[int, ...]:
    shape = tuple(node.meta["tensor_meta"].shape)
    if len(shape) < 2:
        raise RunError(f"walks do not go through {node.name}, which has no units")
    return shape


def _on_the_way(found: list[Stop]) -> list[Stop]:
    """Leave out of `after` and `before` what does not lead from the input to the output."""
    to_end, from_start = {len(found) - 1}, {0}
    for number in reversed(range(len(found))):
        if to_end & set(found[number].after):
            to_end.add(number)
    for number, stop in enumerate(found):
        if from_start & set(stop.before):
            from_start.add(number)
    good = to_end & from_start
    for stop in found:
        stop.before, stop.after = ([one for one in ends if one in good] for ends in (stop.before, stop.after))
    return found


@dataclass(frozen=True)
class Met:
    """Edges that walks met: the walk of each, the stop, and the units it joins."""

    walks: Tensor
    stop: int
    inputs: Tensor
    outputs: Tensor


def walk(way: list[Stop], walks: Tensor, direction: Direction, generator: torch.Generator) -> Iterator[Met]:
    """Yield the edges that walks meet, stop by stop.

    A walk number j starts at unit j modulo their number, of the inputs or the outputs. Of several ways on it takes each
    with the same probability, and of the edges of a layer each in proportion to its magnitude.

    Args:
        way: of `stops`.
        walks: int64: their numbers.
        direction: `forward` from the inputs, `backward` from the outputs.
        generator: draws.
    """
    forward = direction == "forward"
    first = _first(way) if forward else len(way) - 1
    here: dict[int, list[tuple[Tensor, Tensor]]] = {first: [(walks, walks % way[first].units)]}
    for number in range(first, len(way)) if forward else range(first, -1, -1):
        if number not in here:
            continue
        who, units = (torch.cat(parts) for parts in zip(*here.pop(number), strict=True))
        stop = way[number]
        if number != first or not forward:
            if stop.weight is not None:
                going, others = _step(stop.weight, units, forward, generator)
                who, units = who[going], units[going]
                yield Met(who, number, *((units, others) if forward else (others, units)))
                units = others
            elif stop.area > 1:
                drawn = torch.randint(stop.area, units.shape, generator=generator)
                units = units * stop.area + drawn if forward else units // stop.area
        ends = stop.after if forward else stop.before
        if not ends or not len(who):
            continue
        choice = torch.randint(len(ends), who.shape, generator=generator)
        for which, end in enumerate(ends):
            chosen = choice == which
            here.setdefault(end, []).append((who[chosen], units[chosen]))


def _first(way: list[Stop]) -> int:
    """Return the stop that forward walks start from: the input, or where it is flattened before any layer."""
    number = 0
    while len(way[number].after) == 1 and way[way[number].after[0]].weight is None:
        number = way[number].after[0]
    return number


def _step(weight: Weight, units: Tensor, forward: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return which walks get on, and the units that those step to."""
    table = weight.steps.T if forward else weight.steps
    return draw(table[units], generator)


def draw(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return which rows [n, m] of weights are not all 0, and of each of those a column, in proportion to its weight."""
    sums = rows.cumsum(1)
    going = sums[:, -1] > 0
    drawn = torch.rand(len(rows), 1, dtype=torch.float64, generator=generator) * sums[:, -1:]
    columns = torch.searchsorted(sums, drawn, right=True).squeeze(1).clamp(max=rows.shape[1] - 1)
    return going, columns[going]
