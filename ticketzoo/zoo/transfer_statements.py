"""Recipes of transfers that a ticket keeps, held against its rows on other data than its source."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.again import beside_source
from ticketzoo.evaluation.arms import CHANCE, DENSE, TICKET, one_of
from ticketzoo.evaluation.statistics import Row
from ticketzoo.recipe import Steps
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.ticket.rows import is_complete, shown
from ticketzoo.ticket.stored import Stored
from ticketzoo.util.text import show_names
from ticketzoo.zoo.checks import Check
from ticketzoo.zoo.transferred import read_kept, targets_of


def check_transfers(folder: Path, config: TicketConfig, stored: Stored) -> Iterator[Check]:
    """Hold the recipes of transfers against the rows: targets, levels, arms, seeds and the length of training.

    Yields:
        what holds, and a note of targets without a recipe: how they were measured is only claimed.

    Raises:
        TicketError: a text is no recipe of a transfer, or is about a target without rows, or no recipe gives a row.
    """
    rows = [row for row in stored.results if is_complete(row)]
    carried = beside_source(rows, config, stored.recipe)
    runs: dict[str, list[_Run]] = {}
    for place, text in enumerate(config.transfers):
        where = f"{folder / CONFIG_FILE}: transfers.{place}"
        recipe = read_kept(text, where)
        for name, target in targets_of(recipe, where).items():
            if name not in carried:
                raise TicketError(f"{where}: measures {shown(name)}, of which there is no row on other data")
            runs.setdefault(name, []).append(_Run(recipe, target))
    for row in rows:
        if row["target"] in runs and not any(run.gives(row) for run in runs[row["target"]]):
            which = f"{row['arm']} at level {row['level']}, seed {row['seed']}, step {row['step']}"
            raise TicketError(f"{folder / CONFIG_FILE}: transfers: no recipe gives {shown(which)} on {row['target']}")
    if runs:
        same = "levels, arms, seeds and steps as in the recipes of transfer"
        yield Check(CONFIG_FILE, f"rows on {show_names(sorted(runs), 5)}: {same}")
    if unknown := [name for name in carried if name not in runs and config.task != "own"]:
        said = f"how rows on {show_names(unknown, 5)} were measured is only claimed: no recipe of a transfer is kept"
        yield Check(CONFIG_FILE, f"NOTE: {said}")


class _Run:
    """A recipe on one of its targets."""

    def __init__(self, recipe: Mapping[str, Any], target: Mapping[str, Any]) -> None:
        verdict = recipe.get("verdict")
        self.levels, self.arms, self.seeds = (_listed(recipe.get(key)) for key in ("levels", "arms", "seeds"))
        self.adds_seeds = isinstance(verdict, dict) and verdict.get("until") is not None
        training = target.get("training") or recipe.get("training")
        self.steps = _iterations(training.get("steps") if isinstance(training, dict) else None)

    def gives(self, row: Row) -> bool:
        """Tell whether a row may come of it; what the recipe leaves open it may."""
        arm, level, trained = row["arm"], row["level"], row["arm"] in (TICKET, DENSE) and row["at"] == "final"
        return (
            (arm in (TICKET, DENSE, CHANCE) or self.arms is None or one_of(arm) in map(one_of, self.arms))
            and (level == 0 or self.levels is None or level in self.levels)
            and (self.adds_seeds or self.seeds is None or row["seed"] in self.seeds)
            and (not trained or self.steps in (None, row["step"]))
        )


def _listed(value: object) -> Sequence[Any] | None:
    return value if isinstance(value, list) else None


def _iterations(length: object) -> int | None:
    """Return a length in iterations; None for one in epochs, which depends on the data."""
    try:
        steps = Steps.parse(length)
    except ValueError:
        return None
    return int(steps.count) if steps.unit == "it" else None
