"""Weight-agnostic evaluation: a ticket's mask with one value for all its weights, or one for each layer."""

import statistics
from collections.abc import Mapping
from typing import Annotated, NamedTuple, TypeAlias

import torch
from pydantic import Field, NonNegativeInt
from torch import nn

from ticketzoo.data.missing import check_path
from ticketzoo.errors import ModelError, RecipeError
from ticketzoo.evaluation.metrics import describe, show
from ticketzoo.evaluation.tables import Table
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.recipe import Seed
from ticketzoo.runs.plan import PlannedCells
from ticketzoo.runs.store import Store
from ticketzoo.seeds import derive_seed
from ticketzoo.studies.homogeneous import common_groups, like_each_other
from ticketzoo.studies.study import STUDIES, Curve, Outcome, Row, StudyConfig, StudyRecipe
from ticketzoo.studies.tables import table_of
from ticketzoo.studies.valued import Ensemble, valued
from ticketzoo.tasks import TaskConfig, create_task
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.effective import example_inputs
from ticketzoo.zoo.load import load_ticket

INVARIANT = "invariant by homogeneity"

Alike: TypeAlias = Mapping[str, list[list[float]]]
"""By mode, groups of values that make no difference."""


class WeightAgnosticConfig(StudyConfig):
    """The keys of the study `weight-agnostic`.

    Attributes:
        name: name of the study.
        seeds: replicates of the ticket that are looked at; by default all that it has.
        ticket: folder of a ticket, its name in the registry, or a Hub id.
        level: pruning level of the ticket; by default the sparsest good one.
        task: data that the networks are measured on, without any training.
        values: values that all kept weights are given, one after the other.
        biases: whether biases get the value of their layer, too; otherwise they are 0.
        draws: further networks with a value of its own for each layer, drawn among `values`.
    """

    name: str = "weight-agnostic"
    seeds: tuple[Seed, ...] = ()
    ticket: str
    level: NonNegativeInt | None = None
    task: TaskConfig
    values: Annotated[tuple[float, ...], Field(min_length=2, max_length=100)] = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
    biases: bool = False
    draws: NonNegativeInt = 10


class Network(NamedTuple):
    """A network to measure: how its weights get values, and which; of an ensemble, those of each member."""

    mode: str
    values: tuple[tuple[float, ...], ...]

    @property
    def signed(self) -> bool:
        """True where each weight keeps its sign, and a value below 0 turns all signs round."""
        return "signed" in self.mode


class Measured(NamedTuple):
    """The numbers of a network: its metric and its loss on the test split, and on the validation split if any."""

    test: float
    test_loss: float | None
    validation: float | None


def networks(config: WeightAgnosticConfig, layers: int, seed: int) -> list[Network]:
    """Return all networks of a replicate: shared values, plain and signed, layers with their own, and ensembles."""
    shared = [(value,) * layers for value in config.values]
    generator = torch.Generator().manual_seed(derive_seed(seed, "layer-values"))
    choices = torch.randint(len(config.values), (config.draws, layers), generator=generator)
    own = [tuple(config.values[int(one)] for one in choice) for choice in choices]
    found = []
    for mode, values in (("shared", shared), ("signed", shared), ("layers", own), ("signed layers", own)):
        found += [Network(mode, (one,)) for one in values]
        found += [Network(f"{mode} ensemble", tuple(values))] * (len(values) > 1)
    return found


