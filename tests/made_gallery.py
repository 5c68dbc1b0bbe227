"""Tickets whose means can be worked out by hand, and texts that a stranger may put into them."""

from pathlib import Path
from typing import Any

from toy_ticket import verdict
from toy_zoo import found, make_ticket

HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'`{{7*7}}"
"""A text that would run, were it put into a page as it is."""
SOURCE, OTHER = "digits", "letters"


def row(arm: str, level: int, seed: int, value: float, **changed: Any) -> dict[str, Any]:
    """A line of results.jsonl."""
    sparsity = {0: 0.0, 1: 0.5, 2: 0.75}[level]
    return {
        "ticket": "lenet.digits-imp", "level": level, "sparsity": sparsity, "arm": arm, "target": SOURCE, "seed": seed,
        "draw": 0, "at": "final", "step": 10, "metric": "test_accuracy", "value": value,
    } | changed  # fmt: skip


def rows(**changed: Any) -> list[dict[str, Any]]:
    """Three seeds: dense 90, 91, 92; at level 1 the ticket as dense, at level 2 each a point below; a control at 80."""
    found = [row("dense", 0, seed, 0.90 + seed / 100, **changed) for seed in range(3)]
    found += [row("ticket", 1, seed, 0.90 + seed / 100, **changed) for seed in range(3)]
    found += [row("ticket", 2, seed, 0.89 + seed / 100, **changed) for seed in range(3)]
    return found + [row("random_mask", 1, seed, 0.80, **changed) for seed in range(3)]


def save(folder: Path, **changed: Any) -> Path:
    """A ticket with these rows, of three seeds."""
    given = {"replicates": [found(seed) for seed in range(3)], "results": rows(), **changed}
    return make_ticket(**given).save_pretrained(folder)


def judged(label: str, target: str = SOURCE) -> dict[str, Any]:
    """A verdict with `label` at level 1 and "not matching" at level 2."""
    made = verdict({1: label, 2: "not matching"})
    made["levels"][0]["sparsity"] = made["sparsity"] = 0.5
    made["levels"][1]["sparsity"] = 0.75
    for level in made["levels"]:
        level["target"] = target
    return made
