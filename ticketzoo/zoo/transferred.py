"""Runs of `ticketzoo transfer`, as they are read again to bring their rows into the ticket that they measure."""

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ticketzoo.errors import TicketError
from ticketzoo.masks.digests import digest_of_digests
from ticketzoo.ticket.config import BaseRewind, TicketConfig
from ticketzoo.ticket.recipe_file import parse_recipe
from ticketzoo.ticket.rows import MAX_ROW_BYTES, Row, check_row, shown
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import show_names

TICKETS_FILE = "tickets.json"
"""Beside the rows of a run: by the name of each ticket its digests, and the recipe of its trainings."""

MAX_BYTES = 512 * 2**20
"""Of the rows of a run, which may be about many tickets."""


@dataclass(frozen=True)
class Transferred:
    """The part of a run that is about one ticket.

    Attributes:
        path: of the run's rows.
        rows: about the ticket.
        recipe: the run's, with a name for each target; None where the run did not write it.
    """

    path: Path
    rows: list[Row]
    recipe: Mapping[str, Any] | None


def digests_of(config: TicketConfig) -> dict[str, str]:
    """Return the digests of a ticket's masks and of the weights that it trains from, of all replicates together."""
    rewind = config.rewind
    if isinstance(rewind, BaseRewind):
        return {"masks": config.mask_sha256, "weights": rewind.sha256}
    weights = digest_of_digests((f"seed-{one.seed}", str(one.rewind_sha256)) for one in config.replicates)
    return {"masks": config.mask_sha256, "weights": weights}


def read_transferred(path: Path, config: TicketConfig) -> Transferred:
    """Return what a run measured of the ticket with this ticket.json.

    Args:
        path: of the run's results.jsonl; tickets.json beside it says what it measured.
        config: of ticket.json.

    Raises:
        TicketError: a file cannot be read, the rows are about other tickets, or about another one of this name.
    """
    beside = path.with_name(TICKETS_FILE)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TicketError(f"{path}: more than {MAX_BYTES:,} bytes of rows")
        rows = _rows_about(config.name, path.read_bytes(), path)
        content = parse_json(beside.read_bytes(), str(beside)) if beside.is_file() else {config.name: None}
    except OSError as error:
        raise TicketError(f"{path}: cannot be read: {error.strerror}: give the results.jsonl of a transfer") from None
    about = content.get(config.name, {}) if isinstance(content, dict) else {}
    if about is None:
        return Transferred(path, rows, None)
    for what, digest in digests_of(config).items():
        stated = about.get(what) if isinstance(about, dict) else None
        if stated != digest:
            both = f"{shown(stated)[:14]}... there, and '{digest[:12]}... in ticket.json"
            raise TicketError(f"{beside}: was measured on another ticket of this name: {what} are {both}")
    recipe = about.get("recipe")
    return Transferred(path, rows, recipe if isinstance(recipe, dict) else {})


def _rows_about(name: str, content: bytes, path: Path) -> list[Row]:
    rows: list[Row] = []
    others: dict[str, None] = {}
    for number, line in enumerate(io.BytesIO(content), 1):
        here = f"{path} line {number}"
        if len(line) > MAX_ROW_BYTES:
            raise TicketError(f"{here}: {len(line):,} bytes, more than the {MAX_ROW_BYTES:,} of a row")
        row = parse_json(line, here)
        if not isinstance(row, dict):
            raise TicketError(f"{here}: must be a JSON object")
        check_row(row, here)
        if row["ticket"] == name:
            rows.append(row)
        else:
            others[row["ticket"]] = None
    if not rows:
        has = f"they are about {show_names([*others], 5)}" if others else "there are none"
        raise TicketError(f"{path}: no row is about {name}: {has}")
    return rows


def with_names(recipe: Mapping[str, Any], ticket: str, names: Collection[str]) -> dict[str, Any]:
    """Return the content of a transfer's recipe for one ticket, with a name for each of its targets, in order."""
    pairs = zip(names, recipe["targets"], strict=True)
    return {**recipe, "tickets": [ticket], "targets": [{"name": name, **target} for name, target in pairs]}


def recipe_for(transferred: Transferred, targets: Collection[str]) -> str | None:
    """Return the recipe of a run for these targets alone, as YAML; None where the run did not write it.

    Raises:
        TicketError: it is about other targets.
    """
    recipe = transferred.recipe
    if recipe is None:
        return None
    where = str(transferred.path.with_name(TICKETS_FILE))
    known = targets_of(recipe, where)
    if missing := sorted(set(targets) - known.keys()):
        raise TicketError(f"{where}: the recipe has no target {show_names(missing, 5)}, which the rows measure")
    chosen = [target for name, target in known.items() if name in targets]
    return str(yaml.safe_dump({**recipe, "targets": chosen}, sort_keys=False, width=100))


def read_kept(text: str, where: str) -> dict[str, Any]:
    """Return the content of a recipe that a ticket keeps. Raises TicketError for a text that is no transfer's."""
    content = parse_recipe(text, where)
    targets_of(content, where)
    return content


def targets_of(recipe: Mapping[str, Any], where: str) -> dict[str, Mapping[str, Any]]:
    """Return the targets of a transfer's recipe by name. Raises TicketError where it has none or one lacks a name."""
    targets = recipe.get("targets")
    found = [target for target in targets if isinstance(target, dict)] if isinstance(targets, list) else []
    named: dict[str, Mapping[str, Any]] = {
        target["name"]: target for target in found if isinstance(target.get("name"), str)
    }
    if not named or len(named) != len(targets or ()):
        raise TicketError(f"{where}: the recipe of a transfer must have targets, each with a name of its own")
    return named
