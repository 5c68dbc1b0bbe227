"""Tables and the figure of docs/connectivity.md, from the rows that `ticketzoo connect` writes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from finder_claims import minus
from finder_tables import shown

from ticketzoo.connecting.barriers import barrier, level_connectivity
from ticketzoo.connecting.figure import plot_levels
from ticketzoo.connecting.report import agreement_table, level_table, told
from ticketzoo.evaluation.arms import arm_label
from ticketzoo.evaluation.statistics import summarise

Row = Mapping[str, Any]
METRIC, RUN = "test_accuracy", "lenet-300-100.mnist-imp"
RESNET = ("rewind-0", "rewind-40", "one-shot")
WAYS = {"none": "as they are", "weights": "aligned by weights", "activations": "aligned by activations"}


def parts(read: Callable[[str], list[dict]], images: Path) -> Iterator[tuple[str, str]]:
    """The name and text of each measured part of the page; draws the figure."""
    found = level_connectivity(read("lenet-300-100.mnist-levels"), threshold=0.02, epsilon=None)
    plot_levels(found, images / "connectivity.png", name=RUN, metric=METRIC)
    yield "levels", level_table(found, METRIC).markdown()
    yield "agreement", agreement_table(found, METRIC).markdown()
    yield "predicted", "\n".join(f"- {line}" for line in told(found, METRIC))
    one_shot = level_connectivity(read("lenet-300-100.mnist-one-shot-levels"), threshold=0.02, epsilon=None)
    yield "one-shot", level_table(one_shot, METRIC).markdown()
    for way in RESNET:
        resnet = level_connectivity(read(f"resnet-20.fashion-mnist-{way}-levels"), threshold=0.02, epsilon=0.005)
        yield f"resnet-{way}", level_table(resnet, METRIC).markdown()
    rows = [*read("lenet-300-100.mnist-weights"), *read("lenet-300-100.mnist-activations")]
    yield "aligned", barriers(rows)
    overlaps = {way: read(f"lenet-300-100.mnist-{way}") for way in list(WAYS)[1:]}
    yield "overlaps", _overlaps(overlaps)
    yield "wide", barriers([*read("mlp-3x512.mnist-weights"), *read("mlp-3x512.mnist-activations")])
    yield "twins", twins(read("lenet-300-100.mnist-twins"))


def barriers(rows: Sequence[Row]) -> str:
    """The barrier of each pair of seeds, as the networks are and aligned; means."""
    lines: dict[tuple[int, int], dict[str, set[tuple[float, float]]]] = {}
    for row in (row for row in rows if "position" in row):
        pair = lines.setdefault((row["first_seed"], row["second_seed"]), {})
        pair.setdefault(row["align"], set()).add((row["position"], row["error"]))
    table = [f"| seeds | {' | '.join(WAYS.values())} |", "|:--" + "|--:" * len(WAYS) + "|"]
    barriers = {seeds: [100 * barrier(pair[way]) for way in WAYS] for seeds, pair in lines.items()}
    table += [_line(f"{one} and {two}", of, 2) for (one, two), of in barriers.items()]
    return "\n".join([*table, _line("mean", [fmean(column) for column in zip(*barriers.values(), strict=True)], 2)])


def _overlaps(by_way: Mapping[str, Sequence[Row]]) -> str:
    """The overlap of masks as a multiple of chance, at every third level: means over pairs."""
    table = [f"| level | sparsity | chance (IoU) | {' | '.join(WAYS.values())} |", "|--:" * 6 + "|"]
    times: dict[int, dict[str, list[float]]] = {}
    known: dict[int, tuple[float, list[float]]] = {}
    for way, rows in by_way.items():
        for row in (row for row in rows if "iou" in row):
            name = way if row["align"] == "aligned" else "none"
            times.setdefault(row["level"], {}).setdefault(name, []).append(row["iou"] / row["expected"])
            known.setdefault(row["level"], (row["sparsity"], []))[1].append(row["expected"])
    for level in (one for one in sorted(times) if one % 3 == 0):
        sparsity, expected = known[level]
        means = " | ".join(f"{fmean(times[level][way]):.2f}" for way in WAYS)
        table.append(f"| {level} | {sparsity:.3f} | {fmean(expected):.4f} | {means} |")
    return "\n".join(table)


TWINS = ("random_reinit", "random_reinit_kept_signs", "naive_reinit", "aligned_reinit", "ticket")


def twins(rows: Sequence[Row]) -> str:
    """Test accuracy of a ticket's masks on weights of other initializations, and aligned minus naive, by level."""
    found: dict[int, dict[str, dict[int, float]]] = {}
    sparsities = {row["level"]: row["sparsity"] for row in rows}
    for row in (row for row in rows if (row["metric"], row["at"]) == (METRIC, "final") and row["arm"] in TWINS):
        found.setdefault(row["level"], {}).setdefault(row["arm"], {})[row["seed"]] = row["value"]
    heads = " | ".join(arm_label(arm) for arm in TWINS)
    table = [f"| level | sparsity | {heads} | aligned minus naive |", "|--:" * (len(TWINS) + 3) + "|"]
    for level, arms in sorted(found.items()):
        if set(arms) == set(TWINS):
            cells = [shown(summarise(list(arms[arm].values()))) for arm in TWINS]
            lead = summarise(list(minus(arms["aligned_reinit"], arms["naive_reinit"]).values()))
            line = [str(level), f"{sparsities[level]:.3f}", *cells, shown(lead, signed=True)]
            table.append(f"| {' | '.join(line)} |")
    return "\n".join(table)


def _line(first: str, numbers: Sequence[float], digits: int) -> str:
    return f"| {first} | {' | '.join(f'{number:.{digits}f}' for number in numbers)} |"
