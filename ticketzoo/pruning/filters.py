"""The structure `filters`: whole filters, with the inputs that other layers take from them, so that both can be cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from ticketzoo.errors import ModelError, RecipeError, RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.topk import keep_highest
from ticketzoo.models.filter_flows import Flow, Flows, filter_flows
from ticketzoo.models.layers import layer_of, matches
from ticketzoo.pruning.part import PartConfig
from ticketzoo.pruning.schedule import SCHEDULES
from ticketzoo.pruning.scope import Group, Layer
from ticketzoo.pruning.structure import STRUCTURES, Structure
from ticketzoo.ticket.fields import FilterLayer
from ticketzoo.ticket.structure import implied_masks
from ticketzoo.util.text import show_names


class FiltersConfig(PartConfig):
    """The keys of structure `filters`.

    Attributes:
        name: name of the structure.
        order: `independent` scores each layer's filters over all their inputs; `greedy` goes from layer to layer and
            leaves out the inputs that come from filters removed in this round.
        layers: patterns of the convolutions that lose filters; by default all whose filters can go.
        skip: patterns of those among them that lose none.
    """

    name: str = "filters"
    order: Literal["independent", "greedy"] = "independent"
    layers: tuple[str, ...] | None = None
    skip: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilterStructure(Structure):
    """The structure on a network. Its units are the filters of the layers in `flows`."""

    flows: Mapping[str, Flow] = field(default_factory=dict)
    greedy: bool = False
    milder: str = ""
    """Advice by which key of the schedule more filters stay."""

    @property
    def stated(self) -> dict[str, FilterLayer]:
        """The layers as ticket.json states them."""
        return {name: FilterLayer(consumers=list(flow.consumers), area=flow.area) for name, flow in self.flows.items()}

    def layers(self, masks: Masks) -> dict[str, Layer]:
        """Return the layers that lose filters, and how many each has left. Raises RecipeError if one has no mask."""
        for name, flow in self.flows.items():
            if missing := [reader for reader in (name, *flow.consumers) if reader not in masks]:
                reads = f"which reads '{layer_of(name)}', " * (missing[0] != name)
                remedy = f"take it out of finder.exclude, or '{layer_of(name)}' out by finder.prune.structure.skip"
                raise RecipeError(f"structure filters: '{layer_of(missing[0])}', {reads}is not pruned: {remedy}")
        return {
            name: Layer(tuple(masks[name].shape), len(kept), int(kept.count_nonzero()))
            for name, kept in self.units(masks).items()
        }

    def units(self, masks: Masks) -> Masks:
        """Return the filters that the masks keep, a bool for each, by layer."""
        return {name: masks[name].flatten(1).any(1) for name in self.flows}

    def check(self, groups: Sequence[Group]) -> None:
        """Raise RecipeError where a layer that is ranked alone would lose every filter, and for greedy in others."""
        for names, count in groups:
            if self.greedy and len(names) > 1:
                raise RecipeError("structure filters: order: greedy goes from layer to layer: set scope: layerwise")
            if len(names) == 1 and not count:
                milder = f", or {self.milder}" * bool(self.milder)
                raise RecipeError(f"structure filters: {_all_gone(names[0])}; ask for fewer levels{milder}")

    def best(
        self, scores: Mapping[str, Tensor], masks: Masks, groups: Sequence[Group], by_magnitude: bool, scored: Masks
    ) -> Masks:
        """Return the masks without the filters of lowest score, and without the inputs that come from them.

        A filter's score is the sum over its weights: by magnitude the L1 norm (Li et al. 2017, section 3.1), of all
        inputs that were there when it was scored, or with `order: greedy` of those that are left (section 3.2).
        """
        found = dict(masks)
        for names, count in groups:
            units = {name: kept for name, kept in self.units(found).items() if name in names}
            sums = {name: _sums(scores[name], (found if self.greedy else scored)[name], by_magnitude) for name in units}
            kept = keep_highest(sums, units, count)
            for name, left in kept.items():
                if not left.any():
                    milder = f"{self.milder}, or " * bool(self.milder)
                    raise RunError(f"structure filters: {_all_gone(name)}; {milder}set scope: layerwise")
                implied = implied_masks(masks, {name: left.nonzero().flatten().tolist()}, {name: self.stated[name]})
                found |= {one: found[one] & mask for one, mask in implied.items()}
        return found


def _all_gone(name: str) -> str:
    return f"every filter of '{layer_of(name)}' would go"


def _sums(scores: Tensor, where: Tensor, by_magnitude: bool) -> Tensor:
    values = scores.detach().double().to(where.device).where(where, 0)
    return (values.abs() if by_magnitude else values).flatten(1).sum(1)


def _on(row: Structure, model: nn.Module | None, config: FiltersConfig, schedule: PartConfig) -> FilterStructure:
    """Return the structure on `model`. Raises RecipeError for filters that cannot go, by `layers` or a layer's rate."""
    if model is None:
        raise RecipeError("structure filters: follows the graph of a network, and only weights are given")
    try:
        flows = filter_flows(model)
    except ModelError as error:
        raise RecipeError(f"structure filters: {error}") from None
    for key, named in (("prune.structure.layers", config.layers or ()), ("rates", schedule.layer_patterns)):
        for pattern in named:
            _check(flows, key, pattern)
    for pattern in config.skip:
        if not any(matches(name, pattern) for name in flows):
            raise RecipeError(f"finder.prune.structure.skip: {pattern!r} matches no convolution: {_there(flows)}")
    wanted = config.layers or ("*",)
    chosen = {
        name: flow
        for name, flow in flows.items()
        if isinstance(flow, Flow)
        and any(matches(name, pattern) for pattern in wanted)
        and not any(matches(name, pattern) for pattern in config.skip)
    }
    if not chosen:
        why = next((f": '{layer_of(name)}' cannot, as {flow}" for name, flow in flows.items()), "")
        raise RecipeError(f"structure filters: the network has no convolution whose filters can go{why}")
    facts = {key: getattr(row, key) for key in row.__dataclass_fields__}
    milder = SCHEDULES[schedule.name].milder
    return FilterStructure(**facts, flows=chosen, greedy=config.order == "greedy", milder=milder)


def _check(flows: Flows, key: str, pattern: str) -> None:
    named = {name: flow for name, flow in flows.items() if matches(name, pattern)}
    if not named:
        raise RecipeError(f"finder.{key}: {pattern!r} matches no convolution: {_there(flows)}")
    for name, flow in named.items():
        if isinstance(flow, str):
            raise RecipeError(f"finder.{key}: the filters of '{layer_of(name)}' cannot go: {flow}")


def _there(flows: Flows) -> str:
    able = [layer_of(name) for name, flow in flows.items() if isinstance(flow, Flow)]
    return f"filters can go of {show_names(able) or 'none'}"


@STRUCTURES.add(
    "filters",
    cite="Li et al. 2017, section 3",
    words="filters of convolutions, with the inputs that other layers take from them",
    config=FiltersConfig,
    scope="layerwise",
    on=_on,
)
def filters(scores: Mapping[str, Tensor], masks: Masks, count: int, by_magnitude: bool) -> Masks:
    """Remove whole filters; on a network alone, where `FilterStructure.best` does it."""
    raise RunError("structure filters: follows the graph of a network, and only weights are given")
