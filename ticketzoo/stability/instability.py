"""From errors along lines to instability, to the steps that are stable, to a step to rewind to."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticketzoo.evaluation.statistics import Summary, summarise


@dataclass(frozen=True)
class Instability:
    """How unstable a network is: copies of it trained from `rewind_step` with different data orders."""

    rewind_step: int
    level: int
    sparsity: float
    by_seed: Mapping[int, float]
    """The mean over the pairs of copies of each seed."""
    end_error: float
    """Mean error of the copies themselves."""

    @property
    def summary(self) -> Summary:
        """Mean and interval over the seeds."""
        return summarise(list(self.by_seed.values()))


def instability(errors: Sequence[float]) -> float:
    """The largest error on the line minus the mean of those at its ends (Frankle et al. 2020, section 2).

    errors: at points in order along the line, both ends included; so it is never below 0.
    """
    return max(errors) - (errors[0] + errors[-1]) / 2


def instabilities(rows: Iterable[Mapping[str, Any]]) -> list[Instability]:
    """The instability of every network in `rows` (of results.jsonl), by level and rewind step."""
    lines: dict[tuple[int, int], dict[tuple[int, tuple[int, ...]], list[tuple[float, float]]]] = {}
    sparsities: dict[tuple[int, int], float] = {}
    for row in rows:
        network = row["level"], row["rewind_step"]
        sparsities[network] = row["sparsity"]
        line = lines.setdefault(network, {}).setdefault((row["seed"], tuple(row["copies"])), [])
        line.append((row["position"], row["error"]))
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


def stable_from(measured: Iterable[Instability], level: int, threshold: float) -> int | None:
    """The earliest rewind step such that there and at all later ones the mean instability is below `threshold`.

    None when it is not even at the last one measured.
    """
    steps = sorted((one.rewind_step, one) for one in measured if one.level == level)
    stable = None
    for step, one in reversed(steps):
        if one.summary.mean >= threshold:
            break
        stable = step
    return stable


def suggested_step(measured: Sequence[Instability], threshold: float) -> int | None:
    """The earliest step from which all subnetworks measured are stable (the dense network, where there is no other)."""
    levels = {one.level for one in measured}
    starts = [stable_from(measured, level, threshold) for level in levels - {0} or levels]
    known = [start for start in starts if start is not None]
    return max(known) if len(known) == len(starts) else None
