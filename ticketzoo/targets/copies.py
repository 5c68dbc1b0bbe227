"""Stability of tickets on targets: copies trained in data orders of their own, and the lines between them."""

from math import comb
from pathlib import Path

import torch

from ticketzoo.errors import RecipeError
from ticketzoo.instability.measure import Instability
from ticketzoo.instability.recipe import LineConfig
from ticketzoo.instability.run import instability_of
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.replicates import replicate_of
from ticketzoo.targets.run import load_targets, load_tickets, ticket_job
from ticketzoo.zoo.load import load_ticket

Network = tuple[str, str, int]
"""Ticket, target, level."""


def measure_copies(
    recipe: TransferRecipe,
    out: str | Path,
    *,
    copies: int = 2,
    points: int = 21,
    registry: str | Path | None = None,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> dict[Network, Instability]:
    """Return the instability of each ticket of `recipe` on each target at each level (as Chen et al. 2021).

    Copies start from the ticket's weights as its training in the transfer does, in data orders of their own. Trainings
    and points of lines are kept in `out/copies`; the same call after a stop goes on.

    Args:
        recipe: its tickets, levels, targets, training, head and seeds are taken; arms are not.
        out: working folder; that of the transfer, or another.
        copies: of each seed's replicate, at least two.
        points: on the line between each two, both ends included.
        registry: folder in which names of tickets are looked up.
        device: where to train; if None the CPU.
        progress: told how it goes.

    Raises:
        RecipeError: fewer than two copies, or `sparsities` in place of `levels`.
        RegistryError, TicketError, DataError: as `run_transfer`.
        RunError: see `Store`.
    """
    if copies < 2 or not recipe.levels:
        raise RecipeError("stability of tickets: state levels, and two copies or more, to draw a line between")
    tickets = load_tickets(recipe, lambda reference: load_ticket(reference, registry=registry))
    networks = [
        (ticket, target, level)
        for ticket in tickets
        for target in load_targets(recipe, tickets)
        for level in recipe.levels
    ]
    found: dict[Network, Instability] = {}
    with Store(Path(out) / "copies", device=device, progress=progress) as store:
        store.progress.planned(len(networks) * len(recipe.seeds) * (copies + comb(copies, 2)))
        for ticket, target, level in networks:
            views = {seed: replicate_of(ticket, place) for place, seed in enumerate(recipe.seeds)}
            starts = {
                seed: ticket_job(ticket.at(level=level, seed=replicate), target, seed)[0]
                for seed, replicate in views.items()
            }
            where = f"{ticket.name} level {level} on {target.name}"
            look = LineConfig(points=points)
            found[ticket.name, target.name, level] = instability_of(starts, copies, level, look, store, where)
    return found
