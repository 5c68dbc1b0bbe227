"""The lines between the trained networks of levels, from the one before and from dense, and what pruning alone does."""

from collections.abc import Iterator
from typing import Any

import torch

from ticketzoo.connecting.barriers import barrier
from ticketzoo.connecting.config import LevelsConfig, LinesConfig
from ticketzoo.connecting.kept import KeptRun, Networks, final_state
from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.metrics import with_unit
from ticketzoo.finding.run import Replicate
from ticketzoo.instability.line import Line, Point, end_of, errors_along, metric_along
from ticketzoo.instability.recipe import LineConfig
from ticketzoo.masks.masks import sparsity
from ticketzoo.models.state import State
from ticketzoo.runs.store import Store

Row = dict[str, Any]
"""A line of results.jsonl: seed, first, second (the levels at the ends), sparsity (of the second), position, error.

Or, in place of the last two, projected: the error of the first level's weights under the second's masks, untrained.
With `quantity: loss` the error's column is `loss`, and the projected number is one.
"""


def measure_levels(config: LevelsConfig, run: KeptRun, store: Store) -> list[Row]:
    """Return the errors along all lines of `run`; those that `store` holds are read.

    Raises:
        RecipeError: the line's split is not there.
        RunError: a training is not kept, or as `Store` does.
    """
    check_split(config, run)
    networks, seeds = run.opened(store), run.seeds(config.seeds)
    levels = run.recipe.finder.levels
    store.progress.planned(len(seeds) * (3 * levels - 1))
    return [row for seed in seeds for row in _of_seed(config, networks, seed)]


def check_split(config: LinesConfig, run: KeptRun) -> None:
    """Raise RecipeError where the task has no split of which the error is asked for."""
    if config.line.split == "validation" and not run.task.has_validation:
        raise RecipeError(f"--split: {run.task.name} has no validation split; choose test")


def of_line(line: LineConfig) -> list[str]:
    """Return the words that tell a folder of results from that of errors on the test split."""
    return [given for given, usual in ((line.quantity, "error"), (line.split, "test")) if given != usual]


def _of_seed(config: LevelsConfig, networks: Networks, seed: int) -> Iterator[Row]:
    replicate = networks.replicate(seed)
    dense = previous = final_state(replicate, 0)
    for level in range(1, len(replicate.found)):
        state = final_state(replicate, level)
        share = sparsity(replicate.levels[level])
        for first, begun in {level - 1: previous, 0: dense}.items():
            label = f"seed {seed} levels {first} and {level}"
            for point in points_between(config, networks, (begun, state), seed, label):
                yield {"seed": seed, "first": first, "second": level, "sparsity": share, **point.row(config.line)}
        label = f"seed {seed} level {level - 1} pruned to level {level}"
        error = _projected(config, networks, replicate, previous, level, label)
        yield {"seed": seed, "first": level - 1, "second": level, "sparsity": share, "projected": error}
        previous = state


def _projected(
    config: LinesConfig, networks: Networks, replicate: Replicate, state: State, level: int, label: str
) -> float:
    """Return the error of trained weights under the masks of the level after: pruned and not trained again."""
    found, store = replicate.found[level], networks.store
    frozen = found.start.state if found.learn.masked == "frozen" else {}
    pruned = {
        name: torch.where(mask, state[name], frozen.get(name, torch.zeros_like(state[name])))
        for name, mask in replicate.levels[level].items()
    }
    point, new = end_of(_line(config, networks, (state, state | pruned), replicate.seed), store)
    metric = metric_along(config.line, networks.run.task)
    store.progress.evaluated(label, f"{config.line.quantity} {with_unit(metric, point.error)}", new=new)
    return point.error


def _line(config: LinesConfig, networks: Networks, ends: tuple[State, State], seed: int) -> Line:
    run = networks.run
    return Line(networks.search.model.architecture, ends, run.task, run.recipe.training, seed, config.line)


def points_between(
    config: LinesConfig, networks: Networks, ends: tuple[State, State], seed: int, label: str
) -> list[Point]:
    """Return the errors along the line between two states of one network, and tell of its barrier."""
    store, metric = networks.store, metric_along(config.line, networks.run.task)
    points, new = errors_along(_line(config, networks, ends, seed), store, label)
    store.progress.evaluated(label, f"barrier {with_unit(metric, barrier(points))}", new=new)
    return points
