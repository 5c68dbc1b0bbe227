"""A ticket made from others, made again of its parents, and held against what it is."""

from collections.abc import Callable, Sequence

from ticketzoo.deriving.align import METHOD as ALIGN
from ticketzoo.deriving.align import check_aligned, is_alignment, words_of
from ticketzoo.deriving.stretch import METHOD, WORDS, check_stretched
from ticketzoo.errors import TicketError
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.start_weights import differing_weight, start_weights
from ticketzoo.ticket.ways import WAYS
from ticketzoo.util.text import for_terminal


def check_of(config: TicketConfig) -> Callable[[Contents, Sequence[Contents]], bool] | None:
    """Return what holds a ticket against its parents; None where no others make it in a way that this version knows.

    It tells whether weights were at hand and compared, and raises TicketError where the parents give something else.
    """
    derived = config.derived
    if is_alignment(config):
        return check_aligned
    if derived is not None and derived.method == METHOD and len(derived.parents) == 1:
        return check_stretched
    return check_combination if derived is not None and derived.method in WAYS and len(derived.parents) > 1 else None


def made_words(config: TicketConfig) -> dict[str, str]:
    """Return this version's words for the way an aligned or stretched ticket was made; of any other nothing."""
    derived = config.derived
    if derived is None or config.pruning.method != derived.method:
        return {}
    if derived.method == ALIGN:
        return {"method": words_of(*(derived.arguments.get(key) for key in ("seed", "to_seed", "by")))}
    return {"method": WORDS} if derived.method == METHOD else {}


def check_combination(ticket: Contents, parents: Sequence[Contents]) -> bool:
    """Hold the masks of a ticket, and the weights that it starts from, against those that its parents give.

    Masks of every level and seed; weights of every seed, and of every level where it or a parent has its own by level.

    Returns:
        whether weights were at hand, of all, and compared.

    Raises:
        TicketError: its arguments are not levels and seeds of the parents, or what they give is something else.
    """
    derived = ticket.config.derived
    assert derived is not None
    levels, seeds = (_numbers(derived.arguments.get(key), key, len(parents)) for key in ("levels", "seeds"))
    for key, given, stated in (
        ("levels", levels, [one.level for one in ticket.levels]),
        ("seeds", seeds, ticket.seeds),
    ):
        if [each[0] for each in given] != stated:
            raise TicketError(f"derived.arguments: {key} are {given}, and the ticket has {stated}")
    for parent in parents:
        if parent.config.shapes != ticket.config.shapes:
            raise TicketError(f"its masks are not of the parameters that '{for_terminal(parent.name)}' masks")
    by_level = any(one.config.rewind.levels is not None for one in (ticket, *parents))
    weights = True
    for of_seed in seeds:
        for number, of_level in enumerate(levels):
            pairs = zip(parents, of_level, of_seed, strict=True)
            views = [parent.at(level=level, seed=seed) for parent, level, seed in pairs]
            view = ticket.at(level=of_level[0], seed=of_seed[0])
            _check_masks(view, views, derived.method)
            if by_level or number == 0:
                weights &= _check_weights(view, views, by_level)
    return weights


def _check_masks(view: Contents, parents: Sequence[Contents], way: str) -> None:
    masks = view.masks
    for name, mask in WAYS[way].masks([parent.masks for parent in parents]).items():
        if name not in masks or not mask.equal(masks[name]):
            where = f"'{for_terminal(name)}' at level {view.level} (seed {view.seed})"
            raise TicketError(f"its masks are not the {way} of its parents': {where} differs")


def _check_weights(view: Contents, parents: Sequence[Contents], by_level: bool) -> bool:
    mine, whole = start_weights(view), True
    for other in map(start_weights, parents):
        if mine is None or other is None:
            whole = False
        elif mine.base != other.base:
            raise TicketError("its base weights are not those of its parents")
        elif not mine.base and (name := differing_weight(mine, other)) is not None:
            at = f" at level {view.level}" * by_level
            differs = f"'{for_terminal(name)}' differs{at} (seed {view.seed})"
            raise TicketError(f"its rewind weights are not those of its parents: {differs}")
    return whole


def _numbers(value: object, key: str, each: int) -> list[list[int]]:
    """Return lists of as many whole numbers each. Raises TicketError for anything else."""
    lists = value if isinstance(value, list) else []
    wanted = [int] * each
    if not lists or not all(isinstance(one, list) and [type(number) for number in one] == wanted for one in lists):
        raise TicketError(f"derived.arguments: {key} are not lists of {each} whole numbers")
    return lists
