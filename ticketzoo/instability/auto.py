"""`finder.rewind: auto`: the earliest step of a grid from which the recipe's own subnetworks are stable."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import comb
from pathlib import Path
from typing import Any

import torch

from ticketzoo.distributed import processes
from ticketzoo.errors import RecipeError, RunError
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.recipe import steps_before_the_end
from ticketzoo.finding.run import Search
from ticketzoo.finding.start import load_task
from ticketzoo.instability.measure import Instability, stability_label
from ticketzoo.instability.recipe import LineConfig
from ticketzoo.instability.run import instability_of
from ticketzoo.recipe import Steps
from ticketzoo.runs.plan import Plan
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.runs.store import Job, Store
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket
from ticketzoo.training.record import Record
from ticketzoo.util.files import write_atomically

COPIES = (2, 3)
"""Copies of each seed that are compared, in turn, until a step is stable or not: one pair, then three."""
HALVINGS = range(8, 1, -1)
"""The steps after 0 are the training's length halved so often: from a 256th to a quarter of it."""
POINTS = 11
"""Points on each line."""
THRESHOLD = 0.02
"""The instability below which Frankle et al. (2020, section 3) call a network stable."""
FILE = "rewind.json"
"""What was measured, in the working folder."""


def grid(recipe: FindRecipe, task: Task) -> list[int]:
    """Return the steps that are looked at, in iterations: 0, and a geometric sequence up to a quarter of training."""
    total = recipe.training.steps.iterations(task.steps_per_epoch(recipe.training.batch_size))
    return sorted({0, *(step for step in (round(total / 2**halvings) for halvings in HALVINGS) if step < total)})


def find_from_stable(
    recipe: FindRecipe,
    out: str | Path,
    *,
    device: torch.device | None = None,
    executor: str = "local",
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
) -> tuple[Ticket, Path]:
    """Find tickets by `recipe`, whose step to rewind to is "auto", from the first stable step: see `stable_recipe`.

    Takes, returns and raises what `find_and_package` does.
    """
    out, task, told = Path(out), load_task(recipe.task, recipe.model), _TwoParts(progress or Quiet())
    keys = {"device": device, "executor": executor, "checkpoint_seconds": checkpoint_seconds, "progress": told}
    with Store(out / "cells", **keys) as store:  # type: ignore[arg-type]
        found = stable_recipe(recipe, task, store, out)
    told.begin_second()
    return find_and_package(found, out, task=task, **keys)  # type: ignore[arg-type]


