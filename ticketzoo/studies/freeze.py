"""Mask-0 actions: what becomes of pruned weights. Zero, or frozen where they began, all of them or some."""

import statistics
from collections.abc import Iterator, Mapping
from typing import Annotated

import torch
from pydantic import AfterValidator, Field, PositiveInt, model_validator
from torch import Tensor

from ticketzoo.evaluation.metrics import describe, show
from ticketzoo.evaluation.statistics import Summary, summarise
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Start
from ticketzoo.finding.run import Search
from ticketzoo.masks.masks import Masks, sparsity
from ticketzoo.models.state import State
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.runs.store import Store
from ticketzoo.seeds import derive_seed
from ticketzoo.studies.actions import ACTIONS, Action, Round
from ticketzoo.studies.study import STUDIES, Curve, NetworkStudyConfig, Outcome, Row, StudyRecipe, is_known
from ticketzoo.studies.tables import table_of
from ticketzoo.training.parametrisation import FROZEN, WEIGHTS
from ticketzoo.util.text import show_sparsity


class FreezeConfig(NetworkStudyConfig):
    """The keys of the study `freeze`.

    Attributes:
        name: name of the study.
        actions: what becomes of pruned weights, each an experiment of its own; `zero` is compared with.
        finder: what a round removes, of the weights that the round before trained to, by a criterion of weights alone.
        levels: pruning rounds; each starts from the weights of step 0.
    """

    name: str = "freeze"
    actions: Annotated[tuple[Annotated[str, AfterValidator(ACTIONS.known)], ...], Field(min_length=1)] = tuple(ACTIONS)
    finder: PruningConfig = PruningConfig(scope="layerwise", rate=0.36)
    levels: PositiveInt = 5

    @model_validator(mode="after")
    def _criterion_sees_weights_alone(self) -> "FreezeConfig":
        name = self.finder.pruning.criterion.name
        if not CRITERIA[name].of_weights:
            others = ", ".join(row.name for row in CRITERIA.values() if row.of_weights and row.name != "given")
            what = f"finder: criterion {name} looks at a network whose pruned weights are 0, and here they are frozen"
            raise ValueError(f"{what}: choose one of {others}")
        return self


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
    axes = ("sparsity", decides.replace("_", " "))
    return Outcome(rows, _text(rows, config, decides), curves, axes, tables=_tables(rows, config, decides))


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


def _values(rows: list[Row], action: str, metric: str) -> dict[float, dict[int, float]]:
    """Return the numbers of an action by sparsity and seed."""
    found: dict[float, dict[int, float]] = {}
    for row in rows:
        if (row["action"], row["metric"]) == (action, metric):
            found.setdefault(row["sparsity"], {})[row["seed"]] = row["value"]
    return found


def _means(rows: list[Row], action: str, metric: str) -> list[tuple[float, float]]:
    return [(level, statistics.fmean(own.values())) for level, own in _values(rows, action, metric).items()]


def _tables(rows: list[Row], config: FreezeConfig, metric: str) -> tuple[Table, ...]:
    values = {action: _values(rows, action, metric) for action in config.actions}
    sparsities = sorted({level for of_action in values.values() for level in of_action})
    lines = {
        show_sparsity(level): {action: list(values[action].get(level, {}).values()) for action in config.actions}
        for level in sparsities
    }
    caption = f"{describe([metric])} by what becomes of pruned weights"
    return table_of(caption, "sparsity", lines, lambda _, value: show(metric, value))


def _text(rows: list[Row], config: FreezeConfig, metric: str) -> str:
    if not rows:
        return ""
    values = {action: _values(rows, action, metric) for action in config.actions}
    last = max(next(iter(values.values())))
    told = ", ".join(f"{action} {statistics.fmean(values[action][last].values()):.4f}" for action in config.actions)
    seeds = f"mean of {len(config.seeds)} seed{'s' * (len(config.seeds) > 1)}"
    text = f"{metric.replace('_', ' ').capitalize()} at sparsity {last:.3f}, {seeds}: {told}."
    for action in config.actions:
        if action != "zero" and "zero" in values:
            text += f" {action} less zero: {_compared(values[action], values['zero'])}."
    return f"{text} Frozen weights are not 0: of these networks only those of zero are sparse, and none is packaged."


def _compared(own: Mapping[float, Mapping[int, float]], zero: Mapping[float, Mapping[int, float]]) -> str:
    """Return the difference at the last level with its interval, and at how many levels it is decided."""
    at = {level: summarise([own[level][seed] - zero[level][seed] for seed in own[level]]) for level in sorted(own)}
    last = list(at.values())[-1]
    if last.low is None or last.high is None:
        return f"{last.mean:+.4f}, not decided, as one seed has no interval"
    signs = [_sign(one) for one in at.values()]
    counts = f"above at {signs.count(1)}, below at {signs.count(-1)}, not decided at {signs.count(0)}"
    return f"{last.mean:+.4f} (95% interval {last.low:+.4f} to {last.high:+.4f}); of {len(at)} levels {counts}"


def _sign(one: Summary) -> int:
    """Return 1 or -1 where the whole interval lies above or below 0, else 0."""
    assert one.low is not None and one.high is not None
    return int(one.low > 0) - int(one.high < 0)
