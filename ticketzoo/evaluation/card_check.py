"""A ticket's card, held against its files: a card lies beside a ticket and may say anything."""

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.backing import numbers_in
from ticketzoo.evaluation.evidence import DENSITIES, ticket_card
from ticketzoo.evaluation.free_texts import claiming_texts
from ticketzoo.evaluation.own_words import claims, speaks_of_results
from ticketzoo.evaluation.statistics import Row
from ticketzoo.hub.stamp import unstamped
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.ticket.card_cost import cost_of
from ticketzoo.ticket.card_metadata import CLAIM_TAG_PREFIXES
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.effective import BEGINS
from ticketzoo.ticket.recipe_file import short_on
from ticketzoo.util.text import fenced, for_markdown, for_terminal

MOST = 100
"""As many differences of one kind are looked for."""


@dataclass(frozen=True)
class CardCheck:
    """A card's statements that nothing else in the ticket gives.

    Attributes:
        differs: a phrase for each label, number or claim that ticket.json and the rows do not give.
        own: the first of its other lines that they do not give either: somebody's own words.
        missing: the first of the lines that they give and the card has not.
    """

    differs: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def check_card(
    card: str,
    config: TicketConfig,
    rows: Sequence[Row],
    *,
    plots: Sequence[str] = (),
    recipe_text: str | None = None,
    empty: Sequence[str] = (),
    effective: Callable[[], Sequence[str]] = tuple,
) -> CardCheck:
    """Compare a card with what `ticket_card` writes of the same ticket; its cost is a run's own, and as it states it.

    Args:
        card: text of README.md.
        config: of ticket.json.
        rows: of results.jsonl.
        plots: names of the plots beside it.
        recipe_text: of recipe.yaml.
        empty: lines of `ticketzoo.ticket.empty.empty_layers`.
        effective: gives those of `ticketzoo.ticket.effective.Effective`; asked for where the card has such lines, which
            older ones have not.

    Raises:
        TicketError: no card can be written of the rows, or the card's metadata cannot be read.
    """
    card = unstamped(card)
    cost = cost_of(config, card)
    lines: dict[str, Any] = {"empty": empty, "effective": effective() if f"\n- {BEGINS} " in card else ()}
    lines |= {"densities": f"\n- {DENSITIES} " in card, "short_recipe": short_on(card, recipe_text)}
    expected = ticket_card(config, rows, plots=plots, cost=cost, recipe_text=recipe_text, **lines)
    known: dict[str, Table] = {}
    for one in _table_lines(expected):
        known.setdefault(one.caption, {})[one.key] = one.cells
    own, missing = _beside(card, expected), _beside(expected, card)
    texts = [text for _, text in claiming_texts(config, rows)]
    device = [one for one in [cost.get("device", "")] if not config.devices and speaks_of_results(one)]
    differs = [
        *islice(_metadata_differences(card, expected), MOST),
        *islice(_verdict_differences(card, expected), MOST),
        *islice((phrase for line in _table_lines(card) for phrase in _line_differences(line, known)), MOST),
    ] or [*islice(claims([*own, *device], missing, _without(expected, [*texts, *device]), config), MOST)]
    if recipe_text and "<summary>recipe.yaml</summary>" in card and fenced(recipe_text, "yaml") not in card:
        own.insert(0, "its recipe, which is not recipe.yaml")
    return CardCheck(tuple(differs), tuple(own[:MOST]), tuple(_left_out(card, expected, set(missing))))


def _without(card: str, texts: Iterable[str]) -> str:
    """Return a card without metadata and free texts, whose numbers are nobody's measurements."""
    card = card.replace(_head(card), "")
    for text in texts:
        card = card.replace(for_markdown(text), "")
    return card


def _lines(text: str) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in io.StringIO(text))


def _beside(card: str, other: str) -> list[str]:
    """Return the lines of a card that another has not."""
    given = {_without_reference(line) for line in _lines(other)}
    return [line for line in _lines(card) if line.strip() and _without_reference(line) not in given]


def _left_out(card: str, expected: str, missing: Collection[str]) -> Iterator[str]:
    """Yield the lines that a card lacks in the sections that it has."""
    headings = {line for line in _lines(card) if line.startswith("## ")}
    section = ""
    for line in _lines(expected):
        section = line if line.startswith("## ") else section
        if section in headings and line in missing:
            yield line


def _without_reference(line: str) -> str:
    """Return a line with the name left out that a ticket is loaded by: its own, or its Hub id."""
    return re.sub(r'load_ticket\("[\w./@-]+"', 'load_ticket("', line).rstrip()


Table = dict[tuple[str, ...], dict[str, str]]
"""Cells by heading, by the cells that name the line."""

NAMING = ("ticket", "level")
"""Headings of the columns that name a line of a table of measurements."""


class TableLine(NamedTuple):
    """A line of a table of measurements: the table's caption, the cells that name the line, all cells by heading."""

    caption: str
    key: tuple[str, ...]
    cells: dict[str, str]