@STUDIES.add(
    "weight-agnostic",
    config=WeightAgnosticConfig,
    cite="Gaier & Ha 2019",
    words="a ticket's mask with one value for all weights, without training",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Measure the masked network with every kept weight at one value, and at values of its own in each layer."""
    config = recipe.study
    assert isinstance(config, WeightAgnosticConfig)
    ticket = load_ticket(config.ticket, level=config.level)
    if absent := sorted(set(config.seeds) - set(ticket.seeds)):
        raise RecipeError(f"study.seeds: {config.ticket} has no replicate of seed {absent[0]}; it has {ticket.seeds}")
    check_path(getattr(getattr(config.task, "dataset", None), "path", ""))
    task = create_task(config.task)
    rows, found = list[Row](), list[Alike]()
    for seed in config.seeds or ticket.seeds:
        if not isinstance(store, PlannedCells):
            own, alike = _replicate(config, ticket.at(seed=seed), task, store)
            rows += own
            found.append(alike)
    metric = f"test_{task.metric.name}"
    curves = [Curve(mode, _curve(rows, mode, metric)) for mode in ("shared", "signed")]
    axes = ("value of every kept weight", metric.replace("_", " "))
    alike = {mode: common_groups([one[mode] for one in found]) for mode in ("shared", "signed")}
    text = _text(rows, alike, task, metric)
    return Outcome(rows, text, [one for one in curves if one.points], axes, tables=_tables(rows, metric))


def _replicate(config: WeightAgnosticConfig, ticket: Ticket, task: Task, store: Store) -> tuple[list[Row], Alike]:
    """Return the rows of a replicate, and by mode the groups of values that make no difference."""
    model, device = ticket.build(allow_empty=True), store.device
    masks, todo = ticket.masks, networks(config, len(ticket.masks), ticket.seed)

    def network(one: Network) -> nn.Module:
        members = [valued(model, masks, values, signed=one.signed, biases=config.biases) for values in one.values]
        return (Ensemble(members) if len(members) > 1 else members[0]).to(device).eval()

    def measure(number: int) -> Measured:
        made = network(todo[number])
        test = task.evaluate(made, "test", device)
        seen = task.evaluate(made, "validation", device) if task.has_validation else {}
        return Measured(test[task.metric.name], test.get("loss"), seen.get(task.metric.name))

    specification = {
        "masks": masks_sha256(masks),
        "weights": state_sha256(ticket.rewind_state),
        "task": task.identity,
        "networks": [[one.mode, [list(values) for values in one.values]] for one in todo],
        "biases": config.biases,
        "count": len(todo),
    }
    measured, _ = store.remember_rows("weight-agnostic", specification, Measured, measure, count=len(todo))
    labels = {"study": "weight-agnostic", "level": ticket.level, "sparsity": ticket.sparsity, "seed": ticket.seed}
    rows: list[Row] = []
    for one, numbers in zip(todo, measured, strict=True):
        values = list(one.values[0]) if len(one.values) == 1 else None
        pairs = {f"test_{task.metric.name}": numbers.test, "test_loss": numbers.test_loss}
        pairs |= {f"validation_{task.metric.name}": numbers.validation}
        about = {**labels, "mode": one.mode, "values": values}
        rows += [{**about, "metric": key, "value": value} for key, value in pairs.items() if value is not None]
    return rows, {mode: _alike(model, ticket, config, signed=mode == "signed") for mode in ("shared", "signed")}


def _alike(model: nn.Module, ticket: Ticket, config: WeightAgnosticConfig, *, signed: bool) -> list[list[float]]:
    """Return groups of values between which the network's outputs differ by a positive factor alone."""
    masks, stated = ticket.masks, ticket.config.architecture
    try:
        inputs = example_inputs(stated.library, stated.name, stated.kwargs)
    except ModelError:
        return []
    members = [
        valued(model, masks, (value,) * len(masks), signed=signed, biases=config.biases) for value in config.values
    ]
    groups = like_each_other(members, inputs[""].shape[1:]) if "" in inputs else []
    return [[config.values[number] for number in group] for group in groups]


def _tables(rows: list[Row], metric: str) -> tuple[Table, ...]:
    lines: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["mode"] in ("shared", "signed") and row["metric"] == metric:
            lines.setdefault(f"{row['values'][0]:g}", {}).setdefault(f"{row['mode']} values", []).append(row["value"])
    caption = f"{describe([metric])} with one value for all kept weights, without training"
    return table_of(caption, "value", lines, lambda _, value: show(metric, value))


def _curve(rows: list[Row], mode: str, metric: str) -> list[tuple[float, float]]:
    by_value: dict[float, list[float]] = {}
    for row in rows:
        if (row["mode"], row["metric"]) == (mode, metric):
            by_value.setdefault(row["values"][0], []).append(row["value"])
    return [(value, statistics.fmean(numbers)) for value, numbers in by_value.items()]


def _text(rows: list[Row], alike: Alike, task: Task, metric: str) -> str:
    parts = []
    for mode in ("shared", "signed"):
        curve = dict(_curve(rows, mode, metric))
        if not curve:
            continue
        groups = alike.get(mode, [])
        groups = sorted([*groups, *([value] for value in curve if not any(value in group for group in groups))])
        told = "; ".join(
            f"{curve[group[0]]:.4f} at {', '.join(f'{value:g}' for value in group)}"
            + f" ({INVARIANT})" * (len(group) > 1)
            for group in groups
        )
        name = metric.replace("_", " ").capitalize()
        parts.append(f"{name} with {mode} values: {told}; {_of_all(rows, mode, metric)}.")
    for mode in ("layers", "signed layers"):
        if any(row["mode"] == mode for row in rows):
            said = "the signs and " * (mode != "layers") + "a value of its own for each layer"
            parts.append(f"With {said}: {_of_all(rows, mode, metric)}.")
    if any(alike.values()):
        parts.append(
            "Equal numbers that are invariant by homogeneity are no finding: biases are 0 and activations ReLU."
        )
    where = "validation split" if task.has_validation else "test split itself, so they flatter"
    return " ".join([*parts, f"Tuned values are chosen on the {where}. No weight was trained."]) if parts else ""


def _of_all(rows: list[Row], mode: str, metric: str) -> str:
    """Return mean, minimum, the tuned network's number and the ensemble's, means over replicates."""
    chosen_by = metric.replace("test_", "validation_")
    tuned, means, least = [], [], []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        own = [row for row in rows if (row["seed"], row["mode"]) == (seed, mode)]
        tests = [row["value"] for row in own if row["metric"] == metric]
        by = [row["value"] for row in own if row["metric"] == chosen_by] or tests
        tuned.append(tests[max(range(len(by)), key=by.__getitem__)])
        means.append(statistics.fmean(tests))
        least.append(min(tests))
    together = [row["value"] for row in rows if (row["mode"], row["metric"]) == (f"{mode} ensemble", metric)]
    losses = [row["value"] for row in rows if (row["mode"], row["metric"]) == (mode, "test_loss")]
    words = f"mean {statistics.fmean(means):.4f}, minimum {min(least):.4f}, tuned {statistics.fmean(tuned):.4f}"
    words += f", mean loss {statistics.fmean(losses):.2f}" if losses else ""
    return words + (f", ensemble {statistics.fmean(together):.4f}" if together else "")
