"""The strong lottery ticket hypothesis by subset sums: every weight of a network as a subset of random ones."""

import math
import statistics
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.metrics import describe, show
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.run import Search
from ticketzoo.masks.digests import state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.runs.store import Job, Store
from ticketzoo.seeds import derive_seed
from ticketzoo.studies.closest import MOST, closest_sums
from ticketzoo.studies.study import STUDIES, Curve, NetworkStudyConfig, Outcome, Row, StudyRecipe, is_known
from ticketzoo.studies.tables import table_of
from ticketzoo.training.parametrisation import NOTHING

EPSILON = 0.01
"""Error of a weight within which it counts as hit, as in Pensia et al. 2020."""

SINGLE = (10, 100, 1000, 10_000)
"""Numbers of which the single closest one is taken, for comparison."""

Pool = Literal["products", "uniform"]


class SubsetSumConfig(NetworkStudyConfig):
    """The keys of the study `subset-sum`.

    Attributes:
        name: name of the study.
        counts: numbers of random weights that stand for one weight; 24 at most.
        pool: `products` draws what two random layers give, a weight of each multiplied; `uniform` draws each directly.
        draws: sets of random numbers that targets between -0.5 and 0.5 are approximated with, beside the network.
        targets: how many such targets each of those sets has.
    """

    name: str = "subset-sum"
    counts: Annotated[tuple[Annotated[int, Field(ge=1, le=MOST)], ...], Field(min_length=1)] = (4, 8, 12, 15)
    pool: Pool = "products"
    draws: PositiveInt = 20
    targets: PositiveInt = 200


def drawn(pool: Pool, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return random numbers of `shape`, float64: uniform in [-1, 1], or products of two such."""
    first = 2 * torch.rand(shape, dtype=torch.float64, generator=generator) - 1
    if pool == "uniform":
        return first
    return first * (2 * torch.rand(shape, dtype=torch.float64, generator=generator) - 1)


def target_errors(pool: Pool, count: int, draws: int, targets: int, seed: int) -> Tensor:
    """Return errors [draws, targets] of the closest subset sums of `count` numbers, one set of them for each draw.

    Targets are uniform in [-0.5, 0.5].
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "targets", pool, count))
    numbers = drawn(pool, (draws, count), generator)
    goals = torch.rand((draws, targets), dtype=torch.float64, generator=generator) - 0.5
    sums, _ = closest_sums(numbers.repeat_interleave(targets, 0), goals.flatten())
    return (sums - goals.flatten()).abs().view(draws, targets)


