"""Tickets of one network and one start, combined: their masks weight by weight, and the weights they start from."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import kept
from ticketzoo.ticket.base import BaseWeights, shared_base
from ticketzoo.ticket.config import BaseRewind, SeedRewind, StoredRewind
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.found import Found
from ticketzoo.ticket.start_weights import StartWeights, differing_weight, joined, same_start
from ticketzoo.ticket.ways import Way, way_called
from ticketzoo.util.text import for_terminal, numbered

CombinedT = TypeVar("CombinedT", bound=Contents)
MOST_LETTERS = 96

_log = logging.getLogger("ticketzoo")


class Combinable(Contents):
    """A ticket that makes others with `&`, `|` and `-`.

    The masks are those of the two levels in hand. Replicates are paired by the numbers of their seeds: see
    `paired_seeds`. Rows and verdict do not go along: nothing was measured.
    """

    def __and__(self: CombinedT, other: object) -> CombinedT:
        return combined([self, other], "and") if isinstance(other, Combinable) else NotImplemented

    def __or__(self: CombinedT, other: object) -> CombinedT:
        return combined([self, other], "or") if isinstance(other, Combinable) else NotImplemented

    def __sub__(self: CombinedT, other: object) -> CombinedT:
        return combined([self, other], "minus") if isinstance(other, Combinable) else NotImplemented


def combined(
    tickets: Sequence[Any], way: str, *, levels: Sequence[Sequence[int]] | None = None, name: str | None = None
) -> Any:
    """Return the ticket that several make, in memory: of the class of the first.

    Args:
        tickets: at least two, of one network; the levels and seeds of the first number those of the new ticket.
        way: a name in `ticketzoo.ticket.ways.WAYS`, or its short one.
        levels: a level of each ticket, for each new level, rising; by default those in hand.
        name: of the new ticket; made of all names by default.

    Raises:
        TicketError: tickets of other networks or other starts, an unknown way, or nothing would be kept.
    """
    if len(tickets) < 2:
        raise TicketError("give at least two tickets to combine")
    first, row = tickets[0], way_called(way)
    levels = [[ticket.level for ticket in tickets]] if levels is None else [list(one) for one in levels]
    for other in tickets[1:]:
        _check_alike(first, other)
    seeds = paired_seeds(tickets)
    if line := seeds_in_words(tickets, seeds):
        _log.warning("combined replicates: %s", line)
    found = [_replicate(tickets, row, each, levels) for each in seeds]
    rewind, base = first.config.rewind, None
    if isinstance(rewind, BaseRewind):
        base = _KnownBase(rewind.repo_id, rewind.revision, shared_base(first) or {}, rewind.sha256)
    steps = [rewind.step] * len(seeds)
    if isinstance(rewind, StoredRewind):
        steps = [rewind.step_of(first.config.index_of(seed)) for seed, *_ in seeds]
    made = type(first).create(
        name=name or joined_name([ticket.name for ticket in tickets], row.short),
        replicates=found,
        rewind_step=steps,
        rewinding=getattr(rewind, "rewinding", "weights"),
        base=base,
        masked=first.config.masked,
        use=first.config.use,
        derived={
            "method": row.name,
            "parents": [{"name": one.name, "mask_sha256": one.config.mask_sha256} for one in tickets],
            "arguments": {"levels": levels, "seeds": [list(each) for each in seeds]},
        },
        **_facts(tickets, row),
    )
    return made.at(level=levels[0][0], seed=seeds[0][0])


def paired_seeds(tickets: Sequence[Contents]) -> list[tuple[int, ...]]:
    """Return the seeds of the replicates that go together: all numbers that every ticket has.

    Those in hand go together where they differ and one of them was chosen (is not its ticket's first), or where
    tickets have no number in common.
    """
    hand = tuple(ticket.seed for ticket in tickets)
    chosen = len({*hand}) > 1 and any(ticket.seed != ticket.seeds[0] for ticket in tickets)
    common = [seed for seed in tickets[0].seeds if all(seed in ticket.seeds for ticket in tickets)]
    return [hand] if chosen or not common else [(seed,) * len(tickets) for seed in common]


def seeds_in_words(tickets: Sequence[Contents], pairs: Sequence[tuple[int, ...]]) -> str:
    """Return in one line which replicates of unlike numbers go together, and which go with none; empty if all agree."""
    said = []
    if any(len({*pair}) > 1 for pair in pairs):
        together = (f"seed {seed} of '{for_terminal(one.name)}'" for one, seed in zip(tickets, pairs[0], strict=True))
        said.append(f"{' goes with '.join(together)}")
    for place, ticket in enumerate(tickets):
        if left := [seed for seed in ticket.seeds if seed not in {pair[place] for pair in pairs}]:
            said.append(f"{numbered('seed', left)} of '{for_terminal(ticket.name)}' left out")
    return "; ".join(said)


def joined_name(names: Sequence[str], short: str) -> str:
    """Return a name for what tickets make; one that is too long ends in a digest of it."""
    name = f"-{short}-".join(names)
    if len(name) <= MOST_LETTERS:
        return name
    return f"{name[: MOST_LETTERS - 9].rstrip('._-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class _KnownBase(BaseWeights):
    """Base weights under the names of masks, whose digest was computed from what they were read from."""

    digest: str

    @property
    def stated(self) -> dict[str, str]:
        return {"kind": "base", "repo_id": self.repo_id, "revision": self.revision, "sha256": self.digest}


def _replicate(tickets: Sequence[Contents], way: Way, seeds: tuple[int, ...], levels: Sequence[Sequence[int]]) -> Found:
    """Return the masks that replicates make, one of each ticket, and the weights to train from."""
    masks, states = {}, {}
    own = any(ticket.config.rewind.levels is not None for ticket in tickets)
    for number, each in enumerate(levels):
        views = [one.at(level=at, seed=seed) for one, at, seed in zip(tickets, each, seeds, strict=True)]
        masks[each[0]] = way.masks([view.masks for view in views])
        if not kept(masks[each[0]]):
            where = f"level {each[0]} (seed {seeds[0]})"
            raise TicketError(f"{_names(tickets)}: their {way.name} keeps no weight at {where}")
        if own or number == 0:
            states[each[0]] = _start(views)
    rewinds = [ticket.config.rewind for ticket in tickets]
    if isinstance(rewinds[0], BaseRewind):
        return Found(seeds[0], masks)
    if isinstance(rewinds[0], SeedRewind) and _kind(tickets) == "seed":
        return Found(seeds[0], masks, draw_seed=rewinds[0].seeds[tickets[0].config.index_of(seeds[0])])
    if own:
        return Found(seeds[0], masks, rewind_levels=states)
    return Found(seeds[0], masks, rewind_state=next(iter(states.values())))


def _start(views: Sequence[Contents]) -> dict[str, Tensor]:
    """Return the weights that replicates start from, which must be the same where two of them know them."""

    def join(start: StartWeights, view: Contents) -> StartWeights:
        other = StartWeights.of(view)
        agree, where = same_start(start, other), f"{_names(views)} (seeds {', '.join(str(one.seed) for one in views)})"
        if agree is False or (agree is None and (start.base or other.base)):
            name = None if start.base or other.base else differing_weight(start, other)
            at = f": '{for_terminal(name)}' differs" if name else ""
            remedy = "only masks of one initialisation, or of one base, make a ticket"
            raise TicketError(f"{where} start from different weights{at}: {remedy}")
        if agree is None and not _related(views):
            what = "no rewind weight in common that would tell whether they have one start"
            raise TicketError(f"{where} have {what}: take denser levels")
        return joined(start, other)

    return reduce(join, views[1:], StartWeights.of(views[0])).state


def _related(tickets: Sequence[Contents]) -> bool:
    """Tell whether tickets were made from one, or one from the other, by what they state."""
    families = []
    for ticket in tickets:
        parents = ticket.config.derived.parents if ticket.config.derived else []
        families.append({ticket.config.mask_sha256, *(parent.mask_sha256 for parent in parents)})
    return bool(set.intersection(*families))


def _check_alike(first: Contents, second: Contents) -> None:
    """Raise TicketError where two tickets are not of one network, or do not use masks alike."""
    one, other, both = first.config, second.config, _names([first, second])
    for name in [*one.shapes, *other.shapes]:
        shapes = [each.shapes.get(name) for each in (one, other)]
        if shapes[0] != shapes[1]:
            said = " and ".join("no mask" if shape is None else str(list(shape)) for shape in shapes)
            raise TicketError(f"{both} are of different networks: '{for_terminal(name)}' has {said}")
    networks = [(each.architecture.library, each.architecture.name, each.architecture.kwargs) for each in (one, other)]
    alike = (("the network", networks), ("masked", [first.kind, second.kind]), ("use", [one.use, other.use]))
    if delta := next((each for each in (first, second) if each.kind == "delta"), None):
        raise TicketError(f"'{for_terminal(delta.name)}' is a delta: new values of two tickets cannot be combined")
    for what, values in alike:
        if values[0] != values[1]:
            shown = " and ".join(for_terminal(value)[:100] for value in values)
            raise TicketError(f"{both} cannot be combined: {what} is {shown}")


def _names(tickets: Sequence[Contents]) -> str:
    return " and ".join(f"'{for_terminal(ticket.name)}'" for ticket in tickets)


def _kind(tickets: Sequence[Contents]) -> str:
    """Return how the new ticket holds the weights to train from."""
    kinds = {ticket.config.rewind.kind for ticket in tickets}
    return next(iter(kinds)) if len(kinds) == 1 and kinds <= {"seed", "signed"} else "packed"


def _facts(tickets: Sequence[Contents], way: Way) -> dict[str, Any]:
    """Return what is stated of network, data, search and licence: of one that is not the same for all, all of them."""
    configs = [ticket.config for ticket in tickets]
    source = configs[0].source.model_dump(mode="json")
    if any(config.source != configs[0].source for config in configs):
        source = {"dataset": _each(" and ", (config.source.dataset for config in configs))}
    every = [set(config.pruning.not_trained) for config in configs]
    not_trained = [name for name in configs[0].pruning.not_trained if all(name in one for one in every)]
    scope = _each(" and ", (config.pruning.scope for config in configs))
    licences = {config.license for config in configs}
    return {
        "architecture": configs[0].architecture.model_dump(mode="json", exclude_none=True),
        "task": _each("-and-", (config.task for config in configs)),
        "source": source,
        "pruning": {
            "method": way.name,
            "scope": scope,
            "not_trained": not_trained,
            "words": {"method": way.words},
        },
        "rewind_kind": _kind(tickets),
        "license": licences.pop() if len(licences) == 1 else None,
    }


def _each(between: str, texts: Any) -> str:
    return between.join(dict.fromkeys(texts))
