"""The lines between the trained networks of successive levels, and from dense to each level."""

from collections.abc import Iterator
from typing import Any

from ticketzoo.connecting.barriers import barrier
from ticketzoo.connecting.config import LevelsConfig, LinesConfig
from ticketzoo.connecting.kept import KeptRun, Networks, final_state
from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.metrics import with_unit
from ticketzoo.instability.line import Line, Point, errors_along
from ticketzoo.masks.masks import sparsity
from ticketzoo.models.state import State
from ticketzoo.runs.store import Store

Row = dict[str, Any]
"""A line of results.jsonl: seed, first, second (the levels at the ends), sparsity (of the second), position, error."""


def measure_levels(config: LevelsConfig, run: KeptRun, store: Store) -> list[Row]:
    """Return the errors along all lines of `run`; those that `store` holds are read.

    Raises:
        RecipeError: the line's split is not there.
        RunError: a training is not kept, or as `Store` does.
    """
    check_split(config, run)
    networks, seeds = run.opened(store), run.seeds(config.seeds)
    levels = run.recipe.finder.levels
    store.progress.planned(len(seeds) * (2 * levels - 1))
    return [row for seed in seeds for row in _of_seed(config, networks, seed)]


def check_split(config: LinesConfig, run: KeptRun) -> None:
    """Raise RecipeError where the task has no split of which the error is asked for."""
    if config.line.split == "validation" and not run.task.has_validation:
        raise RecipeError(f"--split: {run.task.name} has no validation split; choose test")


def _of_seed(config: LevelsConfig, networks: Networks, seed: int) -> Iterator[Row]:
    replicate = networks.replicate(seed)
    dense = previous = final_state(replicate, 0)
    for level in range(1, len(replicate.found)):
        state = final_state(replicate, level)
        share = sparsity(replicate.levels[level])
        for first, begun in {level - 1: previous, 0: dense}.items():
            label = f"seed {seed} levels {first} and {level}"
            for point in points_between(config, networks, (begun, state), seed, label):
                yield {"seed": seed, "first": first, "second": level, "sparsity": share, **point._asdict()}
        previous = state


def points_between(
    config: LinesConfig, networks: Networks, ends: tuple[State, State], seed: int, label: str
) -> list[Point]:
    """Return the errors along the line between two states of one network, and tell of its barrier."""
    run, store = networks.run, networks.store
    line = Line(networks.search.model.architecture, ends, run.task, run.recipe.training, seed, config.line)
    points, new = errors_along(line, store, label)
    metric = f"{config.line.split}_{run.task.metric.name}"
    store.progress.evaluated(label, f"barrier {with_unit(metric, barrier(points))}", new=new)
    return points
