"""Boards over all tickets: finders by sparsity on each source, and sources by targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ticketzoo.evaluation.arms import TICKET
from ticketzoo.gallery.exhibit import Exhibit
from ticketzoo.gallery.measured import Measured
from ticketzoo.ticket.card_metadata import BANDS
from ticketzoo.ticket.verdict import GOOD, LABELS

Band = tuple[float, float]
"""Sparsities from the first up to, and not with, the second."""

ALL_BANDS: tuple[Band, ...] = tuple((low / 100, high / 100) for low, high in pairwise(BANDS))


def plain_label(label: str) -> str:
    """Return a label without its mark of a short training."""
    return label.removesuffix(" (short training)")


def label_rank(label: str) -> int:
    """Return the place of a label, best first."""
    plain = plain_label(label)
    return next((rank for rank, one in enumerate(LABELS) if one == plain), len(LABELS))


def band_words(band: Band) -> str:
    """Return a band's name: "0.8 to 0.9"."""
    low, high = band
    return f"under {high:g}" if low == 0 else f"{low:g} and over" if high == 1 else f"{low:g} to {high:g}"


@dataclass(frozen=True)
class Result:
    """A ticket at one level on one target."""

    exhibit: Exhibit
    measured: Measured
    label: str


@dataclass(frozen=True)
class Line:
    """A ticket on its source: its result in each band, and the sparsest level that is at least matching."""

    exhibit: Exhibit
    cells: Sequence[Result | None]
    good_up_to: float | None


@dataclass(frozen=True)
class Board:
    """The tickets of one network, found on one data set, the best first."""

    architecture: str
    data: str
    task: str
    metric: str
    bands: Sequence[Band]
    lines: Sequence[Line]


def boards(exhibits: Sequence[Exhibit]) -> list[Board]:
    """Return the boards, those with most tickets first; tickets without a measured level stand on none."""
    together: dict[tuple[str, str, str, str], list[Exhibit]] = {}
    for one in exhibits:
        if any(result.measured.level > 0 for result in results_on(one, one.source)):
            key = one.architecture, one.data, one.config.task, one.metric_words(one.source)
            together.setdefault(key, []).append(one)
    made = [_board(key, found) for key, found in together.items()]
    return sorted(made, key=lambda board: (-len(board.lines), board.architecture, board.data))


def results_on(exhibit: Exhibit, target: str | None) -> list[Result]:
    """Return a ticket's levels on a target, the densest first."""
    labels = exhibit.labels(target)
    found = [one for one in exhibit.on(target) if one.arm == TICKET and one.level > 0]
    results = [Result(exhibit, one, labels.get(one.level, "not measured")) for one in found]
    return sorted(results, key=lambda result: result.measured.group.sparsity)


def within(band: Band, result: Result) -> bool:
    """Tell whether a result is of a sparsity within a band."""
    return band[0] <= result.measured.group.sparsity < band[1]


def _board(key: tuple[str, str, str, str], exhibits: Sequence[Exhibit]) -> Board:
    found = {one.slug: results_on(one, one.source) for one in exhibits}
    bands = [band for band in ALL_BANDS if any(within(band, result) for of in found.values() for result in of)]
    lines = [_line(one, found[one.slug], bands) for one in exhibits]
    ordered = sorted(lines, key=lambda line: (-(line.good_up_to or -1.0), line.exhibit.title))
    architecture, data, task, metric = key
    return Board(architecture, data, task, metric, bands, ordered)


def _line(exhibit: Exhibit, results: Sequence[Result], bands: Sequence[Band]) -> Line:
    good = [result.measured.group.sparsity for result in results if plain_label(result.label) in GOOD]
    sparsest = [[result for result in results if within(band, result)][-1:] for band in bands]
    return Line(exhibit, [found[0] if found else None for found in sparsest], max(good, default=None))


@dataclass(frozen=True)
class Matrix:
    """Tickets that were carried to other data: results by source and target, within one band of sparsities."""

    architecture: str
    metric: str
    band: Band
    sources: Sequence[str]
    targets: Sequence[str]
    cells: dict[tuple[str, str], list[Result]] = field(default_factory=dict)

    @property
    def results(self) -> list[Result]:
        """Those of all cells."""
        return [result for results in self.cells.values() for result in results]


def matrices(exhibits: Sequence[Exhibit]) -> list[Matrix]:
    """Return a matrix for each network, metric and band in which some ticket was carried to other data.

    Of each such ticket it has the sparsest level of the band that was measured there, also on its source.
    """
    found: dict[tuple[str, str, Band], dict[tuple[str, str], list[Result]]] = {}
    for one in exhibits:
        for band in ALL_BANDS:
            for result in _carried(one, band):
                key = one.architecture, one.metric_words(result.measured.target), band
                found.setdefault(key, {}).setdefault((one.data, result.measured.target), []).append(result)
    return [
        Matrix(*key, sorted({source for source, _ in cells}), sorted({target for _, target in cells}), cells)
        for key, cells in sorted(found.items())
    ]


def counted_labels(results: Sequence[Result]) -> str:
    """Return how many results have each label, best first: "3 winning, 1 undecided"."""
    labels = [result.label for result in results]
    return ", ".join(f"{labels.count(label)} {label}" for label in sorted(set(labels), key=label_rank))


def best_of(results: Sequence[Result]) -> Result:
    """Return the result with the best mean difference to dense."""

    def gain(result: Result) -> float:
        difference = result.measured.difference
        mean = difference.mean if difference else 0.0
        return mean if result.measured.group.higher_is_better else -mean

    return max(results, key=gain)


def _carried(exhibit: Exhibit, band: Band) -> list[Result]:
    """Return a ticket's results on other data in a band, and those of the same levels on its source."""
    away: list[Result] = []
    for target in exhibit.targets:
        if target != exhibit.source:
            there = [result for result in results_on(exhibit, target) if within(band, result)]
            away += [result for result in there if result.measured.difference][-1:]
    levels = {result.measured.level for result in away}
    home = [result for result in results_on(exhibit, exhibit.source) if result.measured.level in levels]
    return away + [result for result in home if result.measured.difference][-1:]
