"""Lines between replicates, and the overlap of their masks, before and after their hidden units are aligned."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ticketzoo.aligning import Network
from ticketzoo.aligning.kept import kept_alignment
from ticketzoo.aligning.permutation import permuted
from ticketzoo.comparing.pairs import by_input
from ticketzoo.connecting.barriers import barrier
from ticketzoo.connecting.config import NONE, PairsConfig
from ticketzoo.connecting.kept import KeptCells, KeptRun, Networks, final_state
from ticketzoo.connecting.levels import check_split, of_line, points_between
from ticketzoo.errors import RunError
from ticketzoo.finding.run import Replicate
from ticketzoo.instability.line import Point
from ticketzoo.instability.recipe import LineConfig
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.masks.overlap import Overlap, joined, overlap
from ticketzoo.models import create_from_architecture
from ticketzoo.models.channel_wise import NORMS
from ticketzoo.models.unit_groups import UnitGroups, unit_groups
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store
from ticketzoo.util.text import show_numbers


@dataclass(frozen=True)
class Shared:
    """The overlap of two replicates' masks at a level, as they are and after alignment."""

    level: int
    sparsity: float
    before: Overlap
    after: Overlap | None


@dataclass(frozen=True)
class Joined:
    """A pair of replicates.

    Attributes:
        first: ticket and seed of the replicate whose units are moved.
        second: of the one that they are moved to.
        lines: by alignment, `none` for units as they are.
        shared: overlaps of masks, level by level.
    """

    first: tuple[str, int]
    second: tuple[str, int]
    lines: dict[str, list[Point]]
    shared: list[Shared]

    @property
    def barriers(self) -> dict[str, float]:
        """Return the barrier of each line."""
        return {align: barrier(points) for align, points in self.lines.items()}

    @property
    def name(self) -> str:
        """Return both replicates in words."""
        (one, seed), (other, second) = self.first, self.second
        return f"seeds {seed} and {second}" if one == other else f"{one} seed {seed} and {other} seed {second}"


@dataclass(frozen=True)
class Pairs:
    """All pairs that were looked at, and sentences on how."""

    pairs: Sequence[Joined]
    notes: Sequence[str]


