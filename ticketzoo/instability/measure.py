"""Instability of networks from the errors along lines; the steps that are stable; a step to rewind to."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticketzoo.evaluation.statistics import Summary, summarise


@dataclass(frozen=True)
class Instability:
    """The instability of a network, of which copies were trained from one step with different data orders.

    Attributes:
        rewind_step: the step from which the copies were trained, in iterations.
        level: of the network; 0 is the dense one.
        sparsity: fraction of its prunable weights removed.
        by_seed: the mean over the pairs of copies of each seed, in the unit of what is measured.
        end_error: mean error, or loss, of the copies themselves.
    """

    rewind_step: int
    level: int
    sparsity: float
    by_seed: Mapping[int, float]
    end_error: float

    @property
    def summary(self) -> Summary:
        """Return mean and interval over the seeds."""
        return summarise(list(self.by_seed.values()))


def instability(errors: Sequence[float]) -> float:
    """Return the largest error on the line minus the mean of those at its ends (Frankle et al. 2020, section 2).

    Args:
        errors: at points in order along the line, both ends included; so the instability is never below 0.
    """
    return max(errors) - (errors[0] + errors[-1]) / 2


def instabilities(rows: Iterable[Mapping[str, Any]], quantity: str = "error") -> list[Instability]:
    """Return the instability of every network in `rows` (of results.jsonl), ordered by level and rewind step.

    Args:
        rows: the points of lines.
        quantity: the column that is looked at, `error` or `loss`.
    """
    lines: dict[tuple[int, int], dict[tuple[int, tuple[int, ...]], list[tuple[float, float]]]] = {}
    sparsities: dict[tuple[int, int], float] = {}
    for row in rows:
        network = row["level"], row["rewind_step"]
        sparsities[network] = row["sparsity"]
        line = lines.setdefault(network, {}).setdefault((row["seed"], tuple(row["copies"])), [])
        line.append((row["position"], row[quantity]))
    found = []
    for network, its_lines in sorted(lines.items()):
        errors = {line: [error for _, error in sorted(points)] for line, points in its_lines.items()}
        seeds = dict.fromkeys(seed for seed, _ in errors)
        by_seed = {
            seed: statistics.fmean(instability(its) for line, its in errors.items() if line[0] == seed)
            for seed in seeds
        }
        ends = statistics.fmean(error for its in errors.values() for error in (its[0], its[-1]))
        level, step = network
        found.append(Instability(step, level, sparsities[network], by_seed, ends))
    return found


def stability_label(one: Instability, threshold: float) -> str:
    """Return "stable" where the whole 95% interval lies below `threshold`, "unstable" where none of it does.

    Else "undecided"; so a single seed always is.
    """
    low, high = one.summary.low, one.summary.high
    if low is None or high is None:
        return "undecided"
    return "stable" if high < threshold else "unstable" if low >= threshold else "undecided"


def relative_barrier(one: Instability) -> float | None:
    """Return the instability as a fraction of the error of the copies; None where they make no error."""
    return one.summary.mean / one.end_error if one.end_error > 0 else None


def stable_from(measured: Iterable[Instability], level: int, threshold: float) -> int | None:
    """Return the earliest rewind step from which the network is stable by `stability_label`.

    None where it is not at the last step measured.
    """
    steps = sorted((one.rewind_step, one) for one in measured if one.level == level)
    stable = None
    for step, one in reversed(steps):
        if stability_label(one, threshold) != "stable":
            break
        stable = step
    return stable


def suggested_step(measured: Sequence[Instability], threshold: float) -> int | None:
    """Return the earliest step from which all subnetworks stay stable, or the dense network where it is measured alone.

    None where one of them is not stable at the last step measured.
    """
    levels = {one.level for one in measured}
    starts = [stable_from(measured, level, threshold) for level in levels - {0} or levels]
    known = [start for start in starts if start is not None]
    return max(known) if len(known) == len(starts) else None
