"""A ticket whose hidden units were put where their match is in another network of the same architecture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ticketzoo.aligning.permutation import Permutations, permuted
from ticketzoo.errors import TicketError
from ticketzoo.models import create_from_architecture
from ticketzoo.models.state import State
from ticketzoo.models.unit_groups import UnitGroups, unit_groups
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.found import Found
from ticketzoo.ticket.start_weights import differing_weight, start_weights
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.text import for_terminal

METHOD = "align"
FILE = "alignment.safetensors"
"""The further file of the ticket that holds the order of units."""
OWN, MOVED = "own", "moved"
"""The weights under the masks: those of the network that units were matched to, or the ticket's, units moved."""


@dataclass(frozen=True)
class Match:
    """The match of a replicate's hidden units in another network.

    Attributes:
        seed: of the replicate.
        to_seed: of the other network.
        by: name of the alignment.
        groups: hidden units of both.
        order: of the replicate's units, after which they are where their match is.
        state: weights to train from.
        step: the iteration that they are of.
        weights: `own` or `moved`.
    """

    seed: int
    to_seed: int
    by: str
    groups: UnitGroups
    order: Permutations
    state: State
    step: int
    weights: str


def aligned(ticket: Ticket, match: Match, *, name: str) -> Ticket:
    """Return the ticket of one replicate's masks, their units moved, at all levels, on the weights of the match."""
    config = ticket.config
    masks = {
        entry.level: permuted(ticket.at(level=entry.level, seed=match.seed).masks, match.groups, match.order)
        for entry in ticket.levels
    }
    made: Ticket = Ticket.create(
        name=name,
        architecture=config.architecture.model_dump(mode="json", exclude_none=True),
        task=config.task,
        source=config.source.model_dump(mode="json"),
        pruning={
            "method": METHOD,
            "scope": config.pruning.scope,
            "not_trained": list(config.pruning.not_trained),
            "words": {"method": words_of(match.seed, match.to_seed, match.by)},
        },
        replicates=[Found(match.to_seed, masks, match.state)],
        rewind_step=match.step,
        rewinding=getattr(config.rewind, "rewinding", "weights"),
        masked=config.masked,
        license=config.license,
        derived={
            "method": METHOD,
            "parents": [{"name": config.name, "mask_sha256": config.mask_sha256}],
            "arguments": {"seed": match.seed, "to_seed": match.to_seed, "by": match.by, "weights": match.weights},
        },
        files={FILE: save({group: order.contiguous() for group, order in match.order.items()})},
    )
    return made


def words_of(seed: object, to_seed: object, by: object) -> str:
    """Return what a card says of the way an aligned ticket was made."""
    return f"hidden units of seed {seed} put where their match is in seed {to_seed} ({by}) (Adnan et al. 2025)"


def is_alignment(config: TicketConfig) -> bool:
    """Tell whether a ticket states that it is another one with its units moved."""
    return config.derived is not None and config.derived.method == METHOD and len(config.derived.parents) == 1


def check_aligned(ticket: Contents, parents: Sequence[Contents]) -> bool:
    """Hold the masks of an aligned ticket, and the weights that it starts from, against those of its parent.

    The order of units is read from the ticket; that it is the best one is not looked at.

    Returns:
        whether weights were at hand, and compared.

    Raises:
        TicketError: the order is none of the network's units, or what the parent gives by it is something else.
        ModelError: the network cannot be built, or its units have no order.
    """
    (parent,), derived = parents, ticket.config.derived
    assert derived is not None
    seed, to_seed = derived.arguments.get("seed"), derived.arguments.get("to_seed")
    if not isinstance(seed, int) or seed not in parent.seeds or ticket.seeds != [to_seed]:
        said = for_terminal(f"seed {seed} to {to_seed}")[:100]
        raise TicketError(f"derived.arguments: {said} is not of seeds {parent.seeds} and {ticket.seeds}")
    if parent.config.shapes != ticket.config.shapes:
        raise TicketError(f"its masks are not of the parameters that '{for_terminal(parent.name)}' masks")
    if [one.level for one in parent.levels] != [one.level for one in ticket.levels]:
        raise TicketError("its levels are not its parent's")
    architecture = ticket.config.architecture.model_dump(mode="json", exclude_none=True)
    groups = unit_groups(create_from_architecture(architecture, seed=0))
    order = read_order(ticket.read_file(FILE), groups)
    for entry in ticket.levels:
        view, other = ticket.at(level=entry.level), parent.at(level=entry.level, seed=seed)
        moved, masks = permuted(other.masks, groups, order), view.masks
        if wrong := next((name for name in masks if not masks[name].equal(moved[name])), None):
            where = f"'{for_terminal(wrong)}' at level {entry.level}"
            raise TicketError(f"its masks are not its parent's with units moved: {where} differs")
    return _same_weights(ticket, parent, derived.arguments, (groups, order))


def read_order(content: bytes, groups: UnitGroups) -> Permutations:
    """Return an order of units, as a ticket holds it. Raises TicketError for anything else."""
    try:
        found: Mapping[str, Tensor] = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise TicketError(f"{FILE}: cannot be read: {for_terminal(error)[:200]}") from None
    if found.keys() != groups.sizes.keys():
        raise TicketError(
            f"{FILE}: holds an order of {len(found)} groups of units, and the network has {len(groups.sizes)}"
        )
    for group, size in groups.sizes.items():
        order = found[group]
        if order.dtype != torch.int64 or order.shape != (size,) or not order.sort().values.equal(torch.arange(size)):
            raise TicketError(f"{FILE}: '{for_terminal(group)}' is no order of {size} units")
    return dict(found)


def _same_weights(
    ticket: Contents, parent: Contents, arguments: Mapping[str, Any], match: tuple[UnitGroups, Permutations]
) -> bool:
    """Tell whether weights are at hand. Raises TicketError where those that the parent knows are others."""
    moved = arguments.get("weights") == MOVED
    number = arguments["seed"] if moved else arguments["to_seed"]
    if number not in parent.seeds:
        return False
    mine = start_weights(ticket.at(level=ticket.levels[0].level))
    other = start_weights(parent.at(level=parent.levels[0].level, seed=number))
    if mine is None or other is None or mine.base or other.base:
        return False
    if moved:
        state, known = (permuted(of, *match) for of in (other.state, other.known))
        other = type(other)(None, state, known)
    if (name := differing_weight(mine, other)) is not None:
        raise TicketError(f"its rewind weights are not those of its parent: '{for_terminal(name)}' differs")
    return True
