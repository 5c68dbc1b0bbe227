"""Compare the masks of the zoo: across initialisations, across data sets of one initialisation, across finders.

Rows go to a results file, of which `python docs/build.py` makes the tables and the figure of docs/comparing.md.
Every row is a mean over pairs of replicates. Data sets are read as the tickets' recipes say, or from copies:

    python benchmarks/overlaps.py --data ylecun/mnist=DIR --data zalando-datasets/fashion_mnist=DIR
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ticketzoo import Ticket, load_ticket
from ticketzoo.comparing.compare import compare_tickets
from ticketzoo.comparing.comparison import Comparison
from ticketzoo.comparing.pairs import WHOLE
from ticketzoo.comparing.unread import Unread, unread_in_data
from ticketzoo.models.create import initial_state
from ticketzoo.ticket import Found

ROOT = Path(__file__).resolve().parents[1]
NEAR = 0.893
"""The sparsity at which layers, and tickets of other finders, are compared."""

CURVES = (
    ("lenet-300-100.mnist-imp", "lenet-300-100.fashion-mnist-imp"),
    ("lenet-5.mnist-imp", "lenet-5.fashion-mnist-imp"),
)
"""Tickets that are compared at all levels."""

PAIRS = (
    ("lenet-300-100.mnist-imp-layerwise", "lenet-300-100.fashion-mnist-imp-layerwise"),
    ("lenet-300-100.mnist-imp-momentum", "lenet-300-100.fashion-mnist-imp-momentum"),
    ("lenet-300-100.mnist-5000-imp", "lenet-300-100.fashion-mnist-5000-imp"),
    ("lenet-300-100.mnist-one-shot", "lenet-300-100.fashion-mnist-one-shot"),
    ("lenet-300-100.mnist-snip", "lenet-300-100.fashion-mnist-snip"),
    ("lenet-300-100.mnist-imp", "lenet-300-100.mnist-5000-imp"),
    ("lenet-300-100.mnist-imp", "lenet-300-100.mnist-one-shot"),
    ("lenet-300-100.mnist-imp", "lenet-300-100.mnist-snip"),
    ("lenet-300-100.mnist-imp", "lenet-300-100.mnist-imp-magnitude-increase"),
    ("resnet-20.fashion-mnist-imp-reduced", "resnet-20.fashion-mnist-imp-reduced-40it"),
    ("all-minilm-l6-v2.wordnet-mlm-imp",),
)
"""Tickets that are compared at the level nearest to `NEAR`."""


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DIR", help="a copy of a data set")
    parser.add_argument("--results", type=Path, default=ROOT / "docs/results/overlaps.jsonl", help="file to write")
    options = parser.parse_args()
    folders = dict(one.split("=", 1) for one in options.data)
    rows = list(measured(folders))
    options.results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{options.results}: {len(rows)} rows")


def measured(folders: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of every comparison."""
    never: dict[tuple[str, str], Unread | None] = {}

    def load(name: str) -> tuple[Ticket, Unread | None]:
        ticket = load_ticket(name, registry=ROOT / "registry", masks_only=name.startswith("all-minilm"))
        place = ticket.config.architecture.name, ticket.config.source.dataset
        if place not in never:
            on_images = ticket.config.task == "image-classification" and not place[0].startswith("resnet")
            never[place] = unread_in_data(ticket, folders.get(place[1])) if on_images else None
        return ticket, never[place]

    for names in (*CURVES, *PAIRS):
        tickets, unread = zip(*map(load, names), strict=True)
        near = min(tickets[0].levels, key=lambda entry: abs(entry.sparsity - NEAR)).level
        found = compare_tickets(tickets, unread=unread, level=None if names in CURVES else near)
        yield from rows_of(found, near, layers=names in CURVES)
        print(" and ".join(names), flush=True)
    for names in CURVES:
        ticket, unread = load(names[0])
        yield from rows_of(compare_tickets([ticket, largest_initial(ticket)], unread=[unread] * 2), -1, layers=False)
        print(f"{names[0]} and the largest of its initial weights", flush=True)


def rows_of(found: Comparison, near: int, *, layers: bool) -> Iterator[dict[str, Any]]:
    """Yield the means of a comparison: of all layers, and with `layers` of each at the first ticket's level `near`."""
    for summary in found.summaries():
        whole, at = summary.parameter == WHOLE, summary.stage.levels[0] == near
        if (whole and summary.group.first != summary.group.second) or (at and (whole or layers)):
            kept = [summary.stage.kept[place] for place in (summary.group.first, summary.group.second)]
            row = {"comparison": " and ".join(found.names), **summary.row(found.names)}
            yield {**row, "first_kept": kept[0], "second_kept": kept[1]}


def largest_initial(ticket: Ticket) -> Ticket:
    """Return masks that keep of each layer as many weights as the ticket does, the largest before training."""
    replicates = []
    architecture: Any = ticket.config.architecture.model_dump(include={"library", "name", "kwargs"})
    for seed in ticket.seeds:
        view = ticket.at(seed=seed)
        state = initial_state(architecture, seed)
        for name, known in view.known_rewind.items():
            assert torch.equal(state[name][known], view.known_state[name][known]), "not the ticket's initialisation"
        levels = {
            entry.level: {name: _largest(state[name], mask) for name, mask in view.at(level=entry.level).masks.items()}
            for entry in ticket.levels
        }
        replicates.append(Found(seed, levels, state))
    return Ticket.create(
        name=f"{ticket.name.partition('.')[0]}.largest-initial",
        architecture=architecture,
        task=ticket.config.task,
        source=ticket.config.source.model_dump(),
        pruning={"method": "large-init", "scope": "layer"},
        replicates=replicates,
    )


def _largest(weights: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(weights.numel(), dtype=torch.bool)
    mask[weights.flatten().abs().argsort(descending=True, stable=True)[: int(like.sum())]] = True
    return mask.view(weights.shape)


if __name__ == "__main__":
    main()
