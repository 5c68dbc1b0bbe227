"""Pairs of replicates, within tickets and between them, and the overlap of their masks, layer by layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, groupby, product
from operator import itemgetter
from typing import Any

import numpy as np
from torch import Tensor

from ticketzoo.comparing.stages import Stage
from ticketzoo.comparing.unread import Unread, columns, either
from ticketzoo.errors import TicketError
from ticketzoo.masks.overlap import Groups, Overlap, joined, overlap
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.start_weights import StartWeights, same_start, start_weights
from ticketzoo.util.text import for_terminal

WHOLE = "all layers"
ALL, READ, UNREAD = "all", "read", "unread"
"""Parts of the weights: all; those whose input changes; those that read an input which never does."""

STARTS = {True: "same", False: "other", None: "unknown"}


@dataclass(frozen=True)
class Pair:
    """Two replicates, each by the place of its ticket and its seed, and whether both start from the same weights."""

    first: tuple[int, int]
    second: tuple[int, int]
    start: str


@dataclass(frozen=True)
class Found:
    """The overlap of a pair at a stage, of one layer or of all.

    Attributes:
        pair: the replicates.
        stage: of the levels.
        parameter: name of the mask, or `all layers`.
        part: of its weights, see `ALL`.
        overlap: beside that of random masks as dense in each layer.
        by_input: beside that of random masks as dense in each input of each layer, too.
    """

    pair: Pair
    stage: Stage
    parameter: str
    part: str
    overlap: Overlap
    by_input: Overlap

    def row(self, names: Sequence[str]) -> dict[str, Any]:
        """Return all of it by column. names: of the tickets, by place."""
        (first, seed), (second, other) = self.pair.first, self.pair.second
        return {
            "first": names[first],
            "first_seed": seed,
            "first_level": self.stage.levels[first],
            "second": names[second],
            "second_seed": other,
            "second_level": self.stage.levels[second],
            "start": self.pair.start,
            "sparsity": self.stage.sparsity,
            "parameter": self.parameter,
            "part": self.part,
            "weights": self.overlap.weights,
            "first_kept": self.overlap.first,
            "second_kept": self.overlap.second,
            "both_kept": self.overlap.both,
            "iou": self.overlap.iou,
            **{key: asdict(self.overlap)[key] for key in ("expected", "low", "high", "z")},
            "ratio": self.overlap.ratio,
            "expected_by_input": self.by_input.expected,
            "z_by_input": self.by_input.z,
        }


def check_alike(tickets: Sequence[Contents]) -> None:
    """Raise TicketError where two tickets have masks of other parameters or shapes: the message names the first."""
    first = tickets[0]
    for other in tickets[1:]:
        if (line := difference(first, other)) is not None:
            raise TicketError(f"{line}: masks of different networks cannot be compared")


def difference(first: Contents, other: Contents) -> str | None:
    """Return in words the first parameter whose mask two tickets do not share; None where they share all."""
    mine, others = first.config.shapes, other.config.shapes
    a, b = (f"'{for_terminal(one.name)}'" for one in (first, other))
    for name in [*mine, *others]:
        if name not in others or name not in mine:
            has, lacks = (a, b) if name in mine else (b, a)
            return f"'{for_terminal(name)}' has a mask in {has} and none in {lacks}"
        if mine[name] != others[name]:
            has, needs = ("x".join(map(str, one[name])) for one in (mine, others))
            return f"'{for_terminal(name)}' is {has} in {a} and {needs} in {b}"
    return None


def pairs_of(tickets: Sequence[Contents]) -> list[Pair]:
    """Return every pair of replicates: of one ticket and of two. The weights of two are in memory at a time."""
    replicates = [[(place, seed) for seed in ticket.seeds] for place, ticket in enumerate(tickets)]
    within = [pair for ones in replicates for pair in combinations(ones, 2)]
    between = [pair for ones, others in combinations(replicates, 2) for pair in product(ones, others)]
    found = []
    for one, pairs in groupby(within + between, key=itemgetter(0)):
        start = _start(tickets, one)
        found += [Pair(one, other, STARTS[same_start(start, _start(tickets, other))]) for _, other in pairs]
    return found


def _start(tickets: Sequence[Contents], replicate: tuple[int, int]) -> StartWeights | None:
    place, seed = replicate
    return start_weights(tickets[place].at(seed=seed), afresh=True)


def overlaps(
    tickets: Sequence[Contents], pairs: Sequence[Pair], stages: Sequence[Stage], unread: Sequence[Unread | None]
) -> Iterator[Found]:
    """Yield the overlap of each pair at each stage: of all layers, then of each.

    Args:
        tickets: with masks of the same parameters.
        pairs: of their replicates.
        stages: levels to compare at.
        unread: of each ticket the inputs that never change, where they are known.
    """
    for stage in stages:
        there = {one for pair in pairs for one in (pair.first, pair.second) if one[0] in stage.levels}
        masks = {(at, seed): tickets[at].at(level=stage.levels[at], seed=seed).masks for at, seed in sorted(there)}
        for pair in pairs:
            if pair.first in masks and pair.second in masks:
                never = either(unread[pair.first[0]], unread[pair.second[0]])
                yield from _of_pair(pair, stage, masks[pair.first], masks[pair.second], never)


def _of_pair(
    pair: Pair, stage: Stage, first: Mapping[str, Tensor], second: Mapping[str, Tensor], never: Unread | None
) -> Iterator[Found]:
    skipped = columns(never, dict(first))
    inputs = {name: by_input(first[name], second[name]) for name in first}
    for part in (ALL,) if never is None else (ALL, READ, UNREAD):
        of_part = {
            name: groups[skipped[name].numpy() == (part == UNREAD)] if part != ALL else groups
            for name, groups in inputs.items()
        }
        layers = {name: groups.sum(axis=0, keepdims=True) for name, groups in of_part.items()}
        yield Found(pair, stage, WHOLE, part, overlap(joined(layers.values())), overlap(joined(of_part.values())))
        for name, groups in layers.items():
            if groups[0, 0]:
                yield Found(pair, stage, name, part, overlap(groups), overlap(of_part[name]))


def by_input(first: Tensor, second: Tensor) -> Groups:
    """Return the counts of two masks of one parameter by input: by column, and place of the kernel."""
    one, other = (mask.reshape(len(mask), -1) if mask.ndim > 1 else mask.reshape(-1, 1) for mask in (first, second))
    counts = [one.sum(0), other.sum(0), (one & other).sum(0)]
    return np.stack([np.full(one.shape[1], len(one)), *(count.numpy() for count in counts)], axis=1)