def measure_pairs(
    config: PairsConfig,
    first: KeptRun,
    second: KeptRun,
    *,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> Pairs:
    """Measure the lines between replicates of two runs, or between those of one; errors are on the first's data.

    Raises:
        RecipeError: the line's split is not there.
        RunError: a training is not kept, a level is not there, or the networks are not of one architecture.
        ModelError: the network's units cannot be put in another order.
    """
    check_split(config, first)
    seeds = _pairs_of(config, first, second)
    levels = min(run.recipe.finder.levels for run in (first, second))
    if config.level > levels:
        raise RunError(f"--level: {config.level} is beyond level {levels}, the last that there is")
    with ExitStack() as opened:
        store = opened.enter_context(KeptCells(first.cells, device=device, progress=progress))
        same = first.folder.resolve() == second.folder.resolve()
        other = store if same else opened.enter_context(KeptCells(second.cells, device=device, progress=progress))
        networks = first.opened(store), second.opened(other)
        one, two = (of.search.model.architecture for of in networks)
        if one != two:
            differs = "their units cannot be matched one to one"
            raise RunError(f"{second.folder}: its network is not that of {first.folder}, width included: {differs}")
        measuring = _Measuring(config, networks, store)
        if left := _left_out(config, first, second, seeds):
            measuring.notes.append(left)
        store.progress.planned(len(seeds) * len(measuring.ways))
        return Pairs([measuring.of(*pair) for pair in seeds], measuring.notes)


def _pairs_of(config: PairsConfig, first: KeptRun, second: KeptRun) -> list[tuple[int, int]]:
    """Return pairs of seeds: all of one run; of two runs those of the same place. Raises RunError if there is none."""
    if first.folder.resolve() == second.folder.resolve():
        pairs = list(combinations(first.seeds(config.seeds), 2))
        if not pairs:
            raise RunError(
                f"{first.folder}: one replicate has no other to connect with; find more seeds, or name a run"
            )
        return pairs
    return list(zip(first.seeds(config.seeds), second.seeds(config.seeds), strict=False))


def _left_out(config: PairsConfig, first: KeptRun, second: KeptRun, pairs: Sequence[tuple[int, int]]) -> str:
    """Return in a sentence which replicates have no partner; empty where each has one."""
    left = []
    for place, run in enumerate((first, second)):
        alone = [seed for seed in run.seeds(config.seeds) if all(seed != pair[place] for pair in pairs)]
        left += [f"seeds {show_numbers(alone)} of {run.ticket.name}"] if alone else []
    one_run = first.folder.resolve() == second.folder.resolve()
    return "" if one_run or not left else f"without a partner in the other run, and so left out: {', '.join(left)}"


class _Measuring:
    """The measurement of pairs of replicates."""

    def __init__(self, config: PairsConfig, networks: tuple[Networks, Networks], store: Store) -> None:
        self.config, self.networks, self.store = config, networks, store
        self.ways = [NONE] if config.align == NONE else [NONE, config.align]
        architecture = networks[0].search.model.architecture
        model = create_from_architecture(architecture, seed=0)
        self.groups = unit_groups(model) if config.align != NONE else None
        self.notes: list[str] = []
        if config.align != NONE and not any(isinstance(module, NORMS) for module in model.modules()):
            lacks = "so that what averaging takes of activations is not given back (REPAIR)"
            self.notes.append(f"the network has no BatchNorm, {lacks}: a barrier that is left may be due to that")
        self._replicates: dict[tuple[int, int], Replicate] = {}

    def of(self, first: int, second: int) -> Joined:
        """Return the lines and overlaps of the replicates of two seeds."""
        one, two = self._replicate(0, first), self._replicate(1, second)
        level, run = self.config.level, self.networks[0].run
        begun, ended = final_state(one, level), final_state(two, level)
        order = self._order(one, two) if self.groups else None
        names = run.ticket.name, self.networks[1].run.ticket.name
        lines = {}
        for way in self.ways:
            start = begun if way == NONE else self._moved(begun, order)
            label = f"seeds {first} and {second}, " + ("as they are" if way == NONE else f"aligned by {way}")
            lines[way] = points_between(self.config, self.networks[0], (start, ended), first, label)
        shared = list(self._shared(one, two, order))
        return Joined((names[0], first), (names[1], second), lines, shared)

    def _replicate(self, place: int, seed: int) -> Replicate:
        here = self.networks[place]
        key = (0 if here.store is self.store else place), seed
        if key not in self._replicates:
            self._replicates[key] = here.replicate(seed)
        return self._replicates[key]

    def _order(self, one: Replicate, two: Replicate) -> dict[str, Tensor]:
        """Return the permutations that bring the first dense network near the second, computed once."""
        run, groups = self.networks[0].run, self.groups
        assert groups is not None
        moved, target = final_state(one, 0), final_state(two, 0)
        architecture, batch_size = self.networks[0].search.model.architecture, run.recipe.training.batch_size
        network = Network(architecture, groups, run.task, batch_size, one.seed, self.store.device)
        return kept_alignment(self.store, self.config.align, network, target, moved)

    def _moved(self, tensors: dict[str, Tensor] | Masks, order: dict[str, Tensor] | None) -> dict[str, Tensor]:
        groups: UnitGroups | None = self.groups
        assert groups is not None and order is not None
        return permuted(tensors, groups, order)

    def _shared(self, one: Replicate, two: Replicate, order: dict[str, Tensor] | None) -> Iterator[Shared]:
        for level in range(1, min(len(one.levels), len(two.levels))):
            masks, others = one.levels[level], two.levels[level]
            after = None if order is None else _overlap(self._moved(masks, order), others)
            yield Shared(level, sparsity(masks), _overlap(masks, others), after)


def _overlap(masks: Masks, others: Masks) -> Overlap:
    counts = {name: by_input(mask, others[name]) for name, mask in masks.items()}
    return overlap(joined(groups.sum(axis=0, keepdims=True) for groups in counts.values()))


def rows_of(found: Pairs, level: int, look: LineConfig) -> list[dict[str, Any]]:
    """Return a row for each point of each line, and for each overlap, as results.jsonl holds them."""
    rows: list[dict[str, Any]] = []
    for pair in found.pairs:
        (first, seed), (second, other) = pair.first, pair.second
        ends = {"first": first, "first_seed": seed, "second": second, "second_seed": other}
        for align, points in pair.lines.items():
            rows += [{**ends, "level": level, "align": align, **point.row(look)} for point in points]
        for one in pair.shared:
            for align, of in ((NONE, one.before), ("aligned", one.after)):
                if of is not None:
                    about = {"level": one.level, "sparsity": one.sparsity, "align": align}
                    rows.append({**ends, **about, "both_kept": of.both, "iou": of.iou, "expected": of.expected})
    return rows


def folder_of(config: PairsConfig, first: KeptRun, second: KeptRun) -> Path:
    """Return the default folder of the results."""
    parts = [f"connectivity-{config.align}"]
    parts += [f"level-{config.level}"] * bool(config.level) + of_line(config.line)
    parts += [second.ticket.name] * (first.folder.resolve() != second.folder.resolve())
    return first.folder / "-".join(parts)
