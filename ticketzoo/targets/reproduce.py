"""Measure a ticket's rows again: its masks and weights are trained as its recipe says, and the numbers compared."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.evaluation.again import rows_on_source
from ticketzoo.evaluation.arms import ARMS, CHANCE, one_of
from ticketzoo.evaluation.controls import Labels, arm_words, dense_labels, ticket_labels
from ticketzoo.evaluation.rows import check_rows, rows_of
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Start
from ticketzoo.finding.start import load_model
from ticketzoo.masks.masks import Masks, kept, sparsity, total
from ticketzoo.models import create_from_architecture
from ticketzoo.models.body import model_names_of
from ticketzoo.models.state import State
from ticketzoo.runs.plan import Plan, PlannedCells
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Job, Store, environment
from ticketzoo.targets.reproduction import Again, Reproduction, outcome_within, prediction_interval
from ticketzoo.targets.source import source_of
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import BaseRewind
from ticketzoo.training.parametrisation import NOTHING, WEIGHTS


@dataclass(frozen=True)
class Request:
    """A part of a ticket to measure again.

    Attributes:
        ticket: packaged, with rows.
        levels: packaged levels; 0 is dense.
        seeds: replicates of the ticket.
        arms: those to train; all that the rows of these levels and seeds have, if not given.
        data: folder or Hub id of its data, in place of the recipe's.
        base: folder with a copy of the pretrained model that its recipe names.
        overrides: of its recipe.
    """

    ticket: Ticket
    levels: Sequence[int]
    seeds: Sequence[int]
    arms: Sequence[str] | None = None
    data: str | None = None
    base: str | None = None
    overrides: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Return the name of the working folder."""
        return f"reproduce-{self.ticket.name}"


def run_reproduction(
    request: Request,
    out: Path,
    *,
    device: torch.device | None = None,
    executor: str = "local",
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
) -> Reproduction:
    """Measure again what `request` asks for, in `out`: what is finished there is not done again.

    The ticket's masks and weights are trained as its recipe says.

    Raises:
        RunError: the data are not those of the ticket, or a training fails.
        TicketError: a row lacks columns.
        RecipeError: the rows have nothing of what is asked for; or as `source_of` raises it.
    """
    with Store(
        out / "cells", executor, device=device, checkpoint_seconds=checkpoint_seconds, progress=progress
    ) as cells:
        again = _Trainings(request, cells)
        chosen = again.chosen()
        cells.progress.planned(len(chosen))
        trainings = cells.each(lambda one: again.compare(*one), chosen)
    return Reproduction(request.ticket.name, again.metric, trainings, again.elsewhere(), again.left_out)


def plan_reproduction(request: Request, out: Path, *, device: torch.device | None = None, seconds: float = 0.5) -> Plan:
    """Return what `run_reproduction` has left to do; nothing is written. Raises as it does."""
    cells = PlannedCells(out / "cells", device=device or torch.device("cpu"))
    for job, labels in _Trainings(request, cells).chosen():
        cells.run(job, _label(labels))
    return cells.plan(seconds=seconds)


