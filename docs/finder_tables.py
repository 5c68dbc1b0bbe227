"""Tables of docs/finders.md, from the rows of benchmarks/finders.py."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from ticketzoo.evaluation.statistics import Summary, summarise

Row = Mapping[str, Any]
NO_TRAINING = "0"
TRAININGS = {"imp": "1 a level", "one-shot": "1", "obd": "1 a level"}
"""Trainings that a finder needs before its masks are there; of all others none."""

SPARSITIES = (0.8, 0.9, 0.95, 0.98)
ARMS = ("random_reinit", "shuffled_mask", "inverted_mask")


class Place(NamedTuple):
    """One finder's arm at one sparsity."""

    finder: str
    sparsity: float
    arm: str


def by_place(rows: Iterable[Row]) -> dict[Place, dict[int, float]]:
    """The test accuracy of each seed; draws of a seed averaged. Sparsities in hundredths."""
    found: dict[Place, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["metric"] == "test_accuracy":
            found[Place(row["finder"], round(row["sparsity"], 2), row["arm"])][row["seed"]].append(row["value"])
    return {place: {seed: fmean(values) for seed, values in seeds.items()} for place, seeds in found.items()}


def accuracies(rows: Sequence[Row], sparsities: Sequence[float]) -> str:
    """Finders by sparsity: test accuracy with its interval, effective sparsity, trainings before the mask, seconds."""
    found, last = by_place(rows), sparsities[-1]
    heads = [*(f"{one:.0%}" for one in sparsities), f"effective at {last:.0%}", "trainings", "ranking (s)"]
    lines = [f"| finder | {' | '.join(heads)} |", "|---|" + "--:|" * len(heads)]
    first = next(iter(dict.fromkeys(row["finder"] for row in rows)))
    dense = shown(summarise(list(found[Place(first, 0.0, "dense")].values())))
    lines.append(f"| *dense* | {' | '.join([dense] + [''] * len(sparsities))} | 1 | |")
    for finder in dict.fromkeys(row["finder"] for row in rows):
        cells = [shown(summarise(list(found[Place(finder, one, "ticket")].values()))) for one in sparsities]
        cells.append(f"{effective_sparsity(rows, finder, last):.2%}")
        seconds = f"{ranking_seconds(rows, finder):.2f}"
        lines.append(f"| `{finder}` | {' | '.join(cells)} | {TRAININGS.get(finder, NO_TRAINING)} | {seconds} |")
    return "\n".join(lines)


def sanity(rows: Sequence[Row], sparsities: Sequence[float]) -> str:
    """Finders by sanity arm: the arm minus the ticket in points, seed by seed, with the interval."""
    found = by_place(rows)
    heads = [f"{arm.replace('_', ' ')} {one:.0%}" for arm in ARMS for one in sparsities]
    lines = [f"| finder | {' | '.join(heads)} |", "|---|" + "--:|" * len(heads)]
    for finder in dict.fromkeys(row["finder"] for row in rows):
        cells = []
        for arm in ARMS:
            for one in sparsities:
                ticket, other = found[Place(finder, one, "ticket")], found.get(Place(finder, one, arm))
                lost = [] if other is None else [other[seed] - ticket[seed] for seed in ticket]
                cells.append(shown(summarise(lost), signed=True) if lost else "")
        lines.append(f"| `{finder}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def effective_sparsity(rows: Sequence[Row], finder: str, at: float) -> float:
    """The mean over seeds of the effective sparsity of masks of a sparsity, in hundredths."""
    of_finder = (row for row in rows if row["finder"] == finder and row["metric"] == "effective_sparsity")
    return fmean(row["value"] for row in of_finder if round(row["sparsity"], 2) == at)


def ranking_seconds(rows: Sequence[Row], finder: str) -> float:
    """The mean over seeds of the seconds of ranking for all sparsities; where each is found alone, of their sum."""
    last: dict[tuple[str, int], float] = {}
    for row in rows:
        if row["finder"] == finder and row["metric"] == "ranking_seconds":
            last[row["recipe"], row["seed"]] = max(row["value"], last.get((row["recipe"], row["seed"]), 0.0))
    seeds = {seed for _, seed in last}
    return sum(last.values()) / len(seeds)


def shown(summary: Summary, signed: bool = False) -> str:
    """A mean in points with half the width of its 95% interval."""
    width = summary.half_width
    return f"{100 * summary.mean:{'+' if signed else ''}.2f}" + ("" if width is None else f" ± {100 * width:.2f}")


def best_on_validation(rows: Iterable[Row]) -> dict[tuple[str, str, bool], dict[int, float]]:
    """The untrained test accuracy of each seed at its best level on validation, by length, criterion and kind."""
    found: dict[tuple[str, str, bool], dict[int, dict[int, dict[str, float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    for row in rows:
        if row["level"]:
            place = found[row["scored_at"], row["criterion"], row["signed"]]
            place[row["seed"]][row["level"]][row["metric"]] = row["value"]
    return {
        place: {
            seed: max(levels.values(), key=lambda one: one["validation_accuracy"])["test_accuracy"]
            for seed, levels in seeds.items()
        }
        for place, seeds in found.items()
    }


def supermask_lengths(rows: Sequence[Row]) -> str:
    """Untrained masks by the length of the training that scores them."""
    found = best_on_validation(rows)
    kinds = list(dict.fromkeys((criterion, signed) for _, criterion, signed in found))
    heads = [f"`{criterion}`, {'one magnitude' if signed else 'as drawn'}" for criterion, signed in kinds]
    lines = [f"| iterations | {' | '.join(heads)} |", "|--:|" + "--:|" * len(kinds)]
    for length in dict.fromkeys(at for at, *_ in found):
        cells = [shown(summarise(list(found[length, *kind].values()))) for kind in kinds]
        lines.append(f"| {int(length.removesuffix('it')):,} | {' | '.join(cells)} |")
    return "\n".join(lines)
