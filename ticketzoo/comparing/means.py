"""Means of overlaps over the pairs of replicates that are of one kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from ticketzoo.comparing.pairs import Found
from ticketzoo.comparing.stages import Stage

START_WORDS = {"same": "the same start", "other": "other starts", "unknown": "starts not known"}


class Group(NamedTuple):
    """Pairs that are of one kind: the places of their tickets, and how their starts compare."""

    first: int
    second: int
    start: str

    def words(self, names: Sequence[str]) -> str:
        """Return the group in words. names: of the tickets, by place."""
        one, other = names[self.first], names[self.second]
        which = f"{one}, two seeds" if self.first == self.second else f"{one} and {other}"
        return f"{which}, {START_WORDS[self.start]}"


class Place(NamedTuple):
    """The overlaps that are one mean: of a stage by its place, a group of pairs, a parameter, a part of its weights."""

    stage: int
    group: Group
    parameter: str
    part: str


@dataclass(frozen=True)
class Summary:
    """The overlaps of a group of pairs at one stage, of one layer or all, of one part: at least one of them."""

    group: Group
    stage: Stage
    parameter: str
    part: str
    found: tuple[Found, ...]

    @property
    def iou(self) -> float:
        """Mean intersection over union of pairs that keep anything; NaN where none does."""
        return _mean([one.overlap.iou for one in self.found])

    @property
    def expected(self) -> float:
        """Mean of what chance gives."""
        return _mean([one.overlap.expected for one in self.found])

    @property
    def ratio(self) -> float:
        """Mean overlap over the mean of what chance gives: a ratio of means, and not the mean of `ratios`."""
        return self.iou / self.expected if self.expected else float("nan")

    @property
    def by_input(self) -> float:
        """Mean overlap over the mean of what masks give that are as dense in each input."""
        expected = _mean([one.by_input.expected for one in self.found])
        return self.iou / expected if expected else float("nan")

    @property
    def ratios(self) -> list[float]:
        """The multiple of each pair where chance gives anything."""
        return [one.overlap.ratio for one in self.found if one.overlap.ratio is not None]

    @property
    def zs(self) -> list[float]:
        """The distance from chance of each pair, in standard deviations."""
        return [one.overlap.z for one in self.found if one.overlap.z is not None]

    def row(self, names: Sequence[str]) -> dict[str, Any]:
        """Return all of it by column. names: of the tickets, by place."""
        facts = {"iou": self.iou, "expected": self.expected, "ratio": self.ratio, "ratio_by_input": self.by_input}
        return {
            "first": names[self.group.first],
            "second": names[self.group.second],
            "start": self.group.start,
            "first_level": self.stage.levels[self.group.first],
            "second_level": self.stage.levels[self.group.second],
            "sparsity": self.stage.sparsity,
            "parameter": self.parameter,
            "part": self.part,
            "pairs": len(self.found),
            **{key: value if value == value else None for key, value in facts.items()},
            **{f"ratio_{end.__name__}": end(self.ratios, default=None) for end in (min, max)},
            **{f"z_{end.__name__}": end(self.zs, default=None) for end in (min, max)},
        }


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else float("nan")