def single_errors(count: int, draws: int, targets: int, seed: int) -> Tensor:
    """Return errors [draws, targets] of the one of `count` uniform numbers that is closest to each target.

    That is what one unit chosen of many gives (Malach et al. 2020): the error falls with their number, not its power.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "single", count))
    numbers = drawn("uniform", (draws, count), generator).sort(1).values
    goals = torch.rand((draws, targets), dtype=torch.float64, generator=generator) - 0.5
    above = torch.searchsorted(numbers, goals).clamp(max=count - 1)
    below = (above - 1).clamp(min=0)
    return torch.minimum((numbers.gather(1, above) - goals).abs(), (numbers.gather(1, below) - goals).abs())


def slope(medians: Mapping[int, float]) -> float:
    """Return by how many bits the error changes with each further number: the slope of log2 of the medians."""
    counts, bits = list(medians), [math.log2(error) for error in medians.values()]
    return statistics.linear_regression(counts, bits).slope if len(counts) > 1 else math.nan


def check_inputs(search: Search, config: SubsetSumConfig) -> None:
    """Raise RecipeError where a layer gets an input below 0: the first random layer would not let it through.

    Looked at is a batch of training examples, in the network before training.
    """
    lab = search.lab(config.seeds[0])
    model = lab.probe(lab.initial, search.dense).model()
    device = lab.cells.device
    least: dict[str, float] = {}

    def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        least[name] = min(least.get(name, 0.0), float(inputs[0].min()))

    for name in search.dense:
        layer = name.rpartition(".")[0]
        model.get_submodule(layer).register_forward_pre_hook(partial(note, layer))
    with torch.no_grad():
        search.task.loss(model, next(iter(search.task.batches(config.training.batch_size, 0, 0, 1, device))))
    for layer, value in least.items():
        if value < 0:
            what = f"{layer} gets inputs down to {value:.3g}, and the random layers pass on those above 0 alone"
            raise RecipeError(f"study: {what}: set task.normalize to unit, and take a network of ReLUs")


def random_layers(weights: State, masks: Masks, count: int, pool: Pool, seed: int) -> State:
    """Return the weights that masks of random layers give: float64 sums, and under `NAME/kept` how many stay of each.

    A weight w from input i to output o becomes the sum over units k of a[o, i, k] b[i, k], for the units that the mask
    keeps for o. The first random layer, b, is shared by all outputs, and only units with b > 0 are counted, as inputs
    are not negative; with pool `uniform` it is 1. The second, a, is drawn for each weight.
    """
    found: State = {}
    for name in masks:
        generator = torch.Generator().manual_seed(derive_seed(seed, "random-layers", name, count))
        weight = weights[name].double()
        second = 2 * torch.rand((*weight.shape, count), dtype=torch.float64, generator=generator) - 1
        if pool == "products":
            shape = [1, weight.shape[1], *[1] * (weight.dim() - 2), count]
            second = second * torch.rand(shape, dtype=torch.float64, generator=generator)
        sums, kept = closest_sums(second.view(-1, count), weight.flatten())
        found |= {name: sums.view(weight.shape), f"{name}/kept": kept.view(weight.shape)}
    return found


@STUDIES.add(
    "subset-sum",
    config=SubsetSumConfig,
    cite="Pensia et al. 2020; Malach et al. 2020",
    words="every weight of a trained network as a subset of random ones",
)
def study(recipe: StudyRecipe, store: Store) -> Outcome:
    """Approximate targets, and all weights of a trained network, by subsets of n random numbers, for each n.

    Raises:
        RecipeError: a layer with masked weights gets inputs below 0.
    """
    config = recipe.study
    assert isinstance(config, SubsetSumConfig)
    search = config.search(recipe.name, store)
    check_inputs(search, config)
    store.progress.planned(len(config.seeds) * (1 + len(config.counts)))
    rows: list[Row] = []
    for seed in config.seeds:
        lab = search.lab(seed)
        trained = lab.train(search.dense, lab.initial)
        if is_known(trained.final):
            rows += _network(search, seed, trained.final, trained.record.final, config, store)
    for count in config.counts:
        errors = target_errors(config.pool, count, config.draws, config.targets, config.seeds[0])
        labels = {"study": "subset-sum", "part": "targets", "pool": config.pool, "n": count, "seed": config.seeds[0]}
        shares = {"median_error": errors.median(), "largest_error": errors.max()}
        rows += [{**labels, "metric": key, "value": float(value)} for key, value in shares.items()]
    for count in SINGLE:
        errors = single_errors(count, config.draws, config.targets, config.seeds[0])
        labels = {"study": "subset-sum", "part": "single", "pool": "uniform", "n": count, "seed": config.seeds[0]}
        rows.append({**labels, "metric": "median_error", "value": float(errors.median())})
    pairs = {"targets": "median_error", "network": "median_error"}
    curves = [Curve(f"{part}: median error", _curve(rows, part, metric)) for part, metric in pairs.items()]
    curves.append(Curve("network: largest error", _curve(rows, "network", "largest_error")))
    axes = ("random weights for each weight, n", "error of a weight")
    shown = [one for one in curves if one.points]
    return Outcome(rows, _text(rows, config), shown, axes, log=True, tables=_tables(rows))


def _network(
    search: Search, seed: int, weights: State, final: Mapping[str, float], config: SubsetSumConfig, store: Store
) -> list[Row]:
    labels = {"study": "subset-sum", "part": "network", "pool": config.pool, "seed": seed}
    rows: list[Row] = [
        {**labels, "n": 0, "metric": key, "value": final[key]} for key in sorted(final) if key.startswith("test_")
    ]
    for count in config.counts:
        own = {name: weights[name] for name in search.dense}
        specification = {"weights": state_sha256(own), "n": count, "pool": config.pool, "seed": seed}
        solve = partial(random_layers, weights, search.dense, count, config.pool, seed)
        found = store.remember("subset-sum", specification, solve)
        state = weights | {name: found[name].to(weights[name].dtype) for name in own}
        job = Job(search.model.architecture, state, {}, search.task, config.training, seed, learn=NOTHING)
        measured = store.run(job, f"seed {seed} n={count}").record.final
        errors = torch.cat([(found[name] - own[name].double()).abs().flatten() for name in own])
        kept = sum(int(found[f"{name}/kept"].sum()) for name in own)
        shares = {
            "median_error": float(errors.median()),
            "largest_error": float(errors.max()),
            "missed": float((errors > EPSILON).double().mean()),
            "random_weights": errors.numel() * count,
            "kept": kept,
        }
        shares |= {key: measured[key] for key in sorted(measured) if key.startswith("test_")}
        rows += [{**labels, "n": count, "metric": key, "value": value} for key, value in shares.items()]
    return rows


def _curve(rows: list[Row], part: str, metric: str) -> list[tuple[float, float]]:
    by_count: dict[int, list[float]] = {}
    for row in rows:
        if (row["part"], row["metric"]) == (part, metric) and row["n"]:
            by_count.setdefault(row["n"], []).append(row["value"])
    return [(count, statistics.fmean(values)) for count, values in by_count.items()]


def _tables(rows: list[Row]) -> tuple[Table, ...]:
    named = {"median_error": "median error", "largest_error": "largest error", "missed": f"off by over {EPSILON} (%)"}
    named |= {row["metric"]: describe([row["metric"]]) for row in rows if row["metric"].startswith("test_")}
    metric_of, lines = {words: metric for metric, words in named.items()}, dict[str, dict[str, list[float]]]()
    for row in sorted(rows, key=lambda row: int(row["n"])):
        if row["part"] == "network" and row["metric"] in named:
            cells = lines.setdefault(str(row["n"] or "trained"), {})
            cells.setdefault(named[row["metric"]], []).append(row["value"])

    def shown(column: str, value: float) -> str:
        if column.endswith("error"):
            return f"{value:.1e}"
        return f"{100 * value:.2f}" if metric_of[column] == "missed" else show(metric_of[column], value)

    return table_of("The network with each weight a subset of n random numbers", "n", lines, shown)


def _text(rows: list[Row], config: SubsetSumConfig) -> str:
    medians = {int(count): error for count, error in _curve(rows, "targets", "median_error")}
    bits = slope({count: error for count, error in medians.items() if count >= 8})
    told = ", ".join(f"{error:.1e} with n={count}" for count, error in medians.items())
    text = f"Median error of targets in [-0.5, 0.5]: {told}"
    text += "." if math.isnan(bits) else f"; from n=8 on it changes by {bits:.2f} bits with each number."
    single = ", ".join(f"{error:.1e} of {count:,.0f}" for count, error in _curve(rows, "single", "median_error"))
    text += f" The single closest number: {single}."
    metric = next((row["metric"] for row in rows if row["part"] == "network" and row["n"] == 0), "")
    if not metric:
        return text
    dense = statistics.fmean(row["value"] for row in rows if row["n"] == 0 and row["metric"] == metric)
    means = {key: dict(_curve(rows, "network", key)) for key in (metric, "largest_error", "missed", "kept")}
    said = [
        f"{means[metric][n]:.4f} with n={n:.0f} (largest error {means['largest_error'][n]:.1e}, "
        f"{means['missed'][n]:.2%} of the weights off by more than {EPSILON})"
        for n in means[metric]
    ]
    name = metric.replace("_", " ").capitalize()
    return f"{text} {name} of the trained network: {dense:.4f}; of subsets of random weights: {'; '.join(said)}."
