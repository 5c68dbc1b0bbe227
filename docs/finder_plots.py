"""Figures of docs/finders.md, from the rows of benchmarks/finders.py, benchmarks/supermasks.py and the studies."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finder_tables import Place, best_on_validation, by_place

from ticketzoo.evaluation.drawing import MARKERS, digest_of_rows, figure_of, write_png
from ticketzoo.evaluation.statistics import summarise
from ticketzoo.instability.plots import COLOURS

Row = Mapping[str, Any]


def plot_finders(rows: Sequence[Row], sparsities: Sequence[float], path: Path) -> Path:
    """Draw test accuracy against sparsity, a curve for each finder with the 95% interval of its mean as a bar."""
    found = by_place(rows)
    finders = list(dict.fromkeys(row["finder"] for row in rows))
    dense = 100 * statistics.fmean(found[Place(finders[0], 0.0, "dense")].values())
    with figure_of(7.6, 4.8) as (figure, axes):
        axes.axhline(dense, color="#888888", linestyle=":", label="dense")
        for number, finder in enumerate(finders):
            curve = [summarise(list(found[Place(finder, one, "ticket")].values())) for one in sparsities]
            widths = [100 * (one.half_width or 0) for one in curve]
            look = {"color": COLOURS[number % len(COLOURS)], "marker": (*"osD^v", *MARKERS)[number], "ms": 5}
            places = [place + 0.03 * (number - len(finders) / 2) for place in range(len(sparsities))]
            axes.errorbar(places, [100 * one.mean for one in curve], widths, label=finder, linewidth=1.2, **look)
        axes.set_xticks(range(len(sparsities)), [f"{one:.0%}" for one in sparsities])
        axes.set_xlabel("sparsity")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title("LeNet-300-100 on MNIST, by finder", loc="left", fontsize=11)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False, fontsize=9, loc="lower left", ncols=2)
        figure.rows_sha256 = digest_of_rows(rows)
        return write_png(figure, path)


def plot_lengths(rows: Sequence[Row], path: Path) -> Path:
    """Draw untrained accuracy against the length of the training that scores, with 95% intervals of the mean."""
    found = best_on_validation(rows)
    kinds = list(dict.fromkeys((criterion, signed) for _, criterion, signed in found))
    lengths = list(dict.fromkeys(at for at, *_ in found))
    with figure_of(7.2, 4.4) as (figure, axes):
        for number, (criterion, signed) in enumerate(kinds):
            curve = [summarise(list(found[at, criterion, signed].values())) for at in lengths]
            steps, means = [iterations(at) for at in lengths], [100 * one.mean for one in curve]
            low, high = zip(*(one.t_interval for one in curve), strict=True)
            colour = COLOURS[number % len(COLOURS)]
            axes.fill_between(steps, clipped(low), clipped(high), color=colour, alpha=0.1, linewidth=0)
            label = f"{criterion}, {'one magnitude' if signed else 'as drawn'}"
            axes.plot(steps, means, color=colour, marker="os^v"[number % 4], ms=5, label=label)
        axes.set_xscale("log")
        axes.set_xticks(steps, [f"{step:,}" for step in steps])
        axes.minorticks_off()
        axes.set_ylim(0, 100)
        axes.set_xlabel("iterations before the weights are scored")
        axes.set_ylabel("untrained test accuracy (%)")
        axes.set_title("Supermasks of LeNet-300-100 on MNIST", loc="left", fontsize=11)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False, fontsize=9, loc="lower left")
        figure.rows_sha256 = digest_of_rows(rows)
        return write_png(figure, path)


def plot_subsets(rows: Sequence[Row], path: Path) -> Path:
    """Draw the errors of subset sums against how many numbers there are: of targets, and of the network's weights."""
    curves = {
        "targets: median": ("targets", "median_error"),
        "weights: median": ("network", "median_error"),
        "weights: largest": ("network", "largest_error"),
    }
    with figure_of(7.2, 4.4) as (figure, axes):
        for number, (label, place) in enumerate(curves.items()):
            found: dict[int, list[float]] = defaultdict(list)
            for row in rows:
                if (row["part"], row["metric"]) == place and row["n"]:
                    found[row["n"]].append(row["value"])
            counts = sorted(found)
            errors = [statistics.fmean(found[count]) for count in counts]
            axes.plot(counts, errors, color=COLOURS[number], marker="os^"[number], ms=5, label=label)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")  # that of log scales writes TeX, which the look does not parse
        axes.set_xlabel("random numbers for each weight, n")
        axes.set_ylabel("error of the closest subset sum")
        axes.set_title("LeNet-300-100 on MNIST as subsets of random numbers", loc="left", fontsize=11)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.legend(frameon=False, fontsize=9, loc="lower left")
        figure.rows_sha256 = digest_of_rows(rows)
        return write_png(figure, path)


def clipped(values: Iterable[float]) -> list[float]:
    """Fractions as percent, from 0 to 100."""
    return [min(100.0, max(0.0, 100 * value)) for value in values]


def iterations(length: str) -> int:
    """The number in a length."""
    return int(length.removesuffix("it"))
