"""A method of finding tickets: a function of train, prune and rewind."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from ticketzoo.errors import RecipeError, RunError, TicketError
from ticketzoo.masks.masks import Masks, check_masks, kept, total
from ticketzoo.models.state import State
from ticketzoo.pruning.config import PruneConfig, PruningConfig
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.schedule import SCHEDULES
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.pruning.structure import STRUCTURES
from ticketzoo.recipe import StepsOrAuto
from ticketzoo.runs.store import Cell
from ticketzoo.ticket.ways import WAYS
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.parametrisation import WEIGHTS, Learned, Parametrisation
from ticketzoo.training.record import Record
from ticketzoo.util.registry import Registry, said


@dataclass(frozen=True)
class Start:
    """The beginning of a training.

    Attributes:
        read: gives parameters and buffers, whenever they are needed.
        step: updates that count as done: learning rate and data order go on from there.
        known: where the weights are known (True), by parameter name; None where they are everywhere. Weights that
            trained under masks are not known where those masks removed them.
    """

    read: Callable[[], State]
    step: int = 0
    known: Masks | None = None

    @property
    def state(self) -> State:
        """Parameters and buffers by name."""
        return self.read()


@dataclass(frozen=True)
class Snapshot:
    """The state of a training after some updates, read when it is called; equal to another of the same training."""

    cell: Cell
    step: int

    def __call__(self) -> State:
        """Return parameters and buffers."""
        return self.cell.snapshot(self.step)


@dataclass(frozen=True)
class Trained:
    """A finished training. Its weights are read from disk whenever they are asked for."""

    cell: Cell
    start: Start
    masks: Masks
    """Under which it trained; all True for a dense training."""
    ended: int | None = None
    """The step whose weights count as the trained ones; None for the last."""

    @property
    def record(self) -> Record:
        """All that was measured."""
        return self.cell.record

    @property
    def learned(self) -> Learned:
        """All that was learned: weights, and the masks and further tensors of a training that learned such."""
        return self.cell.learned()

    @property
    def final(self) -> State:
        """The trained parameters and buffers."""
        return self.cell.final_state() if self.ended is None else self.cell.snapshot(self.ended)

    def at(self, step: int, *, count_from: int | None = None) -> Start:
        """Return the state after `step` updates, kept by `train(keep=[step])`, as a start that counts from there.

        Args:
            step: updates that count as done.
            count_from: the step to count from instead.
        """
        counted = step if count_from is None else count_from
        if step == self.start.step and kept(self.masks) == total(self.masks):
            return replace(self.start, step=counted)
        return Start(Snapshot(self.cell, step), counted)

    def as_of(self, step: int) -> "Trained":
        """Return the training as if it had ended after `step` updates, whose state `train(keep=[step])` kept."""
        return replace(self, ended=step)

    def end(self, *, count_from: int) -> Start:
        """Return the trained weights as a start that counts from the step `count_from`."""
        return Start(self.cell.final_state, count_from, self.masks)


@dataclass(frozen=True)
class Level:
    """A level that a method found: its masks, and the weights that its ticket starts from.

    Attributes:
        masks: bool, True = kept, by parameter name.
        start: what the ticket is trained from.
        trained: that training, if the method did it; otherwise it is done when the level is measured.
        learn: what it learns: `NOTHING` of a ticket that is measured as it is, as are then the arms beside it.
        extras: further tensors to keep, by file name and tensor name.
        measured: further numbers for its rows, by metric.
    """

    masks: Masks
    start: Start
    trained: Trained | None = None
    learn: Parametrisation = WEIGHTS
    extras: Mapping[str, State] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)

    def check(self, all_true: Masks, gave: str, *, dense: bool = False) -> None:
        """Raise RunError unless the masks are of all prunable parameters, keep something, and fit the training.

        Args:
            all_true: masks of all prunable parameters.
            gave: begins the message.
            dense: whether the level has to keep everything.
        """
        try:
            check_masks(self.masks, {name: mask.shape for name, mask in all_true.items()})
        except TicketError as error:
            raise RunError(f"{gave}: {error}") from None
        if missing := [name for name in all_true if name not in self.masks]:
            raise RunError(f"{gave} no mask of {', '.join(missing)}")
        if not kept(self.masks):
            raise RunError(f"{gave} masks that keep no weight")
        if dense and kept(self.masks) < total(self.masks):
            raise RunError(f"{gave} masks that prune: level 0 is the dense network")
        if self.trained is not None and any(
            not torch.equal(self.trained.masks[name], self.masks[name]) for name in all_true
        ):
            raise RunError(f"{gave} a training under other masks than its own")


class Lab(Protocol):
    """All that a method can do. Each call is pure: the same arguments give the same result, computed once."""

    @property
    def levels(self) -> int:
        """The number of levels the recipe asks for, beside the dense one."""

    @property
    def dense(self) -> Masks:
        """All-True masks of the prunable parameters."""

    @property
    def initial(self) -> Start:
        """The weights of step 0: a fresh initialization, or a pretrained model's."""

    def steps(self, length: StepsOrAuto) -> int:
        """Return a length of training, such as `2ep`, in iterations. Raises RecipeError unless it is before the end."""

    def train(
        self,
        masks: Masks,
        start: Start,
        *,
        learn: Parametrisation = WEIGHTS,
        keep: Collection[int] = (),
        training: TrainingConfig | None = None,
        what: str = "",
    ) -> Trained:
        """Train to the end from `start` under `masks`; also keep the states after the steps in `keep`.

        It is done as `training` says, or else the recipe. `what` says in its label what is trained.
        """

    def prune(self, at: Trained | Start, masks: Masks, *, to: int) -> Masks:
        """Return the masks of level `to`: `masks` less what the recipe's pruning removes of the weights `at`.

        Those of a `Trained` are scored at its end, under the masks it trained with; those of a `Start` as they are.
        """

    def rewritten(self, at: Start, *, to: int) -> Start:
        """Return `at` with the weights that `prune(at, dense, to=to)` changed, if it changed any."""

    def refuse_dead(self, masks: Masks, *, to: int) -> None:
        """Raise RunError where `masks` of level `to` keep no weight of a layer, unless the recipe allows that."""

    def units(self, masks: Masks) -> Masks:
        """Return what `masks` keep of what is removed as one: a bool for each weight, or for each filter."""

    def probe(self, at: Trained | Start, masks: Masks) -> Probe:
        """Return a view of the weights `at` under `masks`, for methods with scores of their own."""


