"""Bringing the rows of a transfer into the ticket that they measure, with its verdict, card and plots made anew."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.evaluation.again import beside_source, terms_of
from ticketzoo.evaluation.card_check import check_card
from ticketzoo.evaluation.evidence import card_files
from ticketzoo.evaluation.rows import rows_as_jsonl
from ticketzoo.evaluation.verdict import judge
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.card_cost import cost_of
from ticketzoo.ticket.config import RESULTS_FILE, TicketConfig, check_config
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, entry_of, file_entries
from ticketzoo.ticket.publish import CARD, extra_files
from ticketzoo.ticket.recipe_file import short_on
from ticketzoo.ticket.rows import KEY, Row, is_complete, read_rows, shown
from ticketzoo.ticket.stored import stored_in
from ticketzoo.ticket.write import replacing, write_file
from ticketzoo.util.text import counted, for_terminal, show_names
from ticketzoo.zoo.comparable import check_targets, kept_recipes
from ticketzoo.zoo.effective import card_extras, effective_lines, masks_in
from ticketzoo.zoo.places import own_registry
from ticketzoo.zoo.transferred import digests_of, read_transferred
from ticketzoo.zoo.verify import verify_ticket

_log = logging.getLogger("ticketzoo")


@dataclass(frozen=True)
class Joined:
    """The outcome of bringing rows into a ticket.

    Attributes:
        folder: of the ticket.
        targets: the data sets they are of.
        added: rows that are new.
        there: rows that it had already.
    """

    folder: Path
    targets: list[str]
    added: int
    there: int


def add_rows(
    folder: str | Path, rows: str | Path, registry: str | Path | None = None, *, replace: bool = False
) -> Joined:
    """Copy a ticket into a registry, with rows of a transfer to other data, completely and verified, or not at all.

    Rows of its own data are left out, and those that it has already are not doubled. The verdict is given of all rows,
    and card and plots are made anew. Where the registry has the ticket, that one's rows stay.

    Args:
        folder: of the ticket, such as `runs/NAME/NAME`; it may lie in the registry.
        rows: results.jsonl of `ticketzoo transfer`. Beside it tickets.json holds the digests of the ticket's masks and
            weights, and the recipe, which the ticket keeps. Without it only name and sparsities tie rows to masks.
        registry: by default `$TICKETZOO_REGISTRY`, else `registry/` in the current folder; made where there is none.
        replace: whether to replace another ticket of that name there.

    Raises:
        TicketError: the rows are of another ticket, or contradict its own, or it is damaged, or cannot be written.
        RegistryError: the registry has another ticket of that name.
    """
    files = Files(Path(folder).expanduser().absolute())
    config = files.config()
    to = (own_registry() if registry is None else Path(registry).expanduser()) / config.name
    if (to / CONFIG_FILE).is_file() and not replace:
        files = Files(to.absolute())
        if digests_of(there := files.config()) != digests_of(config):
            raise RegistryError(f"{to}: holds another ticket; --replace puts this one in its place")
        config = there
    stored = stored_in(files, config)
    own, run = stored.results, read_transferred(Path(rows).expanduser(), config)
    if not all(map(is_complete, own)):
        raise TicketError(f"{files.where(RESULTS_FILE)}: rows lack columns: nothing can be joined with them")
    targets = beside_source(run.rows, config, stored.recipe)
    carried = [row for row in run.rows if row["target"] in targets]
    if not carried:
        measured = show_names(sorted({row["target"] for row in run.rows}), 5)
        raise TicketError(f"{run.path}: measures {config.name} on no other data than its own, {measured}")
    check_targets(run, carried, config, stored)
    recipes = kept_recipes(run, targets, config, stored)
    new = _new(own, carried, run.path)
    joined = Joined(to, targets, len(new), len(carried) - len(new))
    if new or recipes != config.transfers or files.folder != to.absolute():
        _write(files, config, to, [*own, *new], recipes)
    return joined


def _new(own: Sequence[Row], carried: Sequence[Row], path: Path) -> list[Row]:
    """Return the rows that the ticket has not. Raises TicketError for one that it has with other values."""
    known = {tuple(row[column] for column in KEY): row for row in own}
    new = []
    for row in carried:
        before = known.setdefault(tuple(row[column] for column in KEY), row)
        if before is row:
            new.append(row)
        elif before != row:
            differs = next(key for key in sorted({*before, *row}) if before.get(key) != row.get(key))
            both = f"{differs} is {shown(row.get(differs))}, and {shown(before.get(differs))} in the ticket"
            which = f"{row['arm']} at level {row['level']} on {row['target']}, seed {row['seed']}, {row['metric']}"
            raise TicketError(f"{path}: contradicts the ticket's rows: {for_terminal(which)}: {both}")
    return new


def _write(files: Files, config: TicketConfig, to: Path, rows: list[Row], recipes: list[str]) -> None:
    """Write the ticket in `files` into the folder `to`, with these rows and all that follows from them."""
    text = rows_as_jsonl(rows).encode()
    rows = read_rows(text, str(to / RESULTS_FILE))
    recipe = stored_in(files, config).recipe_text
    content = json.loads((files.folder / CONFIG_FILE).read_text())
    content.setdefault("files", {})[RESULTS_FILE] = entry_of(text).model_dump()
    content["verdict"] = judge(rows, **terms_of(config, rows, recipe)).model_dump(mode="json")
    if recipes:
        content["transfers"] = recipes
    known = check_config(content, str(to / CONFIG_FILE))
    paths = {name: files.checked(name, entry) for name, entry in file_entries(config).items() if name != RESULTS_FILE}
    beside = extra_files(files)
    _warn_of_own_lines(files, config, beside)
    card, extras = beside.get(CARD, b"").decode(errors="replace"), card_extras(Ticket.from_pretrained(files.folder))
    extras |= {"cost": cost_of(known, card), "short_recipe": short_on(card, recipe)}
    read, masks = stored_in(files, config).read_document, masks_in(files.folder)
    with replacing(to) as new:
        for name, path in paths.items():
            write_file(new / name, path.read_bytes())
        write_file(new / RESULTS_FILE, text)
        write_file(new / CONFIG_FILE, known.to_json().encode())
        for name, held in {**beside, **card_files(known, rows, read, masks, **extras)}.items():
            write_file(new / name, held)
        verify_ticket(new)


def _warn_of_own_lines(files: Files, config: TicketConfig, beside: Mapping[str, bytes]) -> None:
    """Warn of lines of the card that somebody wrote, as the card is written anew."""
    if CARD not in beside:
        return
    stored = stored_in(files, config)
    text, plots = beside[CARD].decode(errors="replace"), [name for name in beside if name != CARD]
    empty, effective = Ticket.from_pretrained(files.folder).empty_layers, partial(effective_lines, files.folder)
    known: Any = {"recipe_text": stored.recipe_text, "empty": empty, "effective": effective}
    found = check_card(text, config, stored.results, plots=plots, **known)
    if found.own:
        words = "%s: its card is written anew, without lines that somebody wrote, such as '%s'"
        _log.warning(words, files.folder, for_terminal(found.own[0])[:100])


def joined_words(joined: Joined) -> str:
    """Return the outcome in a line."""
    there = f", {joined.there:,} were there already" if joined.there else ""
    return f"{counted(joined.added, 'row')} on {show_names(joined.targets, 5)} added{there}"
