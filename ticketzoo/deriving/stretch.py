"""Elastic tickets: one stretched to a deeper network of its family, or squeezed to a shallower one.

Chen et al. 2021, "The Elastic Lottery Ticket Hypothesis" (arXiv 2103.16547), sec. 3: the units that a network repeats
are copied, or left out, with their masks, their weights and the statistics of their norm; everything else stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ticketzoo.deriving.layout import Layout, Pair
from ticketzoo.deriving.units import ORDERS, checked_copies, mapped, ordered
from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.ticket.config import BaseRewind, StoredRewind, TicketConfig
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.found import Found
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.text import for_terminal

METHOD = "stretch"
WORDS = "units of a ticket copied, or left out, for a network of another depth (Chen et al. 2021)"


def stretched(
    ticket: Ticket,
    architecture: Mapping[str, Any],
    copies: str = "append",
    *,
    name: str,
) -> Ticket:
    """Return the ticket of another network that copies of a ticket's units make: all its levels and replicates.

    Args:
        ticket: to be trained from weights; those of a base model become the new ticket's own, all of them, at level 0.
        architecture: of a network of its family, as `ticketzoo.models.architecture_of` gives it.
        copies: `append` or `interpolate`, or the copies of each unit, such as `1:1,3;2:2,4`; see
            `ticketzoo.deriving.units`.
        name: of the new ticket.

    Raises:
        ModelError, RegistryError: a network that cannot be built, weights of a base that cannot be fetched.
        TicketError: a ticket of another family or width, one with trained values, a map that misses a unit.
    """
    config = ticket.config
    if config.use != "train" or config.values is not None:
        what = f"'{for_terminal(config.name)}' is used as it is, or is a delta"
        raise TicketError(f"{what}: only tickets that are trained can be stretched")
    pair = Pair(config, architecture)
    by_order = copies in ORDERS
    copied = ordered(*pair.stages, copies, pair.names[1]) if by_order else mapped(*pair.stages, copies, pair.names)
    layout = pair.layout(copied)
    rewind = config.rewind
    steps = [rewind.step] * len(ticket.seeds)
    if isinstance(rewind, StoredRewind):
        steps = [rewind.step_of(number) for number in range(len(ticket.seeds))]
    return Ticket.create(
        name=name,
        architecture=architecture,
        task=config.task,
        source=config.source.model_dump(mode="json"),
        pruning=_pruning(config, layout),
        replicates=[_replicate(ticket, seed, layout) for seed in ticket.seeds],
        rewind_step=steps,
        rewinding=getattr(rewind, "rewinding", "weights"),
        rewind_kind="signed" if rewind.kind == "signed" else "packed",
        masked=config.masked,
        license=config.license,
        derived={
            "method": METHOD,
            "parents": [{"name": config.name, "mask_sha256": config.mask_sha256}],
            "arguments": {**({"order": copies} if by_order else {}), "units": copied},
        },
    )


def check_stretched(ticket: Contents, parents: Sequence[Contents]) -> bool:
    """Hold the masks of a stretched ticket, and the weights that it starts from, against those that its parent gives.

    Returns:
        whether weights were at hand, and compared.

    Raises:
        TicketError: it states other units than the networks have, or has other masks, levels, seeds or weights.
        ModelError: one of the networks cannot be built.
    """
    (parent,) = parents
    architecture, derived = ticket.config.architecture, ticket.config.derived
    assert derived is not None
    pair = Pair(parent.config, architecture.model_dump(mode="json", exclude_none=True))
    layout = pair.layout(checked_copies(*pair.stages, derived.arguments.get("units")))
    for key, mine, others in (
        ("levels", [one.level for one in ticket.levels], _levels(parent)),
        ("seeds", ticket.seeds, parent.seeds),
    ):
        if mine != others:
            raise TicketError(f"its {key} are {mine}, and its parent's {others}")
    whole, by_level = True, parent.config.rewind.levels is not None
    for seed in ticket.seeds:
        for number, entry in enumerate(ticket.levels):
            view, where = ticket.at(level=entry.level, seed=seed), f"at level {entry.level} (seed {seed})"
            if wrong := _differing(view.masks, layout.of(_masks(parent, entry.level, seed))):
                raise TicketError(
                    f"its masks are not the stretch of its parent's: '{for_terminal(wrong)}' {where} differs"
                )
            if by_level or number == 0:
                other = parent.at(level=entry.level if by_level else parent.levels[0].level, seed=seed)
                whole &= _same_weights(view, other, layout, where)
    return whole


def _replicate(ticket: Contents, seed: int, layout: Layout) -> Found:
    masks = {level: layout.of(_masks(ticket, level, seed)) for level in _levels(ticket)}
    views = {entry.level: ticket.at(level=entry.level, seed=seed) for entry in ticket.levels}
    if ticket.config.rewind.levels is not None:
        return Found(seed, masks, rewind_levels={level: layout.of(view.known_state) for level, view in views.items()})
    return Found(seed, masks, rewind_state=layout.of(_start(next(iter(views.values())))[0]))


def _levels(parent: Contents) -> list[int]:
    """Return the levels of what a ticket makes: of one of a base model also 0, so that it has all weights of that."""
    levels = [entry.level for entry in parent.levels]
    return [0, *levels] if isinstance(parent.config.rewind, BaseRewind) and 0 not in levels else levels


def _masks(parent: Contents, level: int, seed: int) -> Masks:
    if level in [entry.level for entry in parent.levels]:
        return parent.at(level=level, seed=seed).masks
    return {name: torch.ones_like(mask) for name, mask in parent.at(seed=seed).masks.items()}


def _start(parent: Contents) -> tuple[State, Masks]:
    """Return the weights that a replicate starts from, all that are known, and where masked ones are."""
    base = parent.base_state
    if base is None:
        return parent.known_state, parent.known_rewind
    return base, {name: torch.ones_like(mask) for name, mask in parent.masks.items()}


def _pruning(config: TicketConfig, layout: Layout) -> dict[str, Any]:
    not_trained = set(config.pruning.not_trained)
    return {
        "method": METHOD,
        "scope": config.pruning.scope,
        "not_trained": [name for name, there in layout.sources.items() if there in not_trained],
        "words": {"method": WORDS},
    }


def _same_weights(view: Contents, parent: Contents, layout: Layout, where: str) -> bool:
    """Tell whether weights are at hand. Raises TicketError where those that the parent knows are others."""
    try:
        mine, (other, known) = view.known_state, map(layout.of, _start(parent))
    except RegistryError:
        return False
    for name, one in known.items():
        mine[name], other[name] = mine[name][one], other[name][one]
    if wrong := _differing(mine, other):
        name = for_terminal(wrong)
        raise TicketError(f"its rewind weights are not the stretch of its parent's: '{name}' {where} differs")
    return True


def _differing(mine: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str | None:
    """Return the name of a tensor that differs, or that only one has; None where there is none."""
    if mine.keys() != other.keys():
        return min(mine.keys() ^ other.keys())
    return next((name for name in mine if state_sha256({"": mine[name]}) != state_sha256({"": other[name]})), None)
