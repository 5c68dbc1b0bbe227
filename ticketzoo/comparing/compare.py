"""Compare the masks of tickets."""

from collections.abc import Iterator, Sequence

from ticketzoo.comparing.comparison import Comparison
from ticketzoo.comparing.layers import layers_of
from ticketzoo.comparing.pairs import check_alike, overlaps, pairs_of
from ticketzoo.comparing.stages import Stage, chosen, stages_of
from ticketzoo.comparing.unread import Unread
from ticketzoo.errors import TicketError
from ticketzoo.ticket.contents import Contents
from ticketzoo.util.text import for_terminal, show_numbers


def compare_tickets(
    tickets: Sequence[Contents],
    *,
    level: int | None = None,
    sparsity: float | None = None,
    unread: Sequence[Unread | None] = (),
) -> Comparison:
    """Compare all replicates of tickets of one network, at all levels that go together or at one.

    Args:
        tickets: at least one; the levels of the first are those that others are matched with.
        level: of the first ticket.
        sparsity: instead of a level.
        unread: of each ticket the inputs that never change, None where that is not known; none at all by default.

    Raises:
        TicketError: tickets of different networks, a single ticket with one replicate, no level to compare.
    """
    if not tickets:
        raise TicketError("there are no tickets to compare: name at least one")
    check_alike(tickets)
    if len(tickets) == 1 and len(tickets[0].seeds) == 1:
        raise TicketError(f"'{for_terminal(tickets[0].name)}' has one replicate, and there is none to compare it with")
    names, every = _names(tickets), stages_of(tickets)
    stages = chosen(every, tickets[0], level, sparsity)
    if not stages:
        raise TicketError(f"no level of {names[0]} goes with one of another ticket")
    pairs = pairs_of(tickets)
    found = overlaps(tickets, pairs, stages, list(unread) or [None] * len(tickets))
    return Comparison(
        names=tuple(names),
        stages=tuple(stages),
        found=tuple(found),
        layers=tuple(layers_of(tickets, stages, names)),
        notes=tuple(_notes(tickets, names, stages, every)),
        shown=_shown(stages, tickets[0].level),
    )


def _shown(stages: Sequence[Stage], level: int) -> int:
    """Return the place of the stage of a level, by default the last."""
    return next((place for place, stage in enumerate(stages) if stage.levels[0] == level), len(stages) - 1)


def _names(tickets: Sequence[Contents]) -> list[str]:
    """Return the names of tickets, with a number where there are two of one name."""
    names: list[str] = []
    for ticket in tickets:
        name, number = for_terminal(ticket.name), 1
        while name in names:
            number += 1
            name = f"{for_terminal(ticket.name)} ({number})"
        names.append(name)
    return names


def _notes(
    tickets: Sequence[Contents], names: Sequence[str], stages: Sequence[Stage], every: Sequence[Stage]
) -> Iterator[str]:
    """Yield how levels were matched where they do not keep as many weights, and which have no match."""
    for stage in stages:
        if stage.apart:
            kept = ((names[place], level, stage.kept[place]) for place, level in stage.levels.items())
            said = ", ".join(f"{name} level {level} {count:,.0f}" for name, level, count in kept)
            yield f"levels of unlike size are compared, by weights kept: {said}"
    if len(stages) < len(every):
        return
    for place, ticket in enumerate(tickets):
        matched = {stage.levels.get(place) for stage in every}
        left = [one.level for one in ticket.levels if one.sparsity > 0 and one.level not in matched]
        if left:
            others = "others have" if len(tickets) > 1 else "there is"
            yield f"levels {show_numbers(left)} of {names[place]} were left out: {others} none as sparse"
