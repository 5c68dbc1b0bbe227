"""The levels of several tickets that are compared with each other: those of nearly the same number of weights."""

from collections.abc import Sequence
from dataclasses import dataclass

from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.contents import Contents
from ticketzoo.util.text import for_terminal


@dataclass(frozen=True)
class Stage:
    """One level of each ticket that has one, by the ticket's place among those compared.

    Attributes:
        levels: by place.
        kept: mean over replicates of the weights that the level keeps, by place.
        sparsity: of the first ticket's level.
    """

    levels: dict[int, int]
    kept: dict[int, float]
    sparsity: float

    @property
    def apart(self) -> bool:
        """True where the levels do not keep the same number of weights."""
        return len(set(self.kept.values())) > 1


def stages_of(tickets: Sequence[Contents]) -> list[Stage]:
    """Return the levels to compare, densest first.

    A level of the first ticket goes with the level of another that is nearest to it in the number of weights kept, if
    it is the nearest to that one, too; so two tickets in either order have the same. A ticket without such a level is
    not part of the stage. Dense levels are left out: their overlap is 1.

    Raises:
        TicketError: there is no level to compare.
    """
    counts = [_pruned(ticket.config) for ticket in tickets]
    if (empty := next((place for place, kept in enumerate(counts) if not kept), None)) is not None:
        raise TicketError(f"'{for_terminal(tickets[empty].name)}' has no pruned level to compare")
    first, found = counts[0], []
    for level, kept in first.items():
        levels = {0: level}
        for place, others in enumerate(counts[1:], 1):
            nearest = _nearest(others, kept)
            if _nearest(first, others[nearest]) == level:
                levels[place] = nearest
        if len(levels) > 1 or len(tickets) == 1:
            sparsity = next(entry.sparsity for entry in tickets[0].levels if entry.level == level)
            found.append(Stage(levels, {place: counts[place][one] for place, one in levels.items()}, sparsity))
    return found


def chosen(stages: Sequence[Stage], ticket: Contents, level: int | None, sparsity: float | None) -> list[Stage]:
    """Return the stages to compare at: all, or the one at a level or sparsity of the first ticket.

    Raises:
        TicketError: it has no such level or sparsity, or no other ticket has one like it.
    """
    if level is None and sparsity is None:
        return list(stages)
    level = ticket.at(level=level, sparsity=sparsity).level
    found = [stage for stage in stages if stage.levels[0] == level]
    if not found:
        with_one = ", ".join(str(stage.levels[0]) for stage in stages)
        problem = f"no level of another ticket goes with level {level}"
        raise TicketError(f"'{for_terminal(ticket.name)}': {problem}: choose from {with_one}")
    return found


def _pruned(config: TicketConfig) -> dict[int, float]:
    """Return the mean number of weights that each level keeps, of levels that are not dense."""
    count = len(config.replicates)
    kept = {entry.level: sum(entry.kept_by(count)) / count for entry in config.levels}
    return {level: number for level, number in kept.items() if number < config.prunable_weights}


def nearest_level(config: TicketConfig, kept: int) -> int | None:
    """Return the level, not a dense one, that keeps the nearest number of weights; None where there is none."""
    counts = _pruned(config)
    return _nearest(counts, kept) if counts else None


def _nearest(counts: dict[int, float], kept: float) -> int:
    return min(counts, key=lambda level: (abs(counts[level] - kept), level))
