"""Arms beside a ticket of whole filters: other filters, and the smaller dense network from scratch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from ticketzoo.errors import RunError
from ticketzoo.evaluation.arm_table import ARMS
from ticketzoo.evaluation.draw import Draw
from ticketzoo.evaluation.drawing import Style
from ticketzoo.masks.masks import Masks
from ticketzoo.models import create_from_architecture
from ticketzoo.models.create import initial_state
from ticketzoo.models.filter_flows import Flow, filter_flows
from ticketzoo.models.small import multiplications, small_architecture
from ticketzoo.seeds import derive_seed
from ticketzoo.ticket.fields import FilterLayer
from ticketzoo.ticket.structure import implied_masks
from ticketzoo.training.job import Job

FILTER_ARMS = ("random_filters", "small_dense")
"""The arms that a claim of filters needs."""


def filters_of_job(job: Job, arm: str) -> dict[str, list[int]]:
    """Return the filters that the masks of a training keep, of each convolution whose filters can go.

    Raises:
        RunError: its masks remove single weights.
    """
    flows = filter_flows(create_from_architecture(job.architecture, seed=0))
    kept = {
        name: job.masks[name].flatten(1).any(1).nonzero().flatten().tolist()
        for name, flow in flows.items()
        if isinstance(flow, Flow) and name in job.masks
    }
    lost = {name: indices for name, indices in kept.items() if len(indices) < len(job.masks[name])}
    for name, mask in _implied(job, lost).items():
        if not torch.equal(mask, job.masks[name]):
            remedy = "it goes with finder.prune.structure: filters"
            raise RunError(f"arm {arm!r}: the mask of '{name}' removes single weights, not whole filters: {remedy}")
    if not lost:
        raise RunError(f"arm {arm!r}: the masks remove no filter: it goes with finder.prune.structure: filters")
    return kept


def _implied(job: Job, kept: Mapping[str, Sequence[int]]) -> Masks:
    """Return the masks of layers and their readers that keep these filters, of readers that have a mask."""
    flows = filter_flows(create_from_architecture(job.architecture, seed=0))
    layers = {}
    for name in kept:
        flow = flows[name]
        assert isinstance(flow, Flow)
        readers = [reader for reader in flow.consumers if reader in job.masks]
        layers[name] = FilterLayer(consumers=readers, area=flow.area)
    return implied_masks(job.masks, {name: list(indices) for name, indices in kept.items()}, layers)


@ARMS.add(
    "random_filters",
    drawn=True,
    least_draws=2,
    structured=True,
    masks="of filters drawn at random, as many of each layer as the ticket keeps",
    weights="the rewind weights",
    style=Style("#8C564B", "<"),
    verdict_control=True,
    cite="Mittal et al. 2018",
)
def random_filters(job: Job, draw: Draw) -> Job:
    """Return the training of the rewind weights of other filters, as many of each layer as the ticket keeps."""
    drawn = {}
    for name, indices in filters_of_job(job, draw.arm).items():
        generator = torch.Generator().manual_seed(derive_seed(draw.seed(job), name))
        order = torch.randperm(len(job.masks[name]), generator=generator, device="cpu")
        drawn[name] = sorted(order[: len(indices)].tolist())
    return replace(job, state=draw.rewind_weights(job), masks={**job.masks, **_implied(job, drawn)})


@ARMS.add(
    "small_dense",
    drawn=True,
    structured=True,
    masks="none: the smaller dense network of the same shapes",
    weights="a fresh initialisation of the smaller network, trained for as many iterations",
    style=Style("#17BECF", ">"),
    verdict_control=True,
    cite="Liu et al. 2019, section 4 (Scratch-E)",
)
def small_dense(job: Job, draw: Draw) -> Job:
    """Return the training of the smaller dense network from scratch, as long as the ticket's."""
    model = create_from_architecture(job.architecture, seed=0)
    small = small_architecture(job.architecture, filter_flows(model), filters_of_job(job, draw.arm))
    if small is None:
        raise RunError(f"arm {draw.arm!r}: {job.architecture.get('name')} takes no widths: leave the arm out")
    state = initial_state(small, job.seed, draw.arm, draw.number)
    return replace(job, architecture=small, state=state, masks={}, start_step=draw.fresh_step(job))


@ARMS.add(
    "small_dense_long",
    drawn=True,
    structured=True,
    masks="none: the smaller dense network of the same shapes",
    weights="as small_dense, trained for as many multiplications as dense",
    style=Style("#BCBD22", "d"),
    cite="Liu et al. 2019, section 4 (Scratch-B)",
)
def small_dense_long(job: Job, draw: Draw) -> Job:
    """Return the training of the smaller dense network that costs as many multiplications as that of the whole one."""
    small = small_dense(job, draw)
    images = torch.zeros(1, *job.architecture["kwargs"]["in_shape"], device="cpu")
    whole, left = (
        multiplications(create_from_architecture(architecture, seed=0), images)
        for architecture in (job.architecture, small.architecture)
    )
    return replace(small, training=job.training.times(whole / left), start_step=0)
