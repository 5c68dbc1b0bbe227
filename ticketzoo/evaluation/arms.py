"""The arms of a comparison: what a ticket must be measured against before it may be called one."""

from dataclasses import replace
from typing import Literal

import torch

from ticketzoo.masks.masks import Masks, kept
from ticketzoo.masks.random import random_masks, shuffled_masks
from ticketzoo.masks.topk import keep_largest
from ticketzoo.models.create import initial_state
from ticketzoo.models.state import State
from ticketzoo.runs.store import Job
from ticketzoo.seeds import derive_seed

Arm = Literal["ticket", "dense", "random_reinit", "random_mask", "shuffled_mask", "magnitude"]


def arm_job(
    arm: Arm, ticket: Job, *, known: Masks | None = None, draw: int = 0, pretrained: State | None = None
) -> Job:
    """The training that `arm` asks for, given the ticket's.

    Args:
        arm: `ticket`: as given. `dense`: no masks, fresh initialisation of the seed, or the pretrained weights, from
            step 0. `random_reinit`: the ticket's masks on a fresh initialisation, trained from the ticket's start step
            on, so as long as it. `random_mask`: rewind weights under fresh positions, each layer at its density.
            `shuffled_mask`: rewind weights under the ticket's own masks, permuted within each layer (Frankle et al.
            2021, section 4). `magnitude`: the rewind weights of largest magnitude over all layers, as many as the
            ticket keeps, found without any training (one-shot pruning of the pretrained weights in Chen et al. 2020,
            section 3).
        ticket: the ticket's training; its state is the rewind weights.
        known: where `ticket.state` holds rewind weights, when it does not everywhere: a packaged ticket keeps those
            of its densest level only. Weights that a random arm needs elsewhere are the pretrained ones, or initialised
            afresh.
        draw: number of the random draw.
        pretrained: the model's state before the ticket was found, where that was a pretrained one.
    """
    if arm == "ticket":
        return ticket
    if arm == "dense":
        start = pretrained or initial_state(ticket.architecture, ticket.seed)
        return replace(ticket, state=start, masks={}, start_step=0)
    if arm == "random_reinit":
        return replace(ticket, state=initial_state(ticket.architecture, ticket.seed, arm, draw))
    if arm == "magnitude":
        among = known or {name: torch.ones_like(mask) for name, mask in ticket.masks.items()}
        covered = {name: among[name] for name in ticket.masks}
        return replace(ticket, masks=keep_largest(ticket.state, covered, kept(ticket.masks)))
    draw_masks = {"random_mask": random_masks, "shuffled_mask": shuffled_masks}[arm]
    masks = draw_masks(ticket.masks, derive_seed(ticket.seed, arm, draw))
    state = dict(ticket.state)
    if known:
        other = pretrained or initial_state(ticket.architecture, ticket.seed, arm, draw)
        state |= {name: torch.where(mask, state[name], other[name]) for name, mask in known.items()}
    return replace(ticket, state=state, masks=masks)


def draws_of(arm: Arm, draws: int) -> int:
    """How often an arm is drawn where the random ones are drawn `draws` times."""
    return 1 if arm == "magnitude" else draws
