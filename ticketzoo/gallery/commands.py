"""Lines to copy: those that load a ticket, and those that measure a number again."""

import json
import shlex
from collections.abc import Mapping

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.arms import CHANCE
from ticketzoo.gallery.exhibit import Exhibit, Stop
from ticketzoo.gallery.measured import Measured
from ticketzoo.ticket.card_kinds import is_described
from ticketzoo.ticket.recipe_file import parse_recipe


def load_line(exhibit: Exhibit, level: int) -> str:
    """Return the call that loads a ticket at a level."""
    return f"load_ticket({json.dumps(exhibit.title, ensure_ascii=False)}, level={level})"


def load_lines(exhibit: Exhibit, stop: Stop) -> str:
    """Return the lines of a program that loads a ticket and builds its network."""
    build = (
        "model = ticket.build()"
        if is_described(exhibit.config)
        else "ticket.apply(model)  # a network of yours with the same parameters"
    )
    where = f"# level {stop.entry.level}: sparsity {stop.sparsity}"
    return f"from ticketzoo import load_ticket\n\n{where}\nticket = {load_line(exhibit, stop.entry.level)}\n{build}"


def transfer_file(number: int) -> str:
    """Return the name of the file with a ticket's transfer recipe, by its number from 1."""
    return f"transfer-{number}.yaml"


def again(exhibit: Exhibit, one: Measured) -> str:
    """Return the command that measures a mean again; nothing where the ticket does not tell how.

    Of data that are not its source it is that of the transfer recipe, which stands beside the pages.
    """
    if one.arm == CHANCE:
        return ""
    if one.target != exhibit.source:
        recipes = transfers_by_target(exhibit)
        return f"ticketzoo transfer {transfer_file(recipes[one.target])}" if one.target in recipes else ""
    arms = " ".join(f"--arm {shlex.quote(arm)}" for arm in sorted({str(row["arm"]) for _, row in one.lines}))
    levels = " ".join(f"--level {level}" for level in sorted({row["level"] for _, row in one.lines}))
    return f"ticketzoo reproduce {shlex.quote(exhibit.title)} {levels} {arms}"


def transfers_by_target(exhibit: Exhibit) -> Mapping[str, int]:
    """Return by target the number, from 1, of the transfer recipe that names it; the only one is of all others."""
    recipes = exhibit.config.transfers
    if len(recipes) == 1:
        return {target: 1 for target in exhibit.targets if target != exhibit.source}
    found: dict[str, int] = {}
    for number, text in enumerate(recipes, 1):
        try:
            targets = parse_recipe(text, transfer_file(number)).get("targets")
        except TicketError:
            continue
        for target in targets if isinstance(targets, list) else []:
            if isinstance(target, dict) and isinstance(name := target.get("name"), str):
                found.setdefault(name, number)
    return found
