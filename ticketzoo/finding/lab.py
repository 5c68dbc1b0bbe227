"""The lab that methods work in: trainings and prunings of one seed, by a recipe."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch

from ticketzoo.errors import RunError
from ticketzoo.finding.dead_layers import check_layers
from ticketzoo.finding.method import Level, Start, Trained
from ticketzoo.finding.recipe import FindRecipe, steps_before_the_end
from ticketzoo.finding.start import SourceModel
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.masks.masks import Masks, kept, total
from ticketzoo.models import create_from_architecture
from ticketzoo.models.state import State
from ticketzoo.pruning.in_order import pruned_in_order
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.score_data import too_few
from ticketzoo.pruning.task_probe import TaskProbe
from ticketzoo.recipe import StepsOrAuto
from ticketzoo.runs.plan import NotTrainedYet, PlannedCells, Unknown
from ticketzoo.runs.store import Job, Store
from ticketzoo.tasks.task import Task
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.parametrisation import HEAD, NOTHING, WEIGHTS, Parametrisation, is_untrained
from ticketzoo.training.record import Record


@dataclass
class RecipeLab:
    """The lab (see `ticketzoo.finding.method.Lab`) of one seed of `recipe`, its trainings kept in `cells`."""

    recipe: FindRecipe
    task: Task
    cells: Store
    model: SourceModel
    dense: Masks
    seed: int
    label: str = ""
    """Goes before the labels of trainings."""
    level: int = 0
    """The level that the method is at, for labels."""
    inverted: bool = False
    """Whether `prune` keeps the lowest scores."""
    records: list[Record] = field(default_factory=list)
    """Of each training so far."""

    @property
    def levels(self) -> int:
        """Levels beside the dense one."""
        return self.recipe.finder.levels

    @cached_property
    def initial(self) -> Start:
        """The weights of step 0. With `head_first`, the head is trained on a frozen body before."""
        state = self.model.state(self.seed)
        if self.recipe.head_first is None:
            return Start(lambda: state)
        job = Job(self.model.architecture, state, {}, self.task, self.recipe.head_first, self.seed, learn=HEAD)
        cell = self.cells.run(job, f"{self.label}seed {self.seed} head", keep_final=True)
        self.records.append(cell.record)
        return Start(cell.final_state)

    def steps(self, length: StepsOrAuto) -> int:
        """Return `length` in iterations.

        Raises:
            RecipeError: it is not before the end of training.
        """
        return steps_before_the_end(length, self.recipe, self.task)

    def job(
        self, masks: Masks, start: Start, learn: Parametrisation = WEIGHTS, training: TrainingConfig | None = None
    ) -> Job:
        """Return the training from `start` under `masks`; all-True masks are a dense training of the weights."""
        masks = {} if learn == WEIGHTS and kept(masks) == total(masks) else masks
        model, training = self.model.architecture, training or self.recipe.training
        return Job(model, start.state, masks, self.task, training, self.seed, start.step, learn)

    def train(
        self,
        masks: Masks,
        start: Start,
        *,
        learn: Parametrisation = WEIGHTS,
        keep: Collection[int] = (),
        training: TrainingConfig | None = None,
        what: str = "",
        keep_final: bool = True,
    ) -> Trained:
        """Train to the end from `start` under `masks`, unless that is done; keep the states after the steps in `keep`.

        The trained weights are kept, too, unless `keep_final` is False. `what` ends the label; see `Lab`.

        Raises:
            RunError: as `Store.run` does; and where `masks` keep no weight of a layer, unless the recipe allows it.
        """
        label = self._at(self.level, what or ("as it is" if is_untrained(learn) else ""))
        if not self.inverted and learn.masked == "zero":  # a layer whose weights are all frozen still computes
            warn = self.cells.progress.warn if self.recipe.finder.allow_dead_layers else None
            check_layers(masks, self.model.architecture, label, lambda: start.state, warn)
        cell = self.cells.run(
            self.job(masks, start, learn, training), label, keep_final=keep_final, snapshot_steps=keep
        )
        self.records.append(cell.record)
        return Trained(cell, start, masks)

    def _at(self, level: int, what: str = "") -> str:
        return f"{self.label}seed {self.seed} level {level}/{self.levels} {what}".rstrip()

    def refuse_dead(self, masks: Masks, *, to: int) -> None:
        """Raise RunError where `masks` of level `to` keep no weight of a layer, unless the recipe allows that."""
        if not self.inverted and not self.recipe.finder.allow_dead_layers:
            check_layers(masks, self.model.architecture, self._at(to), lambda: self.initial.state)

    def measured(self, level: Level) -> Trained:
        """Return the training of a level that its method did not train; of one measured as it is keep no weights."""
        return self.train(level.masks, level.start, learn=level.learn, keep_final=level.learn != NOTHING)

    @cached_property
    def _pruner(self) -> Pruner:
        finder = self.recipe.finder
        return Pruner.of(finder, create_from_architecture(self.model.architecture, seed=0), inverted=self.inverted)

    def try_criterion(self) -> None:
        """Score the network before any training, that of its head included, if the criterion cannot score every one.

        Raises:
            RunError: it cannot score this one.
        """
        config, criterion = self.recipe.finder.pruning.criterion, self._pruner.criterion
        if criterion.tried is None:
            return
        state = self.model.state(self.seed)
        begun = self._probe(Start(lambda: state), state, self.dense).under(self.dense)  # nothing of it is stored
        if line := too_few(self.task, getattr(config, "examples_per_class", None)):
            self.cells.progress.warn(f"criterion {criterion.name!r}: {line}")
        try:
            criterion.tried(begun, config)
        except RunError as error:
            named = str(error).startswith("criterion ")
            raise error if named else RunError(f"criterion {criterion.name!r}: {error}") from None
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # such as a step without a second derivative
            why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            what = f"criterion {criterion.name!r}: the network cannot be scored"
            raise RunError(f"{what}: {why}; choose another criterion, such as magnitude") from error

    def units(self, masks: Masks) -> Masks:
        """Return what `masks` keep of what is removed as one: a bool for each weight, or for each filter."""
        return self._pruner.structure.units(masks)

    def prune(self, at: Trained | Start, masks: Masks, *, to: int) -> Masks:
        """Return the masks of level `to`; of weights that a plan does not know, masks of the right sizes.

        Raises:
            RunError: a weight that `masks` keeps is NaN.
        """
        weights, in_order = _weights(at), self._pruner.criterion.in_order
        if isinstance(weights, Unknown) or (in_order and self._planned):
            return self._pruner.sized(masks, to=to)
        if in_order:
            stored = self._in_order(at, masks, to)
            return {name: stored[_MASKS + name] for name in masks}
        scored = at.masks if isinstance(at, Trained) else at.known or self.dense

        def warn(line: str) -> None:
            self.cells.progress.warn(f"{self._at(to)}: {line}")

        return self._pruner(self._probe(at, weights, scored), to=to, masks=masks, warn=warn)

    def rewritten(self, at: Start, *, to: int) -> Start:
        """Return `at` with the weights that `prune(at, dense, to=to)` changed; itself if it changed none."""
        if self._planned or not getattr(self._pruner.criterion.asked, "update", False):
            return at
        return replace(at, read=partial(self._rewritten, at, to))

    def _rewritten(self, at: Start, to: int) -> State:
        changed = self._in_order(at, self.dense, to)
        return at.state | {key.removeprefix(_VALUES): new for key, new in changed.items() if key.startswith(_VALUES)}

    @property
    def _planned(self) -> bool:
        return isinstance(self.cells, PlannedCells)

    def _in_order(self, at: Trained | Start, masks: Masks, to: int) -> State:
        """Return the masks, and the new values, of a criterion that prunes as it scores: found once and kept."""
        weights, pruning, revision = _weights(at), self.recipe.finder.pruning, self._pruner.scope.revision
        specification = {
            "architecture": self.model.architecture,
            "task": self.task.identity,
            "weights": state_sha256(weights),
            "masks": masks_sha256(masks),
            "seed": self.seed,
            "pruning": pruning.model_dump(mode="json"),
            "level": to,
            **({"revision": revision} if revision > 1 else {}),
        }

        def compute() -> State:
            found, values = pruned_in_order(self._pruner, self._probe(at, weights, masks), masks, to)
            kinds = {_MASKS: found, _VALUES: values}
            return {f"{kind}{name}": tensor for kind, named in kinds.items() for name, tensor in named.items()}

        return self.cells.remember("pruned", specification, compute)

    def probe(self, at: Trained | Start, masks: Masks) -> TaskProbe:
        """Return what is to be seen of the weights `at` under `masks`; data are looked at only if asked for.

        Raises:
            NotTrainedYet: in a plan, of weights that are yet to be trained.
        """
        weights = _weights(at)
        if isinstance(weights, Unknown):
            method = self.recipe.finder.method
            raise NotTrainedYet(f"what follows level {self.level}, which method {method!r} decides by trained weights")
        return self._probe(at, weights, masks)

    def _probe(self, at: Trained | Start, weights: State, masks: Masks) -> TaskProbe:
        return TaskProbe(
            self.model.architecture,
            self.task,
            weights=weights,
            started=at.start if isinstance(at, Trained) else at,
            masks=masks,
            seed=self.seed,
            device=self.cells.device,
            remember=self.cells.remember,
        )


_MASKS, _VALUES = "masks/", "values/"
"""Beginnings of the names of what is kept of a pruning."""


def _weights(at: Trained | Start) -> State:
    return at.final if isinstance(at, Trained) else at.state