def _table_lines(card: str) -> Iterator[TableLine]:
    caption: str = ""
    heads: list[str] | None = None
    for line in _lines(card):
        if not line.startswith("|"):
            caption, heads = line.strip() or caption, None
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if heads is None:
            heads = cells
        elif {"level", "sparsity"} <= set(heads) and not set("".join(cells)) <= set(":- "):
            named = dict(zip(heads, cells, strict=False))
            by = NAMING if heads[0] == NAMING[0] else NAMING[1:]
            yield TableLine(caption, tuple(named.get(head, "") for head in by), named)


def _line_differences(line: TableLine, known: Mapping[str, Table]) -> Iterator[str]:
    """Yield what a line says that the table of the same caption, or else of the same target, does not."""
    words = re.search(r" on (.+?):", line.caption)
    same = known.get(line.caption) or next((known[one] for one in known if words and words[0] in one), None)
    here = f"table '{for_terminal(line.caption)[:60]}'"
    if same is None:
        yield f"{here} is of no target that the rows measure"
        return
    if line.key not in same:
        yield f"{here} has a line {for_terminal(' '.join(line.key))[:100]}, which no row gives"
        return
    for head, cell in line.cells.items():
        given = same[line.key].get(head)
        stated, measured = numbers_in(cell), numbers_in(given or "")
        if line.caption not in known:  # written by another version, with intervals of another kind perhaps
            stated, measured = stated[:1], measured[:1]
        if given is None or stated != measured or (not stated and cell != given):
            says = f"{here} says {for_terminal(cell)[:60]} of {for_terminal(head)[:60]} at level {line.key[-1]}"
            yield f"{says}, and the rows give {given or 'nothing'}"


def _head(card: str) -> str:
    head = re.match(r"\s*---\n(.*?)\n---\s*\n", card, flags=re.DOTALL)
    return head[1] if head else ""


def _metadata(head: str) -> dict[str, Any]:
    try:
        data = parse_yaml(head, most=10_000)
    except ValueError as error:
        raise TicketError(f"metadata: {for_terminal(error)[:300]}") from None
    return data if isinstance(data, dict) else {}


def _metadata_differences(card: str, expected: str) -> Iterator[str]:
    if _head(card) == _head(expected):
        return
    stated, given = _metadata(_head(card)), _metadata(_head(expected))
    listed = stated.get("tags")
    tags = (
        {tag for tag in listed if isinstance(tag, str) and tag.startswith(CLAIM_TAG_PREFIXES)}
        if isinstance(listed, list)
        else set()
    )
    for tag in sorted(tags - set(given["tags"])):
        yield f"tag {tag}, which ticket.json does not give"
    for key in ("license", "datasets"):
        if key in stated and stated[key] != given.get(key):
            instead = given.get(key, "none")
            yield f"metadata: {key} is {for_terminal(stated[key])[:100]}, and ticket.json gives {instead}"
    known = dict(_metrics(given))
    for key, metric in _metrics(stated):
        if known.get(key) != metric:
            yield f"metadata: {key} is {metric}, and the rows give {known.get(key, 'none')}"


def _metrics(data: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the numbers of each result in the metadata, under the words that say what it is."""
    for result in _dicts(data, "model-index", "results"):
        for metric in _dicts(result, "metrics"):
            words = [result.get("dataset"), metric.get("type"), metric.get("name")]
            yield for_terminal(words)[:200], (str(metric.get("value")), for_terminal(metric.get("args")))


def _dicts(value: Any, *keys: str) -> Iterator[dict[str, Any]]:
    if not keys:
        yield from ([value] if isinstance(value, dict) else [])
        return
    inner = value.get(keys[0]) if isinstance(value, dict) else None
    for one in inner if isinstance(inner, list) else []:
        yield from _dicts(one, *keys[1:])


def _verdict_differences(card: str, expected: str) -> Iterator[str]:
    stated, given = _verdict(card), _verdict(expected)
    for one, other in zip(stated, given or [""] * len(stated), strict=False):
        if one != other:
            yield f"verdict '{for_terminal(one)[:100]}', and ticket.json gives '{for_terminal(other or 'none')[:100]}'"


def _verdict(card: str) -> list[str]:
    """Return the label with its sparsity, the rule and the numbers of all levels and looks, as a card states them."""
    _, _, part = card.partition("\n## Verdict\n\n")
    label = re.match(r"\*\*[^*\n]*\*\*(?: at sparsity [\d.]+)?", part)
    rule = re.search(r"^> ([^\n]*)", part.partition("\n## ")[0], re.MULTILINE)
    levels = re.search(r"All levels: ([^\n]*)", part.partition("\n## ")[0])
    looks = re.findall(r"^\|.*", part.partition("\n## ")[0], re.MULTILINE)
    numbers = ", ".join(numbers_in("\n".join([levels[1], *looks]))) if levels else ""
    return [label[0].rstrip("."), rule[1] if rule else "", *[numbers] * bool(numbers)] if label else []
