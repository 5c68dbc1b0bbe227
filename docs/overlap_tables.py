"""Tables, sentences and the figure of docs/comparing.md, from the rows of benchmarks/overlaps.py."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sentences import listed, wrapped

from ticketzoo.evaluation.drawing import COLOURS, MARKERS, digest_of_rows, figure_of, write_png
from ticketzoo.util.text import show_sparsity

Row = Mapping[str, Any]
WHOLE, LARGEST = "all layers", "largest-initial"
ABOVE = 1.1
"""Times chance above which masks of two initialisations are named."""
STARTS = {"same": "same", "other": "other", "unknown": "not known"}


def curves(rows: Sequence[Row]) -> list[str]:
    """The comparisons that have several levels, those with the largest initial weights apart."""
    levels: dict[str, set[float]] = {}
    for row in rows:
        levels.setdefault(row["comparison"], set()).add(row["sparsity"])
    return [name for name, found in levels.items() if len(found) > 1 and LARGEST not in name]


def kinds(rows: Iterable[Row]) -> dict[tuple[str, str, str, float, str], dict[str, Row]]:
    """Rows by comparison, masks, start, sparsity and layer, and then by part of the weights."""
    found: dict[tuple[str, str, str, float, str], dict[str, Row]] = {}
    for row in rows:
        place = row["comparison"], masks(row), row["start"], row["sparsity"], row["parameter"]
        found.setdefault(place, {})[row["part"]] = row
    return found


def masks(row: Row) -> str:
    """The tickets of a row."""
    if row["first"] == row["second"]:
        return f"`{row['first']}`, two seeds"
    return f"`{row['first']}` and " + (
        "the largest initial weights" if LARGEST in row["second"] else f"`{row['second']}`"
    )


def table_near(rows: Sequence[Row], near: float) -> str:
    """Every comparison of all layers at the sparsity next to `near`: masks, start, overlap beside chance."""
    lines = [
        "| masks | start | pairs | sparsity | overlap | chance | times chance | z | by input | input changes |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    seen = set()
    for (comparison, of, start, sparsity, parameter), parts in kinds(rows).items():
        nearest = min(
            (row["sparsity"] for row in rows if row["comparison"] == comparison), key=lambda one: abs(one - near)
        )
        if parameter != WHOLE or sparsity != nearest or (of, start) in seen:
            continue
        seen.add((of, start))
        row = parts["all"]
        cells = (of, STARTS[start], str(row["pairs"]), show_sparsity(sparsity), *numbers(row), times(parts.get("read")))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table_layers(rows: Sequence[Row]) -> str:
    """Layers of the comparisons at all levels: of one start and of others, and inputs that never change."""
    lines = [
        "| layer | masks | start | sparsity | overlap | chance | times chance | z | by input | input changes | never |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (comparison, of, start, sparsity, parameter), parts in kinds(rows).items():
        if comparison in curves(rows) and parameter != WHOLE and "two seeds" not in of:
            cells = (f"`{parameter}`", of, STARTS[start], show_sparsity(sparsity), *numbers(parts["all"]))
            lines.append(f"| {' | '.join((*cells, times(parts.get('read')), times(parts.get('unread'))))} |")
    return "\n".join(lines)


def table_levels(rows: Sequence[Row]) -> str:
    """Times chance by sparsity, all layers: of one start, of other starts, and of the largest initial weights."""
    columns: dict[str, dict[str, str]] = {}
    for (comparison, _, start, sparsity, parameter), parts in kinds(rows).items():
        row, at = parts["all"], show_sparsity(sparsity)
        largest = LARGEST in comparison
        if parameter != WHOLE or row["first"] == row["second"] or not (comparison in curves(rows) or largest):
            continue
        network = comparison.partition(".")[0]
        if largest and start == "same":
            columns.setdefault(f"{network}, MNIST and the largest initial weights", {})[at] = times(row)
        elif not largest:
            name = f"{network}, {'one initialization' if start == 'same' else 'two initializations'}"
            columns.setdefault(name, {})[at] = times(row)
            if start == "same":
                columns.setdefault(f"{name}, inputs that change", {})[at] = times(parts.get("read"))
    lines = [f"| sparsity | {' | '.join(columns)} |", "|--:|" + "--:|" * len(columns)]
    for at in sorted({at for cells in columns.values() for at in cells}):
        lines.append(f"| {at} | {' | '.join(cells.get(at, '') for cells in columns.values())} |")
    return "\n".join(lines)


def words(rows: Sequence[Row], near: float) -> str:
    """The two questions, answered: of two initialisations, and of two data sets from one."""
    sentences = [about(comparison, rows, near) for comparison in curves(rows)]
    said = []
    for comparison in dict.fromkeys(row["comparison"] for row in rows if LARGEST in row["comparison"]):
        here = [row for row in rows if row["comparison"] == comparison and row["first"] != row["second"]]
        wanted = [row for row in here if (row["start"], row["parameter"], row["part"]) == ("same", WHOLE, "all")]
        row = min(wanted, key=lambda one: abs(one["sparsity"] - near))
        said.append(f"{row['ratio']:.2f} times what chance gives ({comparison.partition('.')[0]})")
    sentences.append(
        "With masks of the largest weights of their own initialization, as many of each layer, the tickets of MNIST "
        f"share {listed(said)} at that sparsity."
    )
    alike = [row for row in rows if row["start"] == "other" and (row["parameter"], row["part"]) == (WHOLE, "all")]
    alike = [row for row in alike if row["first"] == row["second"] and row["ratio"] > ABOVE]
    said = [f"`{row['first']}` ({row['ratio']:.2f} times, by input {row['ratio_by_input']:.2f})" for row in alike]
    sentences.append(
        f"Of all tickets here, two initializations share more than {ABOVE:g} times what chance gives in "
        f"{listed(dict.fromkeys(said))} alone: "
        "these agree on the inputs whose weights stay, and within an input not on the weights."
    )
    return "\n\n".join(map(wrapped, sentences))


def about(comparison: str, rows: Sequence[Row], near: float) -> str:
    """One network's tickets at the sparsity next to `near`, and over all levels."""
    here = {place[1:]: parts for place, parts in kinds(rows).items() if place[0] == comparison and place[4] == WHOLE}
    at = min((sparsity for *_, sparsity, _ in here), key=lambda one: abs(one - near))
    apart = [parts["all"] for (_, start, sparsity, _), parts in here.items() if (start, sparsity) == ("other", at)]
    low, high = min(row["ratio_min"] for row in apart), max(row["ratio_max"] for row in apart)
    zs = f"{min(row['z_min'] for row in apart):.1f} to {max(row['z_max'] for row in apart):.1f}"
    same = {sparsity: parts for (_, start, sparsity, _), parts in here.items() if start == "same"}
    ratios = [parts["all"]["ratio"] for _, parts in sorted(same.items())]
    return (
        f"{comparison.partition('.')[0]} at a sparsity of {show_sparsity(at)}: masks of two initializations, of one "
        f"data set or of two, share {low:.2f} to {high:.2f} times what chance gives (z from {zs}, "
        f"{sum(row['pairs'] for row in apart)} pairs). Masks of MNIST and Fashion-MNIST from one initialization share "
        f"{same[at]['all']['ratio']:.2f} times as much as chance gives; without the weights whose input never changes "
        f"{same[at]['read']['ratio']:.2f} times. From the densest level to the sparsest it is {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f} times."
    )


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw times chance by sparsity, of MNIST and Fashion-MNIST from one initialisation and from two."""
    with figure_of(7.2, 4.4) as (figure, axes):
        for number, comparison in enumerate(curves(rows)):
            network = comparison.partition(".")[0]
            beside = next(row["comparison"] for row in rows if row["comparison"].endswith(f"{network}.{LARGEST}"))
            for name, start, part, line, said in (
                (beside, "same", "all", "-.", "MNIST and its largest initial weights"),
                (comparison, "same", "all", "-", "one initialization"),
                (comparison, "same", "read", ":", "the same without inputs that never change"),
                (comparison, "other", "all", "--", "two initializations"),
            ):
                points = [
                    (1 - row["sparsity"], row["ratio"])
                    for row in rows
                    if (row["comparison"], row["start"], row["part"]) == (name, start, part)
                    and row["parameter"] == WHOLE
                    and row["first"] != row["second"]
                ]
                look = {"color": COLOURS[number], "marker": MARKERS[number] if line == "-" else "", "ms": 5}
                axes.plot(*zip(*points, strict=True), line, label=f"{network}, {said}", **look)
        axes.axhline(1.0, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.invert_xaxis()
        ticks = [0.5, 0.2, 0.1, 0.05]
        axes.set_xticks(ticks, [show_sparsity(1 - tick) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        axes.set_yticks([], minor=True)
        axes.set_xlabel("sparsity (fraction of weights removed)")
        axes.set_ylabel("overlap of masks / chance")
        axes.set_title("Masks of MNIST and of Fashion-MNIST", loc="left", fontsize=11)
        figure.legend(frameon=False, fontsize=8, ncols=2, loc="outside lower center")
        figure.rows_sha256 = digest_of_rows(rows)
    write_png(figure, path)


def numbers(row: Row) -> tuple[str, ...]:
    """Overlap, chance, times chance with the least and most of a pair, z likewise, and by input."""
    if row["iou"] is None:
        return ("",) * 5
    spread = f" ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})" if row["pairs"] > 1 else ""
    zs = "" if row["z_min"] is None else f"{row['z_min']:.1f} to {row['z_max']:.1f}"
    by_input = f"{row['ratio_by_input']:.2f}"
    return f"{row['iou']:.4f}", f"{row['expected']:.4f}", f"{row['ratio']:.2f}{spread}", zs, by_input


def times(row: Row | None) -> str:
    """A multiple of chance; nothing where it is not known."""
    return "" if row is None or row["ratio"] is None else f"{row['ratio']:.2f}"
