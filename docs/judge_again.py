"""Judge tickets anew from their rows: `python docs/judge_again.py registry/*/` rewrites verdict, card and plots.

Rows, masks and weights stay as they are; of ticket.json the verdict alone changes.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from ticketzoo.evaluation.again import judge_ticket
from ticketzoo.evaluation.evidence import ticket_card
from ticketzoo.evaluation.plots import plot_early_stopping, plot_metric
from ticketzoo.evaluation.statistics import deciding_metrics
from ticketzoo.finding.method import found_words
from ticketzoo.ticket import Ticket

UNITS = {"h": 3600, "min": 60, "s": 1}


def cost_on(card: str) -> dict[str, Any]:
    """The cost of finding a ticket that its card states."""
    said = dict(re.findall(r"^- \*\*(trainings|time|device)\*\*: (.*)$", card, re.M))
    cost: dict[str, Any] = {"device": said["device"].replace("\\", "")} if "device" in said else {}
    if "trainings" in said:
        cost["trainings"] = int(said["trainings"].replace(",", ""))
    if "time" in said:
        parts = re.findall(r"([\d.]+) (h|min|s)", said["time"])
        cost["seconds"] = sum(float(number) * UNITS[unit] for number, unit in parts)
    return cost


def judge_again(folder: Path) -> None:
    """Write verdict, plots and card of the ticket in `folder` as its rows give them now."""
    ticket = Ticket.from_pretrained(folder)
    path = folder / "ticket.json"
    content = json.loads(path.read_text())
    content["verdict"] = judge_ticket(ticket).model_dump(mode="json")
    path.write_text(json.dumps(content, indent=2) + "\n")
    rows, ticket = ticket.results, Ticket.from_pretrained(folder)
    (target,) = {row["target"] for row in rows}
    plots = {f"{deciding_metrics(rows)[target].removeprefix('test_')}.png": plot_metric(rows, target=target)}
    if any(row["at"] == "best" for row in rows):
        plots["early-stopping.png"] = plot_early_stopping(rows, target=target)
    for name, figure in plots.items():
        (folder / name).write_bytes(figure.png())
    card = folder / "README.md"
    text = ticket_card(
        ticket.config,
        rows,
        source=target,
        plots=list(plots),
        cost=cost_on(card.read_text()),
        recipe_text=ticket.recipe_text,
        empty=ticket.empty_layers,
        found=found_words(ticket.config.pruning),
    )
    card.write_text(text)


if __name__ == "__main__":
    for given in sys.argv[1:]:
        judge_again(Path(given))
