"""Measured parts of docs/matrix.md, from what `ticketzoo transfer` writes.

The rows of a run NAME are docs/results/NAME.jsonl (its results.jsonl); its data are told by docs/results/NAME.json (its
matrix.json).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from finder_claims import minus
from finder_tables import shown

from ticketzoo.evaluation.matrix import Matrix, matrices
from ticketzoo.evaluation.matrix_plot import plot_matrix
from ticketzoo.evaluation.matrix_tables import matrix_sections
from ticketzoo.evaluation.statistics import summarise

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
        if name == "lenet-5-five":
            yield f"{name}-parts", of_parts(found)
        yield name, "\n\n".join([*matrix_sections(rows, about), *shown])


def of_parts(found: Sequence[Matrix]) -> str:
    """Row means of a source less those of parts of it, paired by seed: a line a level."""
    table = ["| sparsity | all minus a quarter | all minus five classes |", "|--:|--:|--:|"]
    for matrix in found:
        rows = {source.removeprefix("lenet-5.").removesuffix("-imp-rgb"): of for source, of in matrix.rows.items()}
        whole = rows["fashion-mnist"]
        less = [minus(whole, rows[part]) for part in ("fashion-mnist-quarter", "fashion-mnist-0-4")]
        cells = [shown(summarise(list(by_seed.values())), signed=True) for by_seed in less]
        table.append(f"| {matrix.sparsity:.3f} | {' | '.join(cells)} |")
    return "\n".join(table)
