"""The measurements that a run's recipe asks for, by arm and level, beside those that are there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ticketzoo.errors import TicketzooError
from ticketzoo.evaluation.arms import ARMS, DENSE, TICKET, arm_label, in_order
from ticketzoo.evaluation.controls import Controls
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding import FindRecipe
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import BaseRewind
from ticketzoo.ticket.rows import Row
from ticketzoo.watching.journal import Asked
from ticketzoo.zoo.places import ticket_folder


class Place(NamedTuple):
    """An arm at a level of a ticket on a target; of a search, which has one of each, ticket and target are ""."""

    ticket: str
    target: str
    level: int
    arm: str


@dataclass(frozen=True)
class Left:
    """The trainings of a place: how many are done, of how many."""

    place: Place
    done: int
    due: int


def whats_left(asked: Asked, rows: Sequence[Row]) -> list[Left]:
    """Return done and due of every arm at every level that the recipe asks for, in the order of tables.

    It is empty for commands whose rows are of no arms, and where a ticket of the recipe is no longer to be found.

    Args:
        asked: the command and its recipe.
        rows: measured so far.

    Raises:
        RecipeError: this version does not read the recipe.
    """
    due = _due(asked, rows)
    one = asked.command != "transfer"
    done: dict[Place, set[tuple[Any, Any]]] = {}
    for row in rows:
        place = Place("" if one else row["ticket"], "" if one else row["target"], row["level"], row["arm"])
        done.setdefault(place, set()).add((row["seed"], row["draw"]))
    seeds = max(_seeds(asked, due), len({row["seed"] for row in rows}))
    return [Left(place, min(len(done.get(place, ())), each * seeds), each * seeds) for place, each in due.items()]


def left_table(left: Sequence[Left]) -> Table:
    """Return the table of `left`: a line for each level of a ticket on a target, a column for each arm: done/due."""
    arms = in_order(one.place.arm for one in left)
    cells = {one.place: f"{one.done}/{one.due}" for one in left}
    lines = list(dict.fromkeys((place.ticket, place.target, place.level) for place in cells))
    named = any(ticket for ticket, _, _ in lines)
    rows = [
        ((ticket, target) if named else ())
        + (str(level), *(cells.get(Place(ticket, target, level, arm), "") for arm in arms))
        for ticket, target, level in lines
    ]
    columns = (*(("ticket", "target") if named else ()), "level", *map(arm_label, arms))
    missing = sum(one.due - one.done for one in left)
    caption = f"Trainings measured of those that the recipe asks for, all seeds and draws: {missing:,} left."
    return Table(caption, columns, "ll" * named + "r" * (1 + len(arms)), tuple(rows))


def _due(asked: Asked, rows: Sequence[Row]) -> dict[Place, int]:
    """Return the trainings of a seed by place."""
    if asked.command in ("find", "judge"):
        recipe = parse_recipe(asked.recipe, FindRecipe, "of the run")
        judged = asked.command == "judge"
        levels = range(1, 2 if judged else 1 + recipe.finder.levels)
        return _of_ticket("", "", levels, [1] if judged else recipe.control_levels, recipe.controls)
    if asked.command != "transfer":
        return {}
    parsed = parse_recipe(asked.recipe, TransferRecipe, "of the run")
    due: dict[Place, int] = {}
    try:
        for reference in parsed.tickets:
            due |= _of_reference(reference, parsed, _target_names(parsed, rows))
    except TicketzooError:  # a ticket that was moved: what there is to do is known to the run alone
        return {}
    return due


def _target_names(recipe: TransferRecipe, rows: Sequence[Row]) -> list[str]:
    """Return the names of the targets: those that the recipe leaves to the data are, in order, those of the rows."""
    given = [one.name or getattr(one.task, "name", None) for one in recipe.targets]
    seen = iter([name for name in dict.fromkeys(row["target"] for row in rows) if name not in given])
    return [name or next(seen, f"target {number}") for number, name in enumerate(given, 1)]


def _of_reference(reference: str, recipe: TransferRecipe, targets: Sequence[str]) -> dict[Place, int]:
    ticket = Ticket.from_pretrained(ticket_folder(reference), masks_only=True)
    asked = recipe.levels or [ticket.at(sparsity=sparsity).level for sparsity in recipe.sparsities or ()]
    levels = list(dict.fromkeys(asked))
    pretrained = isinstance(ticket.config.rewind, BaseRewind) or recipe.base is not None
    controls = recipe.controls(pretrained=pretrained, levels=levels)
    due: dict[Place, int] = {}
    for target in targets:
        due |= _of_ticket(ticket.name, target, levels, levels, controls)
    return due


def _of_ticket(
    ticket: str, target: str, levels: Collection[int], control_levels: Collection[int], controls: Controls
) -> dict[Place, int]:
    due = {Place(ticket, target, 0, DENSE): 1}
    once = {arm: ARMS[arm].draws(controls.draws) for arm in controls.arms if ARMS[arm].once}
    due |= {Place(ticket, target, 0, arm): draws for arm, draws in once.items()}
    for level in sorted({*levels, *control_levels}):
        due |= {Place(ticket, target, level, TICKET): 1} if level in levels else {}
        others = [arm for arm in controls.arms if arm not in once] if level in control_levels else []
        due |= {Place(ticket, target, level, arm): ARMS[arm].draws(controls.draws) for arm in others}
    return due


def _seeds(asked: Asked, due: Mapping[Place, int]) -> int:
    """Return the number of seeds: the recipe's, or as many as the trainings that were planned since are of."""
    stated = len(asked.recipe.get("seeds") or ())
    of_a_seed = sum(due.values())
    return max(stated, round(asked.planned / of_a_seed)) if stated and of_a_seed else stated


def seconds_left(done: int, planned: int, seconds: Sequence[float]) -> float | None:
    """Return about how long what is left takes, one training after the other; None where nothing was timed."""
    if not seconds or planned <= done:
        return None
    return (planned - done) * sum(seconds) / len(seconds)
