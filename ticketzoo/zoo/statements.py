"""Statements of a ticket about its measurements, computed again: its verdict, its levels' sparsities, its card."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.deriving.again import made_words
from ticketzoo.errors import TicketError
from ticketzoo.evaluation.backing import backing, listed_differences, narrowed, row_differences
from ticketzoo.evaluation.card_check import check_card
from ticketzoo.evaluation.evidence import plots_of
from ticketzoo.evaluation.free_texts import FoundWords, claiming_texts, own_words
from ticketzoo.evaluation.plot_check import check_plot
from ticketzoo.evaluation.statistics import Row
from ticketzoo.tasks.metrics import LOSS, PERPLEXITY, ROUNDING
from ticketzoo.ticket.card_cost import cost_of
from ticketzoo.ticket.config import RESULTS_FILE, TicketConfig
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.ticket.publish import CARD, MAX_CARD_BYTES, MAX_PLOT_BYTES
from ticketzoo.ticket.rows import check_rows, is_complete, is_finite
from ticketzoo.ticket.stored import Stored
from ticketzoo.util.text import counted, for_terminal
from ticketzoo.zoo.checks import Check
from ticketzoo.zoo.effective import effective_lines, masks_in

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot


NOT_NEGATIVE_LOSS = ("image-classification", "text-classification", "fill-mask", "question-answering")
"""Tasks whose loss is cross-entropy or a squared error; a task of a user's own may have any."""

LEAST = {LOSS.name: 0.0, PERPLEXITY.name: 1.0}
"""Smallest values of metrics on these tasks."""

MOST_TEXTS = 10
"""As many free texts that speak of results are noted."""


def check_rows_and_verdict(folder: Path, config: TicketConfig, stored: Stored) -> Iterator[Check]:
    """Hold the verdict and the levels' sparsities against the rows.

    Yields:
        what holds, and notes of what is only claimed.

    Raises:
        TicketError: the rows give something else; the message says what.
    """
    rows = stored.results
    if incomplete := sum(not is_complete(row) for row in rows):
        if config.verdict is not None or incomplete < len(rows):
            check_rows(rows, f"{folder / RESULTS_FILE} line")
        yield Check(RESULTS_FILE, "NOTE: nothing can be computed of these rows, which lack columns")
    if config.task in NOT_NEGATIVE_LOSS:
        _check_losses(folder, rows)
    off = list(islice(row_differences(config, rows, rounded=0), 1))
    found = backing(config, rows, lambda: stored.recipe_text)
    if found.state == "contradicted":
        raise TicketError(
            f"{folder / CONFIG_FILE}: states what its rows do not give, "
            f"{counted(len(found.differs), 'value')}: {listed_differences(found.differs)}"
        )
    if off:
        yield Check(RESULTS_FILE, f"NOTE: {for_terminal(off[0])}")
    if found.state == "claimed":
        yield Check(CONFIG_FILE, f"NOTE: the verdict is only claimed: {found.why}")
    yield from (Check(CONFIG_FILE, f"NOTE: in words of its own: {phrase}") for phrase in found.reworded[:1])
    if config.verdict:
        yield from (Check(CONFIG_FILE, f"NOTE: {phrase}") for phrase in narrowed(config.verdict, rows))
    if found.state == "rows" and config.verdict:
        levels = counted(len(config.verdict.levels), "level")
        yield Check(CONFIG_FILE, f"verdict {config.verdict.label}, as its rows give it on {levels}")


def _check_losses(folder: Path, rows: Sequence[Row]) -> None:
    """Raise TicketError for a loss below 0 or a perplexity below 1."""
    for number, row in enumerate(rows, 1):
        name = str(row.get("metric")).partition("_")[2]
        least, value = LEAST.get(name), row.get("value")
        if least is not None and is_finite(value) and value < least - ROUNDING:
            cannot = f"value: {value:g} cannot be: {row['metric']} is at least {least:g}"
            raise TicketError(f"{folder / RESULTS_FILE} line {number}: {cannot}; measure it again")


