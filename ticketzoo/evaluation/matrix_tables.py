"""Tables, sentences and JSON of tickets by targets: see `ticketzoo.evaluation.matrix`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ticketzoo.evaluation.arms import arm_label
from ticketzoo.evaluation.matrix import About, BySeed, Data, Matrix, matrices
from ticketzoo.evaluation.metrics import describe, show, titles
from ticketzoo.evaluation.scarce import Series, series_of
from ticketzoo.evaluation.statistics import Row, Summary, deciding_metrics, less_is_better, summarise
from ticketzoo.evaluation.tables import Table, moment
from ticketzoo.util.text import counted, show_sparsity

OWN = "own ticket of each"
"""The line of the tickets that were found on the data of each target."""


def matrix_table(rows: Iterable[Row], about: About, matrix: Matrix, *, over_own: bool = False) -> Table:
    """Return sources by targets, ticket minus dense, or minus the target's own ticket.

    The last columns are of the row: its mean, and its rank among the sources; the last line is the mean of a column.

    Args:
        rows: of results.jsonl.
        about: the data of sources and targets.
        matrix: a level of them.
        over_own: minus the own ticket.
    """
    rows = list(rows)
    metrics = {to: name for to, name in deciding_metrics(rows).items() if to in matrix.targets}
    falling = {name for name in metrics.values() if name.partition("_")[2] in less_is_better(rows)}
    headings = titles(metrics, falling=falling)
    cells = matrix.over_own if over_own else matrix.over_dense
    means = matrix.rows_over_own if over_own else matrix.rows
    one = next(iter(metrics.values()))
    lines = []
    for source in matrix.sources:
        known = about["sources"].get(source)
        line = [source, *_known(known), *(_cell(cells.get((source, to)), metrics[to]) for to in matrix.targets)]
        line.append(_cell(means.get(source), one))
        lines.append(tuple(line if over_own else [*line, _rank(matrix.ranks.get(source))]))
    if not over_own:
        means_of = (_cell(matrix.columns.get(to), metrics[to]) for to in matrix.targets)
        lines.append(("mean", "", "", *means_of, "", ""))
    columns = ["source", "examples", "classes", *(headings[to] for to in matrix.targets)]
    columns += ["mean elsewhere"] if over_own else ["mean", "rank"]
    what = f"{describe(metrics.values(), points=True, falling=falling)} {moment(rows, 'final')}"
    caption = f"{what} at a sparsity of {show_sparsity(matrix.sparsity)}, " + (
        _own_words(matrix) if over_own else DENSE + BRACKETS
    )
    return Table(f"{caption}{_seeds(cells)}", tuple(columns), "l" + "r" * (len(columns) - 1), tuple(lines))


DENSE = (
    "ticket minus dense by seed. Mean: of a row over the targets that all sources have, of a column over the sources. "
    "Rank: of the row's mean, 1 is the best. "
)
BRACKETS = (
    "In square brackets: 95% intervals over seeds; in round ones, where that would pass a bound, smallest and largest."
)


def _own_words(matrix: Matrix) -> str:
    said = "ticket minus the ticket found on the target's own data, by seed; 0 is that ticket itself."
    without = [target for target in matrix.targets if target not in matrix.own]
    if without:
        said += f" No ticket of the recipe was found on the data of {', '.join(without)}."
    return f"{said} Mean elsewhere: over targets that have an own ticket of another source."


def _seeds(cells: Mapping[tuple[str, str], BySeed]) -> str:
    seeds = {len(by_seed) for by_seed in cells.values()}
    if max(seeds, default=0) < 2:
        return " One seed, so no interval."
    count = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"{max(seeds)}"
    return f" After ±: half the width of the 95% interval over {count} seeds, of each cell alone."


def _known(data: Data | None) -> tuple[str, str]:
    known = (data["examples"], data["classes"]) if data else (None, None)
    return ("" if known[0] is None else f"{known[0]:,}"), ("" if known[1] is None else str(known[1]))


def _cell(by_seed: BySeed | None, metric: str) -> str:
    if not by_seed:
        return ""
    summary = summarise(list(by_seed.values()))
    if summary.mean == 0 and not summary.std:
        return "0"
    half = "" if summary.half_width is None else f" ± {show(metric, summary.half_width)}"
    return show(metric, summary.mean, sign="+") + half


def _rank(rank: Summary | None) -> str:
    if rank is None:
        return ""
    return f"{rank.mean:.1f}{_interval(rank, '.1f')}" if rank.n > 1 else f"{rank.mean:.0f}"


def _interval(summary: Summary, form: str) -> str:
    if summary.low is None or summary.high is None:
        return ""
    between = " to " if summary.ranged else ", "
    pair = f"{summary.low:{form}}{between}{summary.high:{form}}"
    return f" ({pair})" if summary.ranged else f" [{pair}]"


def matrix_sentences(rows: Iterable[Row], about: About, found: Sequence[Matrix]) -> list[str]:
    """Return how general sources are against their number of examples and classes, a sentence a level."""
    metric = next(iter(deciding_metrics(rows).values()))
    sources, lines = about["sources"], []
    for matrix in found:
        at = f"at a sparsity of {show_sparsity(matrix.sparsity)}"
        if not matrix.rows:
            lines.append(f"{at[0].upper()}{at[1:]}: no mean of a source, as targets have different metrics")
            continue
        if len(matrix.rows) < 3:
            needs = "a correlation of sources with their examples and classes needs at least three sources"
            lines.append(f"{at[0].upper()}{at[1:]}: {needs}, and there {_are(len(matrix.rows))}.")
            continue
        parts = []
        for key in ("examples", "classes"):
            known = {name: data[key] for name, data in sources.items() if data[key] is not None}
            rho = matrix.spearman({name: float(value) for name, value in known.items() if value is not None})
            none = "not given (it needs at least three sources, not all with the same number)"
            count = len(known.keys() & matrix.rows)
            of = f" (of the {count} where it is known)" if rho is not None and count < len(matrix.rows) else ""
            parts.append(f"with {key} {none if rho is None else _correlation(rho)}{of}")
        said = f"{at[0].upper()}{at[1:]}, Spearman of a source's mean {' and '.join(parts)}"
        if (slopes := matrix.slopes(sources)) is not None:
            of_examples, of_classes = (_slope(slope, metric) for slope in slopes)
            said += f"; fitted together: {of_examples} a doubling of examples, {of_classes} a class"
        lines.append(f"{said} ({counted(len(matrix.rows), 'source')}).")
    return lines


def _are(count: int) -> str:
    return "is one" if count == 1 else f"are {count}"


def _correlation(rho: Summary) -> str:
    return f"{rho.mean:+.2f}{_interval(rho, '+.2f')}"


def _slope(slope: Summary, metric: str) -> str:
    half = "" if slope.half_width is None else f" ± {show(metric, slope.half_width)}"
    return f"{show(metric, slope.mean, sign='+')}{half}"


def series_table(rows: Iterable[Row], found: Sequence[Series]) -> Table:
    """Return arm minus dense by number of training examples: a line a ticket, level and arm, of one series."""
    rows = list(rows)
    name, sizes = found[0].name, list(found[0].gaps)
    metric = next(iter(deciding_metrics(rows).values()))
    lines = []
    for one in found:
        rho = one.spearman
        cells = (_cell(one.gaps[size], metric) for size in sizes)
        labels = one.source or OWN, arm_label(one.arm), show_sparsity(one.sparsity)
        lines.append((*labels, *cells, "" if rho is None else _correlation(rho)))
    falling = {metric} if metric.partition("_")[2] in less_is_better(rows) else set()
    what = f"{describe([metric], points=True, falling=falling)} {moment(rows, 'final')} on {name}"
    caption = (
        f"{what}, arm minus dense by seed, by number of training examples; fewer lie within more. Spearman: of "
        "examples and gain, by seed; below 0 where it grows as examples become scarce. " + BRACKETS
    )
    gaps = {(str(size), one.arm): gap for one in found for size, gap in one.gaps.items()}
    columns = ("source", "arm", "sparsity", *(f"{size:,}" for size in sizes), "Spearman")
    return Table(caption + _seeds(gaps), columns, "ll" + "r" * (len(columns) - 2), tuple(lines))


def matrix_sections(rows: Iterable[Row], about: About) -> list[str]:
    """Return everything about sources and targets as Markdown: tables of each level, sentences, scarce data."""
    rows = list(rows)
    found, by_name = matrices(rows, about), _by_name(series_of(rows, about))
    sections = []
    for matrix in found:
        sections.append(matrix_table(rows, about, matrix).markdown())
        if matrix.over_own:
            sections.append(matrix_table(rows, about, matrix, over_own=True).markdown())
    if lines := matrix_sentences(rows, about, found):
        sections.append("\n".join(f"- {line}" for line in lines) + f"\n\n{BRACKETS}")
    return sections + [series_table(rows, of_name).markdown() for of_name in by_name.values()]


def _by_name(found: Iterable[Series]) -> dict[str, list[Series]]:
    by_name: dict[str, list[Series]] = {}
    for one in found:
        by_name.setdefault(one.name, []).append(one)
    return by_name


def matrix_json(rows: Iterable[Row], about: About) -> dict[str, Any]:
    """Return the same as JSON, and `about`, which with the rows gives all of it again."""
    rows = list(rows)
    found = matrices(rows, about)
    levels = [
        {
            "sparsity": one.sparsity,
            "own": dict(one.own),
            "over_dense": _nested(one.over_dense),
            "over_own": _nested(one.over_own),
            "rows": _summaries(one.rows),
            "rows_over_own": _summaries(one.rows_over_own),
            "columns": _summaries(one.columns),
            "ranks": {source: asdict(rank) for source, rank in one.ranks.items()},
        }
        for one in found
    ]
    series = [
        {
            "name": one.name,
            "source": one.source,
            "arm": one.arm,
            "sparsity": one.sparsity,
            "gaps": {str(size): _as_json(gap) for size, gap in one.gaps.items()},
            "spearman": None if (rho := one.spearman) is None else asdict(rho),
        }
        for one in series_of(rows, about)
    ]
    return {**about, "levels": levels, "series": series, "sentences": matrix_sentences(rows, about, found)}


def _as_json(by_seed: BySeed) -> dict[str, Any]:
    return {**asdict(summarise(list(by_seed.values()))), "by_seed": {str(seed): by_seed[seed] for seed in by_seed}}


def _summaries(of: Mapping[str, BySeed], as_json: Callable[[BySeed], dict[str, Any]] = _as_json) -> dict[str, Any]:
    return {name: as_json(by_seed) for name, by_seed in of.items()}


def _nested(cells: Mapping[tuple[str, str], BySeed]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for (source, target), by_seed in cells.items():
        nested.setdefault(source, {})[target] = _as_json(by_seed)
    return nested
