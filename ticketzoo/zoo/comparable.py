"""Rows of a transfer that can stand in a ticket: of the data and the training that their target's name stands for."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.again import beside_source, stated
from ticketzoo.evaluation.backing import row_differences
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.ticket.rows import Row, shown
from ticketzoo.ticket.stored import Stored
from ticketzoo.util.text import for_terminal, numbered, show_names
from ticketzoo.zoo.transferred import Transferred, read_kept, recipe_for, targets_of

_log = logging.getLogger("ticketzoo")

FREE = ("name", "tickets", "levels", "sparsities", "seeds", "arms", "draws", "verdict", "targets")
"""Keys of a transfer's recipe in which runs may differ whose rows stand together: those that choose trainings."""


def check_targets(run: Transferred, carried: Sequence[Row], config: TicketConfig, stored: Stored) -> None:
    """Raise TicketError for rows that cannot stand beside a ticket's own.

    They are on a target called as the source, of other data than before under its name, at other sparsities than the
    masks', or without seeds that the looks of the ticket's verdict count.

    Args:
        run: that the rows are of.
        carried: its rows on other data than the ticket's source.
        config: of ticket.json.
        stored: the ticket's content.
    """
    own = stored.results
    sources = {row["target"] for row in own}.difference(beside_source(own, config, stored.recipe))
    if called := sources & {row["target"] for row in carried}:
        both = f"its own data and others are called {show_names(sorted(called))}"
        raise TicketError(f"{run.path}: {both}: give the target another name")
    data: dict[str, Any] = {}
    for row in [*own, *carried]:
        if row.get("data") and data.setdefault(row["target"], row["data"]) != row["data"]:
            raise TicketError(
                f"{run.path}: {shown(row['target'])} is other data in the ticket's rows: give it another name"
            )
    if stated(stored.recipe_text)[1] is not None:
        _check_seeds(run.path, {row["seed"] for row in own if row["target"] in sources}, carried)
    if off := next(row_differences(config, carried, rounded=0), ""):
        raise TicketError(f"{run.path}: {off.removeprefix('results.jsonl ')}: measure this ticket")


def _check_seeds(path: Path, counted: set[int], carried: Sequence[Row]) -> None:
    for target in sorted({row["target"] for row in carried}):
        if missing := counted - {row["seed"] for row in carried if row["target"] == target}:
            looks = "the ticket's looks count the seeds that every target has"
            raise TicketError(f"{path}: {looks}: measure {numbered('seed', missing)} on {shown(target)}, too")


def kept_recipes(run: Transferred, targets: Sequence[str], config: TicketConfig, stored: Stored) -> list[str]:
    """Return the transfer recipes that a ticket keeps, with that of the run for these targets.

    Raises:
        TicketError: it trains otherwise than the one that the rows on a target were measured by, or states another
            margin, or other looks, than the ticket's own recipe.
    """
    text = recipe_for(run, targets)
    if text is None:
        words = "%s: has no tickets.json beside it: name and sparsities alone say that it measures %s, and how it did "
        _log.warning(words + "is not kept", run.path, config.name)
        return config.transfers
    recipe = read_kept(text, str(run.path))
    for place, kept in enumerate(config.transfers):
        before = read_kept(kept, f"{CONFIG_FILE}: transfers.{place}")
        for target, said in targets_of(before, CONFIG_FILE).items():
            if target not in targets:
                continue
            one, other = _fixed(before, said), _fixed(recipe, targets_of(recipe, str(run.path))[target])
            key = next((key for key in sorted({*one, *other}) if one.get(key) != other.get(key)), None)
            if key is not None:
                both = f"{for_terminal(key)} is {shown(other.get(key))}, and {shown(one.get(key))} in the recipe kept"
                raise TicketError(f"{run.path}: was measured otherwise on {shown(target)}: {both}: name the target")
    _check_terms(run.path, text, targets, stored.recipe_text)
    return config.transfers if text in config.transfers else [*config.transfers, text]


def _check_terms(path: Path, text: str, targets: Sequence[str], own: str | None) -> None:
    """Raise TicketError where a transfer's recipe states other terms of the verdict than the ticket's own does."""
    (margin, until), (stated_there, until_there) = stated(own), stated(text)
    for target in targets:
        its, here = _margin(margin, target), _margin(stated_there, target)
        if its != here:
            both = f"{shown(here)} on {shown(target)}, and the ticket's recipe {shown(its)}"
            raise TicketError(f"{path}: its recipe states the margin {both}: a verdict has one")
    if until_there not in (None, until):
        looks = "seeds were added until its levels were decided, in looks that the ticket's recipe does not state"
        raise TicketError(f"{path}: {looks}: measure a fixed number of seeds")


def _fixed(recipe: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a recipe, by dotted key, that say how trainings on one of its targets are made."""
    shared = {key: value for key, value in recipe.items() if key not in FREE}
    return dict(_leaves({**shared, **target}))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}".lstrip("."))
    else:
        yield key, value


def _margin(stated: Any, target: str) -> Any:
    return stated.get(target) if isinstance(stated, Mapping) else stated