def check_free_texts(config: TicketConfig, stored: Stored, found_words: FoundWords | None) -> Iterator[Check]:
    """Note free texts that the card prints, where they speak of results or are not this version's words.

    Args:
        config: of ticket.json.
        stored: the ticket's content.
        found_words: gives this version's words for how a ticket was found; without it they are not compared.
    """
    of_this_version = found_words and (lambda pruning: found_words(pruning) | made_words(config))
    for phrase in own_words(config, of_this_version) if of_this_version else ():
        yield Check(CONFIG_FILE, f"NOTE: {phrase}")
    for where, text in islice(claiming_texts(config, stored.results), MOST_TEXTS):
        yield Check(CONFIG_FILE, f"NOTE: {where} is free text that speaks of results: '{for_terminal(text)[:200]}'")


def check_card_beside(folder: Path, config: TicketConfig, stored: Stored, empty: Sequence[str]) -> Iterator[Check]:
    """Hold the card beside a ticket, if there is one, against ticket.json and the rows.

    Args:
        folder: of the ticket.
        config: of ticket.json.
        stored: the ticket's content.
        empty: lines of `ticketzoo.ticket.empty.empty_layers`.

    Yields:
        what holds, and a note of lines that are somebody's own.

    Raises:
        TicketError: a number or a claim in it is another one; the message says which.
    """
    path, plots = folder / CARD, _plots_beside(folder, config, stored)
    if not path.is_file():
        return
    if (size := path.stat().st_size) > MAX_CARD_BYTES:
        raise TicketError(f"{path}: {size:,} bytes, more than the {MAX_CARD_BYTES:,} of a card")
    if not all(map(is_complete, stored.results)):
        yield Check(CARD, "NOTE: was not compared, as the rows lack columns")
        return
    try:
        text = path.read_bytes().decode(errors="replace")
        known: Any = {"recipe_text": stored.recipe_text, "empty": empty, "effective": partial(effective_lines, folder)}
        found = check_card(text, config, stored.results, plots=list(plots), **known)
    except OSError as error:
        raise TicketError(f"{path}: cannot be read: {error.strerror}") from None
    except TicketError as error:
        raise TicketError(f"{path}: {error}") from None
    if found.differs:
        raise TicketError(
            f"{path}: says what ticket.json and the rows do not give: {listed_differences(found.differs)}"
        )
    yield Check(CARD, "its tables, metadata and verdict are those of ticket.json and the rows")
    if cost_of(config, text):
        yield Check(CARD, "its cost is only claimed: nothing else in the ticket gives it")
    if found.own:
        yield Check(CARD, f"NOTE: has lines of its own, such as '{for_terminal(found.own[0])[:100]}'")
    elif found.missing:
        yield Check(CARD, f"NOTE: lacks lines, such as '{for_terminal(found.missing[0])[:100]}'")


def check_plots_beside(folder: Path, config: TicketConfig, stored: Stored) -> Iterator[Check]:
    """Hold the plots beside a ticket against the rows.

    Yields:
        what holds, and a note of each plot that does not say what it was drawn of.

    Raises:
        TicketError: one shows something else than the rows; the message names it.
    """
    for name, draw in _plots_beside(folder, config, stored).items():
        path = folder / name
        if (size := path.stat().st_size) > MAX_PLOT_BYTES:
            raise TicketError(f"{path}: {size:,} bytes, more than the {MAX_PLOT_BYTES:,} of a plot")
        try:
            found = check_plot(path.read_bytes(), draw)
        except OSError as error:
            raise TicketError(f"{path}: cannot be read: {error.strerror}") from None
        if found.state == "differs":
            raise TicketError(f"{path}: {found.words}: draw it again, or remove it")
        yield Check(name, f"{'NOTE: ' * (found.state == 'unknown')}{found.words}")


def plot_names(folder: Path, config: TicketConfig, stored: Stored) -> list[str]:
    """Return the names of the plots that the rows and masks of the ticket in `folder` give."""
    if not all(map(is_complete, stored.results)):
        return []
    return [*plots_of(config, stored.results, stored.read_document, masks_in(folder))]


def _plots_beside(folder: Path, config: TicketConfig, stored: Stored) -> "Mapping[str, Callable[[], Plot]]":
    """Return what draws the plots of a ticket that lie beside it, by name."""
    if not all(map(is_complete, stored.results)):
        return {}
    plots = plots_of(config, stored.results, stored.read_document, masks_in(folder))
    return {name: draw for name, draw in plots.items() if (folder / name).is_file()}
