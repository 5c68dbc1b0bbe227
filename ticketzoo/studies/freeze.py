"""Mask-0 actions: what becomes of pruned weights. Zero, or frozen where they began, all of them or some."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import AfterValidator, Field, PositiveInt
from torch import Tensor

from ticketzoo.errors import RecipeError
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Start
from ticketzoo.finding.run import Search
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.models.state import State
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.runs.store import Store
from ticketzoo.seeds import derive_seed
from ticketzoo.studies.study import STUDIES, Curve, NetworkStudyConfig, Outcome, Row, StudyRecipe, is_known
from ticketzoo.training.parametrisation import FROZEN, WEIGHTS
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Round:
    """The pruning of one layer in one round: all tensors have the layer's shape.

    Attributes:
        initial: the weights of step 0.
        before: what the round before was trained from.
        after: what it trained to.
        newly: True where this round prunes.
        seed: of what is drawn.
    """

    initial: Tensor
    before: Tensor
    after: Tensor
    newly: Tensor
    seed: int

    @property
    def away(self) -> Tensor:
        """True where training moved the weight away from 0, or not at all."""
        return self.after.abs() >= self.before.abs()


@dataclass(frozen=True)
class Action:
    """A row of `ACTIONS`.

    Attributes:
        name: by which recipes ask for it.
        make: `make(round)` gives the values at which the weights that the round prunes are held.
        words: what becomes of pruned weights.
        cite: where it comes from.
        survivors: whether kept weights that moved towards 0 start at 0.
    """

    name: str
    make: Callable[[Round], Tensor]
    words: str
    cite: str = "Zhou et al. 2019, section 4"
    survivors: bool = False


ACTIONS: Registry[Action] = Registry("action", Action, error=RecipeError)


@ACTIONS.add("zero", words="pruned weights are 0")
def zero(one: Round) -> Tensor:
    """Hold pruned weights at 0, as ever."""
    return torch.zeros_like(one.initial)


@ACTIONS.add("freeze", words="pruned weights stay at their initial values")
def freeze(one: Round) -> Tensor:
    """Hold pruned weights at their initial values."""
    return one.initial


def _away(one: Round) -> Tensor:
    return one.initial.where(one.away, 0)


ACTIONS.put(Action("freeze-away", _away, "those that moved away from 0 stay at their initial values, the others are 0"))
ACTIONS.put(
    Action("freeze-away-all", _away, "as freeze-away; kept weights that moved towards 0 start at 0", survivors=True)
)


@ACTIONS.add("freeze-toward", words="the reverse of freeze-away: those that moved towards 0 stay", cite="control")
def freeze_toward(one: Round) -> Tensor:
    """Hold those that moved towards 0 at their initial values, and the others at 0."""
    return one.initial.where(~one.away, 0)


@ACTIONS.add("freeze-random", words="as many are 0 as by freeze-away, at random", cite="control")
def freeze_random(one: Round) -> Tensor:
    """Hold as many at 0 in the layer as `freeze-away` would, at random places among those pruned."""
    places = one.newly.flatten().nonzero().flatten()
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(one.seed))
    held = one.initial.flatten().clone()
    held[places[order[: int((one.newly & ~one.away).sum())]]] = 0
    return held.view_as(one.initial)


class FreezeConfig(NetworkStudyConfig):
    """The keys of the study `freeze`.

    Attributes:
        name: name of the study.
        actions: what becomes of pruned weights, each an experiment of its own; `zero` is compared with.
        finder: what a round removes, of the weights that the round before trained to.
        levels: pruning rounds; each starts from the weights of step 0.
    """

    name: str = "freeze"
    actions: Annotated[tuple[Annotated[str, AfterValidator(ACTIONS.known)], ...], Field(min_length=1)] = tuple(ACTIONS)
    finder: PruningConfig = PruningConfig(scope="layerwise", rate=0.36)
    levels: PositiveInt = 5


@STUDIES.add(
    "freeze",
    config=FreezeConfig,
    cite="Zhou et al. 2019, section 4",
    words="pruned weights at 0, or frozen at their initial values",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Prune and train round by round, once for each action; frozen weights count in the forward pass and never move."""
    config = recipe.study
    assert isinstance(config, FreezeConfig)
    finder = RewindingConfig(**config.finder.model_dump(), levels=config.levels, allow_dead_layers=True)
    search = config.search(recipe.name, store, finder=finder)
    store.progress.planned(len(config.seeds) * (1 + (1 + config.levels) * len(config.actions)))
    chains = [(search, seed, action) for seed in config.seeds for action in config.actions]
    for seed in config.seeds:
        search.lab(seed).train(search.dense, search.lab(seed).initial)
    rows = [row for found in store.each(lambda chain: list(_chain(*chain)), chains) for row in found]
    decides = f"test_{search.task.metric.name}"
    curves = [Curve(action, _means(rows, action, decides)) for action in config.actions]
    return Outcome(rows, _text(rows, config, decides), curves, ("sparsity", decides.replace("_", " ")))


