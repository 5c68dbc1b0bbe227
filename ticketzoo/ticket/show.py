"""A ticket in a notebook."""

import html

from ticketzoo.ticket.config import TicketConfig
from ticketzoo.util.text import for_terminal


def ticket_html(config: TicketConfig, view: str) -> str:
    """Return what a notebook shows: what the ticket is, its levels, its verdict. view: the level and seed in hand."""
    facts = {
        "architecture": config.architecture.name,
        "found on": config.source.dataset,
        "method": config.pruning.method,
        "this view": view,
        "levels": ", ".join(f"{entry.level} ({entry.sparsity:.3f})" for entry in config.levels),
    }
    rows = "".join(f"<tr><th>{key}</th><td>{html.escape(for_terminal(fact))}</td></tr>" for key, fact in facts.items())
    verdict = config.verdict._repr_html_() if config.verdict else ""
    return f"<p><b>{html.escape(for_terminal(config.name))}</b></p><table>{rows}</table>{verdict}"
