"""The smaller dense network of a ticket whose masks remove whole filters, and what it saves."""

import json
import time
from dataclasses import dataclass
from math import prod
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ticketzoo.errors import ModelError, TicketError
from ticketzoo.models import load_model_state
from ticketzoo.models.filter_flows import Flow, filter_flows
from ticketzoo.models.small import multiplications, small_architecture, small_network
from ticketzoo.models.state import State
from ticketzoo.ticket.build import build_network
from ticketzoo.ticket.config import Filters
from ticketzoo.ticket.structure import check_filters
from ticketzoo.util.text import for_terminal

if TYPE_CHECKING:
    from ticketzoo.ticket.ticket import Ticket

PASSES, IMAGES, PIXELS = 20, 64, 2**20
"""Forward passes that are timed of each network, and the images in each: fewer where they have more pixels in all."""


@dataclass(frozen=True)
class Saved:
    """The size and cost of a network and of the smaller one, in this order.

    Attributes:
        parameters: numbers of them.
        multiplications: of linear and convolution layers, for one image; None where the size of images is not known.
        seconds: medians of the wall-clock of a forward pass of `images` random images on this machine's CPU, likewise.
        images: how many.
    """

    parameters: tuple[int, int]
    multiplications: tuple[int, int] | None
    seconds: tuple[float, float] | None
    images: int = 0

    @property
    def words(self) -> str:
        """All of it in one line."""
        said = f"{self.parameters[0]:,} -> {self.parameters[1]:,} parameters"
        if self.multiplications and self.seconds:
            said += f", {self.multiplications[0]:,} -> {self.multiplications[1]:,} multiplications an image"
            before, after = (1000 * seconds for seconds in self.seconds)
            said += f", {before:.2f} -> {after:.2f} ms for a forward pass of {self.images} images here"
        return said


@dataclass(frozen=True)
class Small:
    """The smaller network, in evaluation mode.

    Attributes:
        network: of the filters that are kept.
        whole: the network that it was cut from.
        kept: indices of the filters that layers keep.
        architecture: by which `ticketzoo.models.create_from_architecture` builds it; None where nothing does.
        in_shape: channels, height and width of its images, if known.
    """

    network: nn.Module
    whole: nn.Module
    kept: dict[str, list[int]]
    architecture: dict[str, Any] | None
    in_shape: tuple[int, ...] | None

    @property
    def metadata(self) -> dict[str, str]:
        """Facts for the header of a file: how to build the network, its shapes, the filters that were kept, as JSON."""
        shapes = {name: list(tensor.shape) for name, tensor in self.network.state_dict().items()}
        facts = {"shapes": json.dumps(shapes), "kept": json.dumps(self.kept)}
        if self.architecture is None:
            return facts
        build = "ticketzoo.models.create_from_architecture(json.loads(architecture), seed=0).load_state_dict(tensors)"
        return facts | {"architecture": json.dumps(self.architecture), "build": build}

    def saved(self) -> Saved:
        """Return what the smaller network saves, measured here."""
        both = (self.whole, self.network)
        parameters = tuple(sum(one.numel() for one in network.parameters()) for network in both)
        if self.in_shape is None:
            return Saved((parameters[0], parameters[1]), None, None)
        count = max(1, min(IMAGES, PIXELS // prod(self.in_shape[1:])))
        images = torch.rand(count, *self.in_shape, generator=torch.Generator().manual_seed(0), device="cpu")
        counts = [multiplications(network, images[:1]) for network in both]
        seconds = [_seconds(network, images) for network in both]
        return Saved((parameters[0], parameters[1]), (counts[0], counts[1]), (seconds[0], seconds[1]), count)


def small_of(ticket: "Ticket", state: State) -> Small:
    """Return the smaller network that the masks of `ticket` leave of the weights `state`.

    Raises:
        TicketError: its masks remove single weights, or are not what its structure says, or the structure is not that
            of the network.
        ModelError: the network is the user's own.
    """
    config, name = ticket.config, for_terminal(ticket.name)
    structure = config.pruning.structure
    if not isinstance(structure, Filters):
        remedy = "a smaller dense network needs a ticket of structure filters; --to state-dict writes this one"
        raise TicketError(f"'{name}': its masks remove single weights, not whole filters: {remedy}")
    if config.masked != "zero":
        raise TicketError(
            f"'{name}': what its masks exclude stays at its start values, so no smaller network equals it"
        )
    kept = dict((config.replicates[config.index_of(ticket.seed)].filters or {})[str(ticket.level)])
    check_filters(ticket.masks, kept, structure.layers)
    if empty := [layer for layer, indices in kept.items() if not indices]:
        raise TicketError(f"'{name}': '{for_terminal(empty[0])}' keeps no filter, so there is no smaller network")
    model = build_network(config, state, 0)
    try:
        load_model_state(model, state)
        flows = filter_flows(model)
    except (RuntimeError, ModelError) as error:
        raise TicketError(f"'{name}': does not fit {config.architecture.name}: {for_terminal(error)[:200]}") from None
    for layer, stated in structure.layers.items():
        flow = flows.get(layer)
        if not isinstance(flow, Flow) or ([*flow.consumers], flow.area) != (stated.consumers, stated.area):
            raise TicketError(f"'{name}': structure: what reads '{for_terminal(layer)}' is not so in the network")
    shape = config.architecture.kwargs.get("in_shape")
    return Small(
        small_network(model, flows, kept).eval(),
        model.eval(),
        kept,
        small_architecture(config.architecture.model_dump(include={"library", "name", "kwargs"}), flows, kept),
        tuple(int(side) for side in shape) if isinstance(shape, list) else None,  # type: ignore[arg-type]
    )


@torch.no_grad()
def _seconds(network: nn.Module, images: Tensor) -> float:
    network(images)
    spans = []
    for _ in range(PASSES):
        begun = time.perf_counter()
        network(images)
        spans.append(time.perf_counter() - begun)
    return median(spans)
