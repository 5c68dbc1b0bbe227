"""The masks of tickets compared: what was found, as rows, tables and figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ticketzoo.comparing.layers import Layer
from ticketzoo.comparing.means import Group, Place, Summary
from ticketzoo.comparing.pairs import ALL, READ, UNREAD, WHOLE, Found
from ticketzoo.comparing.stages import Stage
from ticketzoo.evaluation.tables import Table
from ticketzoo.util.text import show_sparsity

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot

CHANCE_WORDS = (
    "Overlap: intersection over union of two masks, mean over the pairs of replicates of which either keeps anything. "
    "Chance: its mean for random masks with as many weights in each layer, likewise. Times chance: the first mean over "
    "the second, and in brackets the least and the most of a pair's own multiple; the mean of these would be another "
    "number. z: the least and the most of how far a pair's number of shared weights is from chance, in standard "
    "deviations. By input: the mean overlap over the mean for random masks that are as dense in each input of a layer, "
    "too."
)


@dataclass(frozen=True)
class Comparison:
    """The masks of tickets, compared.

    Attributes:
        names: of the tickets, by place.
        stages: the levels that were compared.
        found: the overlap of every pair of replicates, layer by layer.
        layers: density and cut-off units of every layer of every replicate.
        notes: sentences on what was compared and what was not.
        shown: place of the stage that the figure and the table of layers show.
    """

    names: tuple[str, ...]
    stages: tuple[Stage, ...]
    found: tuple[Found, ...]
    layers: tuple[Layer, ...]
    notes: tuple[str, ...]
    shown: int

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each pair of replicates, stage, layer and part of the weights."""
        return [one.row(self.names) for one in self.found]

    def summaries(self, *, stage: Stage | None = None, parameter: str | None = None) -> list[Summary]:
        """Return the means over pairs, of one stage or all, of one parameter (or `all layers`) or all."""
        found: dict[Place, list[Found]] = {}
        for one in self.found:
            if (stage is None or one.stage is stage) and parameter in (None, one.parameter):
                group = Group(one.pair.first[0], one.pair.second[0], one.pair.start)
                place = self.stages.index(one.stage)
                found.setdefault(Place(place, group, one.parameter, one.part), []).append(one)
        return [
            Summary(at.group, self.stages[at.stage], at.parameter, at.part, tuple(ones)) for at, ones in found.items()
        ]

    def overlap_table(self) -> Table:
        """Return the table of all layers together: a line for each stage and group of pairs."""
        rows, apart = [], self._parts(self.summaries(parameter=WHOLE))
        for summary, read in apart:
            kept = summary.stage.kept
            levels = f"{summary.stage.levels[summary.group.first]}, {summary.stage.levels[summary.group.second]}"
            counts = f"{kept[summary.group.first]:,.0f}, {kept[summary.group.second]:,.0f}"
            rows.append((summary.group.words(self.names), levels, counts, *_cells(summary), _times(read, "ratio")))
        columns = ("masks", "levels", "weights kept", "pairs", "overlap", "chance", "times chance", "z", "by input")
        return self._table(CHANCE_WORDS, columns, "l" + "r" * 8, rows)

    def layer_table(self) -> Table:
        """Return the table of each layer, at the stage that is shown."""
        stage, rows = self.stages[self.shown], []
        for summary, read in self._parts(self.summaries(stage=stage)):
            if summary.parameter != WHOLE:
                words = summary.group.words(self.names)
                rows.append((summary.parameter, words, *_cells(summary), _times(read, "ratio")))
        caption = f"Layers at sparsity {show_sparsity(stage.sparsity)}, level {stage.levels[0]} of {self.names[0]}."
        columns = ("layer", "masks", "pairs", "overlap", "chance", "times chance", "z", "by input")
        return self._table(caption, columns, "ll" + "r" * 6, rows)

    def density_table(self) -> Table:
        """Return the table of densities and of units that are cut off, at the stage that is shown."""
        stage, rows = self.stages[self.shown], []
        for name, parameter in dict.fromkeys((one.ticket, one.parameter) for one in self.layers):
            levels = {level for place, level in stage.levels.items() if self.names[place] == name}
            ones = [
                one
                for one in self.layers
                if (one.ticket, one.parameter, one.level in levels) == (name, parameter, True)
            ]
            if ones:
                no_input, no_output = (fmean(getattr(one, key) for one in ones) for key in ("no_input", "no_output"))
                cut = (f"{no_input:,.1f} of {ones[0].outputs:,}", f"{no_output:,.1f} of {ones[0].inputs:,}")
                rows.append((parameter, name, f"{fmean(one.density for one in ones):.4f}", *cut))
        caption = (
            "Means over replicates. Density: the fraction of weights kept. No input: units that a layer computes of "
            "which it keeps no weight; no output: units that it reads, likewise."
        )
        return Table(caption, ("layer", "ticket", "density", "no input", "no output"), "llrrr", tuple(rows))

    def tables(self) -> list[Table]:
        """Return all tables."""
        return [self.overlap_table(), self.layer_table(), self.density_table()]

    def plot(self, path: str | Path | None = None) -> "Plot":
        """Draw the overlaps of all replicates as a heat map, and beside it a bar for each layer; write a PNG file."""
        from ticketzoo.comparing.plot import plot_comparison

        return plot_comparison(self, path)

    def as_json(self) -> dict[str, Any]:
        """Return the document of `ticketzoo compare --json`."""
        return {
            "tickets": list(self.names),
            "levels": [
                {
                    "levels": {self.names[place]: level for place, level in stage.levels.items()},
                    "sparsity": stage.sparsity,
                }
                for stage in self.stages
            ],
            "notes": list(self.notes),
            "means": [summary.row(self.names) for summary in self.summaries()],
            "overlaps": self.rows,
            "layers": [layer.row() for layer in self.layers],
        }

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables())

    def _parts(self, summaries: Sequence[Summary]) -> Iterator[tuple[Summary, Summary | None]]:
        """Yield the means of all weights, with those of the weights whose input changes, where that is known."""
        by_place = {Place(self.stages.index(one.stage), one.group, one.parameter, one.part): one for one in summaries}
        for place, summary in by_place.items():
            if place.part == ALL:
                yield summary, by_place.get(place._replace(part=READ))

    def _table(self, caption: str, columns: Sequence[str], align: str, rows: Sequence[tuple[str, ...]]) -> Table:
        """Return a table, without its last column, on inputs that change, where nothing is known of these."""
        apart = any(one.part == UNREAD for one in self.found)
        if apart:
            words = " Input changes: times chance of the weights whose input is not the same in every training image."
            return Table(caption + words, (*columns, "input changes"), align + "r", tuple(rows))
        return Table(caption, tuple(columns), align, tuple(row[:-1] for row in rows))


def _cells(summary: Summary) -> tuple[str, ...]:
    zs = f"{min(summary.zs):.1f} to {max(summary.zs):.1f}" if summary.zs else ""
    spread = f" ({min(summary.ratios):.2f} to {max(summary.ratios):.2f})" if len(summary.ratios) > 1 else ""
    times = f"{_times(summary, 'ratio')}{spread}"
    return (
        f"{len(summary.found)}",
        f"{summary.iou:.4f}",
        f"{summary.expected:.4f}",
        times,
        zs,
        _times(summary, "by_input"),
    )


def _times(summary: Summary | None, key: str) -> str:
    value = float("nan") if summary is None else getattr(summary, key)
    return f"{value:.2f}" if value == value else ""