def _chain(search: Search, seed: int, name: str) -> Iterator[Row]:
    """Yield the rows of one action, level by level; every round is pruned by what the one before trained to."""
    action, lab = ACTIONS[name], search.lab(seed)
    initial, masks, held = lab.initial.state, search.dense, dict[str, Tensor]()
    begun, trained = initial, lab.train(search.dense, lab.initial)
    lab.label = f"{lab.label}{name} "
    for level in range(1, search.recipe.finder.levels + 1):
        kept, after = lab.prune(trained, masks, to=level), trained.final
        if not is_known(after):  # in a plan, where trainings of different actions have to differ
            after = {one: tensor + 0.01 * list(ACTIONS).index(name) for one, tensor in after.items()}
        held = _held(action, initial, (begun, after), (masks, kept), held, derive_seed(seed, name, level))
        begun, masks = _start(action, initial, (begun, after), kept, held), kept
        lab.level = level
        trained = _train(lab, masks, begun, frozen=name != "zero")
        counts = {"frozen": sum(int((values[~masks[one]] != 0).sum()) for one, values in held.items())}
        labels = {
            "study": "freeze",
            "action": name,
            "level": level,
            "sparsity": sparsity(masks),
            "seed": seed,
            **counts,
        }
        for key in sorted(trained.record.final.keys() - {"step"}):
            yield {**labels, "metric": key, "value": trained.record.final[key]}


def _train(lab: RecipeLab, masks: Masks, state: State, *, frozen: bool):  # type: ignore[no-untyped-def]
    return lab.train(masks, Start(lambda: state), learn=FROZEN if frozen else WEIGHTS)


def _held(
    action: Action,
    initial: State,
    run: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    masks: tuple[Masks, Masks],
    held: Mapping[str, Tensor],
    seed: int,
) -> dict[str, Tensor]:
    """Return the values at which pruned weights are held: those pruned before keep theirs."""
    found = {}
    for name, mask in masks[1].items():
        newly = masks[0][name] & ~mask
        one = Round(initial[name], run[0][name], run[1][name], newly, derive_seed(seed, name))
        found[name] = torch.where(newly, action.make(one), held.get(name, torch.zeros_like(initial[name])))
    return found


def _start(
    action: Action,
    initial: State,
    run: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    masks: Masks,
    held: Mapping[str, Tensor],
) -> State:
    """Return the weights that the round is trained from."""
    state = dict(initial)
    for name, mask in masks.items():
        shrank = run[1][name].abs() < run[0][name].abs()
        kept = initial[name].masked_fill(shrank, 0) if action.survivors else initial[name]
        state[name] = torch.where(mask, kept, held[name])
    return state


def _means(rows: list[Row], action: str, metric: str) -> list[tuple[float, float]]:
    by_level: dict[float, list[float]] = {}
    for row in rows:
        if (row["action"], row["metric"]) == (action, metric):
            by_level.setdefault(row["sparsity"], []).append(row["value"])
    return [(level, statistics.fmean(values)) for level, values in by_level.items()]


def _text(rows: list[Row], config: FreezeConfig, metric: str) -> str:
    if not rows:
        return ""
    means = {action: dict(_means(rows, action, metric)) for action in config.actions}
    levels = sorted(next(iter(means.values())))
    last = ", ".join(f"{action} {means[action][levels[-1]]:.4f}" for action in config.actions)
    seeds = f"mean of {len(config.seeds)} seed{'s' * (len(config.seeds) > 1)}"
    text = f"{metric.replace('_', ' ').capitalize()} at sparsity {levels[-1]:.3f}, {seeds}: {last}."
    for action in config.actions:
        if action != "zero" and "zero" in means:
            above = sum(means[action][level] > means["zero"][level] for level in levels)
            text += f" {action} is above zero at {above} of {len(levels)} levels."
    return f"{text} Frozen weights are not 0: of these networks only those of zero are sparse, and none is packaged."
