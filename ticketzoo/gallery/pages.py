"""The files of a gallery: its pages from templates, and beside each ticket's pages its rows and recipes."""

import json
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from ticketzoo import __version__
from ticketzoo.evaluation.arms import CHANCE, TICKET, arm_label, in_order
from ticketzoo.evaluation.statistics import Row
from ticketzoo.gallery import boards, cards, commands, curves, forest, words
from ticketzoo.gallery.exhibit import Exhibit
from ticketzoo.gallery.measured import MINUS, Measured
from ticketzoo.gallery.picture import mask_picture
from ticketzoo.gallery.svg import arm_class, marks
from ticketzoo.ticket.card_kinds import found_facts, kind_facts, rewind_fact, summary_words
from ticketzoo.ticket.config import RECIPE_FILE, RESULTS_FILE
from ticketzoo.ticket.folder import file_entries
from ticketzoo.ticket.verdict_words import published_lines, sentence
from ticketzoo.util.text import show_bytes, show_sparsity

HERE = Path(__file__).parent
STATIC = ("gallery.css", "gallery.js")
MOST_LINES = 5_000
"""Lines of results.jsonl that a page shows; all are in the file beside it."""


def files_of(exhibits: Sequence[Exhibit], title: str, *, above: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the files of a gallery, each by its path: the same tickets give the same bytes.

    Args:
        exhibits: the tickets.
        title: the name at the top of each page.
        above: the way from the gallery's folder to that of the pages that it is a part of, such as "../".
    """
    templates = _templates()
    templates.globals["above"] = above
    ranked = cards.in_rank(exhibits)
    known = cards.known_to_script(ranked)
    yield (
        "index.html",
        _page(templates, "index", "", title, exhibits=ranked, choices=cards.choices(ranked), known=_for_script(known)),
    )
    yield "finders.html", _page(templates, "finders", "", title, boards=boards.boards(ranked))
    yield "transfer.html", _page(templates, "transfer", "", title, matrices=boards.matrices(ranked), link=_result_link)
    for name in STATIC:
        yield name, (HERE / "static" / name).read_bytes()
    for one in ranked:
        folder, picture = f"tickets/{one.slug}", mask_picture(one)
        page = {
            "one": one,
            "picture": picture,
            "files": documents(one),
            "known": _for_script(cards.known_to_script([one])),
            "link": partial(rows_link, one, root="../../"),
            "quoted": shlex.quote(one.title),
        }
        yield f"{folder}/index.html", _page(templates, "ticket", "../../", title, **page)
        yield f"{folder}/rows.html", _page(templates, "rows", "../../", title, **page)
        yield from ((f"{folder}/{name}", content) for name, content in documents(one).items())
        if picture is not None:
            yield f"{folder}/{picture.name}", picture.content


def documents(exhibit: Exhibit) -> dict[str, bytes]:
    """Return a ticket's rows, recipe and transfer recipes, by file name."""
    found = {name: exhibit.stored.read_document(name) for name in (RESULTS_FILE, RECIPE_FILE)}
    known = {name: content for name, content in found.items() if content is not None}
    transfers = enumerate(exhibit.config.transfers, 1)
    known |= {commands.transfer_file(number): text.encode(errors="replace") for number, text in transfers}
    return {name: _no_page(content) for name, content in known.items()}


def _no_page(content: bytes) -> bytes:
    """Return a document that no browser takes for a page where a server does not say what it is.

    YAML may begin as HTML does, with "<": a comment then stands before it.
    """
    return b"# of a ticket\n" + content if content.lstrip().startswith(b"<") else content


def arm_table(exhibit: Exhibit, target: str) -> dict[str, Any]:
    """Return the arms measured on a target and, by level, its sparsity, its means by arm, and its label."""
    found = [one for one in exhibit.on(target) if one.arm != CHANCE]
    arms = in_order(one.arm for one in found)
    labels, packaged = exhibit.labels(target), {entry.level for entry in exhibit.config.levels}
    levels: dict[int, dict[str, Measured]] = {}
    for one in found:
        levels.setdefault(one.level, {})[one.arm] = one
    lines = [
        {
            "level": level,
            "sparsity": show_sparsity(max(one.group.sparsity for one in by_arm.values())),
            "packaged": level in packaged,
            "cells": [by_arm.get(arm) for arm in arms],
            "difference": by_arm[TICKET] if TICKET in by_arm and level > 0 else None,
            "label": labels.get(level, ""),
        }
        for level, by_arm in sorted(levels.items())
    ]
    guess = next((one for one in exhibit.on(target) if one.arm == CHANCE), None)
    return {"arms": arms, "lines": lines, "guess": guess}


def rows_link(exhibit: Exhibit, one: Measured, root: str) -> str:
    """Return the address of a mean's rows, from a page with `root` before the gallery's folder."""
    here = "" if root else f"tickets/{exhibit.slug}/"
    return f"{here}rows.html#{one.anchor}"


def _result_link(result: boards.Result) -> str:
    return rows_link(result.exhibit, result.measured, "")


def _page(templates: jinja2.Environment, name: str, root: str, title: str, **content: Any) -> bytes:
    """Return a page; `root` is the way from it to the gallery's folder."""
    page = {"root": root, "gallery": title, "page": name, "version": __version__}
    return templates.get_template(f"{name}.html").render(page | content).encode()


def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    made.filters |= {"sparsity": show_sparsity, "bytes": show_bytes, "band": boards.band_words}
    made.globals |= {
        "again": commands.again,
        "arm_label": arm_label,
        "arm_table": arm_table,
        "best_of": boards.best_of,
        "common_scale": forest.common_scale,
        "counted_labels": boards.counted_labels,
        "drawn": curves.drawn,
        "facets": cards.FACETS,
        "at_least": cards.AT_LEAST,
        "file_bytes": lambda one: sum(entry.bytes for entry in file_entries(one.config).values()),
        "forest": forest.forest,
        "found_facts": found_facts,
        "key": _key,
        "kind_facts": kind_facts,
        "kind_names": json.dumps(words.kind_names()),
        "kind_of": words.kind_of,
        "kinds": words.KINDS,
        "load_line": commands.load_line,
        "load_lines": commands.load_lines,
        "most_lines": MOST_LINES,
        "plot": curves.plot,
        "published_lines": published_lines,
        "raw": _raw,
        "rewind_fact": rewind_fact,
        "rows_link": rows_link,
        "sentence": sentence,
        "sparkline": curves.sparkline,
        "summary_words": summary_words,
    }
    return made


def _key(arm: str) -> Markup:
    """Return the mark of an arm, as legends show it."""
    kind = arm_class(arm)
    inside = Markup('<path class="line {}" d="M0 7H26"></path>').format(kind)
    inside += marks(kind, [(13, 7)]) if arm != "dense" else Markup()
    return Markup('<svg class="key" viewBox="0 0 26 14" aria-hidden="true">{}</svg>').format(inside)


def _raw(row: Row) -> str:
    """Return a row's value with every digit that it has."""
    return json.dumps(row["value"]).replace("-", MINUS)


def _for_script(content: object) -> Markup:
    return htmlsafe_json_dumps(content, separators=(",", ":"))


def _printable(value: object) -> object:
    """Return a text with characters that would turn or hide what stands beside them replaced."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in value)