@dataclass(frozen=True)
class Method:
    """A row of `METHODS`.

    Attributes:
        name: by which recipes ask for it.
        make: `make(lab, config)` yields levels 0 (dense), 1, ...
        config: the keys of a recipe's `finder` section.
        cite: where the method comes from.
        words: what a card says of it; `{criterion}` in it stands for the name of the criterion.
        scopes: what a card says of scopes that are the method's own, by name.
        cites_criterion: whether a card cites the criterion's paper in place of the method's.
    """

    name: str
    make: Callable[[Lab, Any], Iterator[Level]]
    config: type[PruningConfig]
    cite: str
    words: str
    scopes: Mapping[str, str] = field(default_factory=dict)
    cites_criterion: bool = False


METHODS: Registry[Method] = Registry("method", Method, error=RecipeError)


def found_words(pruning: Mapping[str, Any]) -> dict[str, str]:
    """Return what the tables say of the way a ticket was found, by part: words, and in brackets the citation.

    Of a name that no table has nothing is said, nor of the criterion of a method whose words leave it out.

    Args:
        pruning: of ticket.json: `method`, and where they are stated `criterion`, `structure`, `scope` and `schedule`.
    """
    method, scope, usual = pruning["method"], pruning.get("scope", ""), PruneConfig()
    words = METHODS[method].words if method in METHODS else ""
    criterion = pruning.get("criterion") or (usual.criterion.name if "{criterion}" in words else "")
    name, _, keys = criterion.partition(" (")
    cited = CRITERIA[name].cite if method in METHODS and METHODS[method].cites_criterion and name in CRITERIA else None
    texts = {
        "method": said(METHODS, method, cited).replace("{criterion}", criterion) or said(WAYS, method),
        "criterion": said(CRITERIA, name) + ("; " + keys.removesuffix(")") if keys and name in CRITERIA else ""),
        "structure": said(STRUCTURES, pruning.get("structure") or usual.structure.name),
        "scope": said(SCOPES, scope) or (METHODS[method].scopes.get(scope, "") if method in METHODS else ""),
        "schedule": said(SCHEDULES, pruning.get("schedule")),
    }
    return {part: text for part, text in texts.items() if text}