class _Trainings:
    """The trainings behind a ticket's rows."""

    def __init__(self, request: Request, cells: Store) -> None:
        self.request, self.ticket, self.cells = request, request.ticket, cells
        data, base, overrides = request.data, request.base, request.overrides
        self.recipe, self.task = source_of(self.ticket, data=data, base=base, overrides=overrides)
        if self.task.source["fingerprint"] != (stated := self.ticket.config.source.fingerprint):
            theirs = f"their fingerprint is not {str(stated)[:12]}"
            raise RunError(f"{self.task.name}: not the data that {self.ticket.name} was found on: {theirs}")
        self.model = load_model(self.recipe, self.task)
        self.network = create_from_architecture(self.model.architecture, seed=0)
        self.metric = f"test_{self.task.metric.name}"
        self.rows: dict[tuple[int, str, int, int], list[Mapping[str, Any]]] = {}
        rows = check_rows(self.ticket.results)
        own = rows_on_source(rows, self.ticket.config, self.ticket.recipe_text)
        for row in own:
            if row["arm"] == CHANCE:  # no training
                continue
            self.rows.setdefault((row["level"], row["arm"], row["seed"], row["draw"]), []).append(row)
        again = "ticketzoo transfer measures them again, with the recipe on the card"
        elsewhere = sorted({row["target"] for row in rows} - {row["target"] for row in own})
        self.left_out = [f"rows on {target}: {again}" for target in elsewhere]

    def elsewhere(self) -> list[str]:
        """Return a line for each thing that the replicates asked for were trained with, and that is otherwise here."""
        here = {"population": None, **environment(self.cells.device)}
        replicates = [one for one in self.ticket.config.replicates if one.seed in self.request.seeds]
        made = [made.model_dump() for one in replicates for made in one.environments]
        lines = [
            f"{key}: {there[key]} there, {here.get(key) or 'none'} here"
            for there in made
            for key in ("torch", "device", "processor", "population")
            if there.get(key) != here.get(key)
        ]
        unknown = [] if made else ["the ticket does not say what it was trained with"]
        return unknown + list(dict.fromkeys(lines))

    def stated(self, labels: Labels) -> Sequence[Mapping[str, Any]]:
        """Return the ticket's rows of a training; none where they lack the metric that decides, at its end."""
        rows = self.rows.get((labels["level"], labels["arm"], labels["seed"], labels["draw"]), [])
        return rows if any((row["at"], row["metric"]) == ("final", self.metric) for row in rows) else []

    def chosen(self) -> list[tuple[Job, Labels]]:
        """Return the trainings that are asked for. Raises RecipeError where the rows have none of them."""
        asked = self.request
        chosen = [
            (job, labels)
            for level in asked.levels
            for seed in asked.seeds
            for job, labels in self.trainings(level, seed)
            if self._asked_for(labels) and self.stated(labels)
        ]
        if not chosen:
            there = sorted({(level, arm) for level, arm, _, _ in self.rows})
            known = ", ".join(f"{arm} at level {level}" for level, arm in there)
            raise RecipeError(f"{self.ticket.name}: has no {self.metric} of what was asked for; it has {known}")
        return chosen

    def trainings(self, level: int, seed: int) -> Iterator[tuple[Job, Labels]]:
        """Yield the trainings of a level: the ticket's, and the arms beside it; of level 0 dense."""
        packaged = [entry.level for entry in self.ticket.levels]
        one = self.ticket.at(level=level or packaged[0], seed=seed)
        masks = model_names_of(one.masks, self.network)
        full = {name: torch.ones_like(mask) for name, mask in masks.items()}
        lab = RecipeLab(self.recipe, self.task, self.cells, self.model, full, seed)
        name, target, share = self.ticket.name, self.task.name, sparsity(masks) if level else 0.0
        labels = ticket_labels(ticket=name, level=level, sparsity=share, target=target, seed=seed)
        if level == 0:
            job, controls = lab.job(full, lab.initial), self.recipe.controls
            yield job, labels
            yield job, dense_labels(labels)
            once = tuple(arm for arm in controls.arms if ARMS[arm].once)
            yield from replace(controls, arms=once).beside(job, labels, once=True)
            return
        start = self._start(one, lab)
        job = lab.job(masks, start, NOTHING if self.ticket.config.use == "as-is" else WEIGHTS)
        yield job, labels
        yield from self._reproducible(job, labels, start.known)

    def _reproducible(self, job: Job, labels: Labels, known: Masks | None) -> Iterator[tuple[Job, Labels]]:
        """Yield the arms that are the same whatever the weights are that the ticket does not hold."""
        other, controls = job, self.recipe.controls
        if known is not None:
            unlike = {name: job.state[name].where(mask, 1e6) for name, mask in known.items()}
            other = replace(job, state={**job.state, **unlike})
        own = tuple(arm for arm in controls.arms if not (ARMS[arm].inverts or ARMS[arm].twin))
        for arm in (arm for arm in controls.arms if arm not in own):
            lacks = "the scores of the search" if ARMS[arm].inverts else "another dense training"
            self._leave_out({**labels, "arm": arm}, lacks)
        both = [replace(controls, arms=own).beside(one, labels, once=False) for one in (job, other)]
        for (control, named), (again, _) in zip(*both, strict=True):
            if known is None or same_training(control, again):
                yield control, named
            else:
                self._leave_out(named, "weights that the ticket does not hold")

    def _leave_out(self, labels: Labels, needs: str) -> None:
        if self.stated(labels) and self._asked_for(labels):
            self.left_out.append(f"{_label(labels)}: it needs {needs}")

    def _asked_for(self, labels: Labels) -> bool:
        return self.request.arms is None or labels["arm"] in self.request.arms

    def compare(self, job: Job, labels: Labels) -> Again:
        """Train, and compare with what the rows state."""
        record = self.cells.run(job, _label(labels)).record
        now = {(row["at"], row["metric"]): row["value"] for row in rows_of(record, self.task.metric, **labels)}
        then = {(row["at"], row["metric"]): row["value"] for row in self.stated(labels)}
        stated, measured = then["final", self.metric], now["final", self.metric]
        interval = self._interval(labels)
        outcome = "bit-identical" if now.items() <= then.items() else outcome_within(interval, measured)
        which = labels["level"], labels["arm"], labels["seed"], labels["draw"]
        return Again(*which, stated, measured, interval, outcome)

    def _start(self, one: Ticket, lab: RecipeLab) -> Start:
        """Return what the ticket is trained from: the weights that it holds, or the pretrained model's."""
        rewind = self.ticket.config.rewind
        if isinstance(rewind, BaseRewind):
            return lab.initial
        known = model_names_of(one.known_rewind, self.network)
        step = rewind.start_step(self.ticket.config.index_of(one.seed))
        state = model_names_of(one.known_state, self.network)
        return Start(lambda: state, step, None if kept(known) == total(known) else known)

    def _interval(self, labels: Labels) -> tuple[float, float] | None:
        values = [
            row["value"]
            for (level, arm, _, _), rows in self.rows.items()
            if (level, one_of(arm)) == (labels["level"], one_of(labels["arm"]))
            for row in rows
            if (row["at"], row["metric"]) == ("final", self.metric)
        ]
        low, high = self.task.metric.bounds
        examples = self.task.examples.get("test", 0)
        one_example = (high - low) / examples if examples and math.isfinite(high - low) else 0.0
        return prediction_interval(values, least_spread=one_example)


def same_training(one: Job, other: Job) -> bool:
    """Tell whether two trainings of one task and seed start at the same step from the same weights under one mask."""

    def start(job: Job) -> State:
        return job.state | {name: job.state[name].where(mask, 0) for name, mask in job.masks.items()}

    pairs = [(one.masks, other.masks), (start(one), start(other))]
    return one.start_step == other.start_step and all(
        here.keys() == there.keys() and all(torch.equal(tensor, there[name]) for name, tensor in here.items())
        for here, there in pairs
    )


def _label(labels: Labels) -> str:
    return f"level {labels['level']} seed {labels['seed']} {arm_words(labels)} again"
