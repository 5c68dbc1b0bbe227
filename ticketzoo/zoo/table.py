"""Tickets as a table in Markdown."""

from collections.abc import Iterable

from ticketzoo.util.text import for_markdown
from ticketzoo.zoo.summary import COLUMNS, TicketSummary


def markdown_table(summaries: Iterable[TicketSummary]) -> str:
    """Return the table of `list` in Markdown, each name a link to its folder."""
    header = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
    lines = [
        f"| [{name}]({summary.folder.name}/README.md) | {' | '.join(for_markdown(cell) for cell in cells)} |"
        for summary in summaries
        for name, *cells in [summary.cells()]
    ]
    return "\n".join([header, *lines])
