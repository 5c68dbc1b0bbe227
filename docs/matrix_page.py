"""Measured parts of docs/transfer.md on many sources and targets, from what `ticketzoo transfer` writes.

The rows of a run NAME are docs/results/NAME.jsonl (its results.jsonl); its data are told by docs/results/NAME.json (its
matrix.json).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from ticketzoo.evaluation.matrix import matrices
from ticketzoo.evaluation.matrix_plot import plot_matrix
from ticketzoo.evaluation.matrix_tables import matrix_sections

EXPERIMENTS = ("lenet-5-five", "lenet-5-scarce")
"""Recipes in recipes/matrix that are shown once their rows are there."""


def parts(read: Callable[[str], list[dict]], results: Path, images: Path) -> Iterator[tuple[str, str]]:
    """The name and text of each experiment that has been measured; draws its figures."""
    for name in EXPERIMENTS:
        if not (results / f"{name}.jsonl").is_file():
            continue
        rows = read(name)
        known = json.loads((results / f"{name}.json").read_text())
        about = {"sources": known["sources"], "targets": known["targets"]}
        found = matrices(rows, about)
        pictures = [("dense", "dense", False)]
        if any(one.over_own for one in found):
            pictures.append(("own", "the target's own ticket", True))
        for ending, _, over_own in pictures:
            plot_matrix(rows, found, images / f"{name}-{ending}.png", over_own=over_own)
        shown = [f"![ticket minus {over}](images/{name}-{ending}.png)" for ending, over, _ in pictures]
        yield name, "\n\n".join([*matrix_sections(rows, about), *shown])