class _TwoParts:
    """News of a run of two parts, handed on: what the first has done counts in what the second plans."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done, self._before = progress, 0, 0

    def begin_second(self) -> None:
        """Count from here on."""
        self._before = self._done

    def planned(self, trainings: int) -> None:
        self._progress.planned(self._before + trainings)

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self._done += 1
        self._progress.finished(label, record, metric, trained=trained)

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        self._done += 1
        self._progress.evaluated(label, result, new=new)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._progress, name)


def plan_from_stable(
    recipe: FindRecipe, out: str | Path, *, device: torch.device | None = None, seconds: float = 0.5
) -> Plan:
    """Return the plan of the search at step 0, and in words what more the other steps may take. As `plan_find`."""
    task = load_task(recipe.task, recipe.model)
    _check(recipe, task)
    steps = grid(recipe, task)
    plan = plan_find(at_step(recipe, 0), out, task=task, device=device, seconds=seconds)
    seeds, shown = len(recipe.seeds), ", ".join(map(str, steps))
    copies = f"{seeds * COPIES[0]} to {seeds * COPIES[-1]} copies and the lines between them"
    search = f"after 0 {seeds * recipe.finder.levels} trainings of the search, too"
    plan.not_counted += (f"finder.rewind: auto: until one of iterations {shown} is stable, at each {copies}, {search}",)
    return plan


def stable_recipe(recipe: FindRecipe, task: Task, store: Store, out: Path) -> FindRecipe:
    """Return `recipe` with the earliest step of the grid from which its sparsest subnetworks are stable.

    Steps are looked at in ascending order, up to the first that is stable, first with one pair of copies a seed, where
    that is undecided with three. What is trained for the step that is taken is what the recipe's own run trains.

    Args:
        recipe: with the step "auto".
        task: the recipe's, its data loaded.
        store: of the run.
        out: receives rewind.json, what was measured.

    Raises:
        RecipeError: it has a single seed, does not rewind weights, or its metric is no fraction.
        RunError: no step is stable; or see `Store`.
    """
    _check(recipe, task)
    steps, said = grid(recipe, task), store.progress.say

    def measure(step: int) -> Instability:
        one = _measured(at_step(recipe, step), task, store, steps)
        said(f"finder.rewind: from {step}it {words(one)}")
        return one

    measured, taken = first_stable(steps, measure)
    content = {"taken": taken, "threshold": THRESHOLD, "instability": [_as_json(one) for one in measured]}
    processes.from_first(lambda: write_atomically(out / FILE, (json.dumps(content, indent=2) + "\n").encode()))
    if taken is None:
        best = min(measured, key=lambda one: (one.summary.mean, one.rewind_step))
        what = f"no step of {', '.join(map(str, steps))} is stable; the best is {best.rewind_step}it: {words(best)}"
        raise RunError(f"finder.rewind: auto: {what}: set finder.rewind to it, or give more seeds or a longer training")
    said(f"finder.rewind: {taken}it is taken")
    return at_step(recipe, taken)


def first_stable(steps: Sequence[int], measure: Callable[[int], Instability]) -> tuple[list[Instability], int | None]:
    """Return what was measured of `steps`, up to the first that is stable, and that step; None where none is."""
    measured = []
    for step in steps:
        measured.append(one := measure(step))
        if stability_label(one, THRESHOLD) == "stable":
            return measured, step
    return measured, None


def at_step(recipe: FindRecipe, step: int) -> FindRecipe:
    """Return `recipe` with its step to rewind to."""
    finder = recipe.finder.model_copy(update={"rewind": Steps(step, "it")})
    return recipe.model_copy(update={"finder": finder})


def words(one: Instability) -> str:
    """Return an instability with its interval and what it is called, such as "0.0031 [0.0010, 0.0052] (stable)"."""
    summary = one.summary
    interval = "" if summary.low is None else f" [{summary.low:.4f}, {summary.high:.4f}]"
    return f"instability {summary.mean:.4f}{interval} ({stability_label(one, THRESHOLD)}, below {THRESHOLD} is stable)"


def _check(recipe: FindRecipe, task: Task) -> None:
    finder = recipe.finder
    if not isinstance(finder, RewindingConfig) or finder.rewinding == "learning-rate":
        raise RecipeError("finder.rewind: auto looks for weights to rewind to: it goes with rewinding: weights")
    if len(recipe.seeds) < 2:
        raise RecipeError("finder.rewind: auto needs two seeds or more, to tell stable from not: add to seeds")
    if task.metric.bounds != (0.0, 1.0):
        raise RecipeError(f"finder.rewind: auto compares errors, and {task.metric.name} is no fraction: set a step")


def _measured(recipe: FindRecipe, task: Task, store: Store, steps: list[int]) -> Instability:
    """Return the instability of the sparsest level at the recipe's step, one of `steps`, of as few copies as decide."""
    step, level = steps_before_the_end(getattr(recipe.finder, "rewind", "auto"), recipe, task), recipe.finder.levels
    search = Search(recipe, task, store, f"k={step} ")
    compared = sum(copies + comb(copies, 2) for copies in COPIES)
    store.progress.planned((steps.index(step) + 1) * len(recipe.seeds) * (2 + level + compared))
    starts: dict[int, Job] = {}
    for seed in recipe.seeds:
        lab = search.lab(seed)
        lab.train(lab.dense, lab.initial, keep=steps)  # once for all steps
        replicate = search.replicate(seed)
        found = replicate.found[level]
        starts[seed] = lab.job(replicate.levels[level], found.start, found.learn)
    look = LineConfig(points=POINTS, split="validation" if task.has_validation else "test")
    one = instability_of(starts, COPIES[0], level, look, store, f"k={step}")
    for copies in COPIES[1:]:
        if stability_label(one, THRESHOLD) == "undecided":
            one = instability_of(starts, copies, level, look, store, f"k={step}")
    return one


def _as_json(one: Instability) -> dict[str, object]:
    return {**asdict(one), "mean": one.summary.mean, "low": one.summary.low, "high": one.summary.high}
