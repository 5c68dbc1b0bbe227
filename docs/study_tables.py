"""Tables and claims of the studies in docs/finders.md, from the rows that `ticketzoo study` writes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from finder_claims import GUESS, ZHOU, BySeed, Claim, minus
from finder_tables import shown

from ticketzoo.evaluation.statistics import summarise
from ticketzoo.studies import double_descent, early, grokking, perturbed, tangent
from ticketzoo.studies.run import draw
from ticketzoo.studies.study import Outcome
from ticketzoo.studies.subset_sum import slope

Row = Mapping[str, Any]
ACCURACY = "test_accuracy"


def subset_sum(rows: Sequence[Row]) -> str:
    """The network by how many random numbers stand for each weight; the slope of the error of targets."""
    network: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["part"] == "network":
            network[row["n"]][row["metric"]].append(row["value"])
    heads = "n | median error of a target | of a weight | largest of a weight | weights off by more than 0.01"
    lines = [f"| {heads} | random weights | kept | test accuracy (%) |", "|--:|" + "--:|" * 7]
    targets = {row["n"]: row["value"] for row in targets_of(rows)}
    for count, found in sorted(network.items()):
        mean = {metric: fmean(values) for metric, values in found.items()}
        if not count:
            lines.append(f"| *trained* |  |  |  |  |  |  | {100 * mean[ACCURACY]:.2f} |")
            continue
        errors = f"{targets[count]:.1e} | {mean['median_error']:.1e} | {mean['largest_error']:.1e}"
        sizes = f"{mean['missed']:.2%} | {mean['random_weights']:,.0f} | {mean['kept']:,.0f}"
        lines.append(f"| {count} | {errors} | {sizes} | {100 * mean[ACCURACY]:.2f} |")
    single = ", ".join(f"{row['value']:.1e} of {row['n']:,}" for row in rows if row["part"] == "single")
    said = f"From n = 8 on the median error of targets changes by {bits(rows):.2f} bits with each number more."
    return "\n".join([*lines, "", f"{said} The single closest number: {single}."])


def targets_of(rows: Sequence[Row]) -> list[Row]:
    """The rows of the median error of targets."""
    return [row for row in rows if (row["part"], row["metric"]) == ("targets", "median_error")]


def bits(rows: Sequence[Row]) -> float:
    """By how many bits the median error of targets changes with each number, from eight on."""
    return slope({row["n"]: row["value"] for row in targets_of(rows) if row["n"] >= 8})


def subset_sum_claims(rows: Sequence[Row]) -> Iterator[Claim]:
    """The network against the trained one, and the slope."""
    network: dict[int, dict[int, float]] = defaultdict(dict)
    for row in rows:
        if (row["part"], row["metric"]) == ("network", ACCURACY):
            network[row["n"]][row["seed"]] = row["value"]
    lost = minus(network[max(network)], network[0])
    what, said = f"subsets of {max(network)} numbers minus trained", "0 with 21 numbers, Pensia et al. 2020"
    yield Claim(what, said, lost, "none after it", -0.0005, signed=True)
    what, said = "bits of error with each number more", "-1.1 to -0.85, asked for"
    yield Claim(what, said, {0: bits(rows)}, "none", -1.1, -0.85, scale=1, signed=True)


def freeze(rows: Sequence[Row]) -> str:
    """Actions by sparsity, and at the last level minus zero, seed by seed."""
    found = by_action(rows)
    sparsities = sorted({sparsity for _, sparsity in found})
    heads = " | ".join(f"{one:.1%}" for one in sparsities)
    lines = [f"| action | {heads} | minus `zero` at {sparsities[-1]:.1%} |", "|---|" + "--:|" * (len(sparsities) + 1)]
    for action in dict.fromkeys(action for action, _ in found):
        cells = [shown(summarise(list(found[action, one].values()))) for one in sparsities]
        lead = minus(found[action, sparsities[-1]], found["zero", sparsities[-1]])
        less = "" if action == "zero" else shown(summarise(list(lead.values())), signed=True)
        lines.append(f"| `{action}` | {' | '.join(cells)} | {less} |")
    return "\n".join(lines)


def by_action(rows: Sequence[Row]) -> dict[tuple[str, float], dict[int, float]]:
    """The test accuracy of each seed by action and sparsity."""
    found: dict[tuple[str, float], dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row["metric"] == ACCURACY:
            found[row["action"], row["sparsity"]][row["seed"]] = row["value"]
    return dict(found)


def freeze_claims(rows: Sequence[Row], budget: str) -> Iterator[Claim]:
    """Mask-0 actions at the last level."""
    found = by_action(rows)
    last = max(sparsity for _, sparsity in found)
    for one, other in (("zero", "freeze"), ("freeze-away", "zero"), ("freeze-away-all", "zero")):
        lead = minus(found[one, last], found[other, last])
        what = f"pruned weights, {last:.0%}: `{one}` minus `{other}`"
        why = "see [freeze](#freeze)" if one == "freeze-away-all" else ""
        yield Claim(what, f"not below 0, {ZHOU}", lead, budget, 0, why=why, signed=True)


MODES = {
    "shared": "one value",
    "signed": "one value times the sign",
    "layers": "a value for each layer",
    "signed layers": "a value for each layer, times the sign",
}


def weight_agnostic(rows: Sequence[Row]) -> str:
    """Ways to give kept weights values: the mean over values, the least, the tuned one and the ensemble."""
    lines = ["| weights | mean | least | tuned on validation | ensemble |", "|---|--:|--:|--:|--:|"]
    for mode, words in MODES.items():
        own, validation = accuracies(rows, mode), accuracies(rows, mode, "validation_accuracy")
        columns: list[BySeed] = [
            {seed: fmean(values) for seed, values in own.items()},
            {seed: min(values) for seed, values in own.items()},
            {seed: values[validation[seed].index(max(validation[seed]))] for seed, values in own.items()},
            {seed: values[0] for seed, values in accuracies(rows, f"{mode} ensemble").items()},
        ]
        cells = [shown(summarise(list(column.values()))) for column in columns]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def accuracies(rows: Sequence[Row], mode: str, metric: str = ACCURACY) -> dict[int, list[float]]:
    """The numbers of a mode's networks by seed, in the order of the rows."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if (row["mode"], row["metric"]) == (mode, metric):
            found[row["seed"]].append(row["value"])
    return dict(found)


def weight_agnostic_claims(rows: Sequence[Row]) -> Iterator[Claim]:
    """Each weight at its sign times 1, and with all signs turned round."""
    for value, bounds, what, said in (
        (1.0, (0.86, 1.0), "as they are", f"86, {ZHOU}"),
        (-1.0, (0.0, GUESS), "turned round", "below the best guess, asked for"),
    ):
        signed = [row for row in rows if row["mode"] == "signed" and row["values"][0] == value]
        found = {seed: values[0] for seed, values in accuracies(signed, "signed").items()}
        yield Claim(f"signs of an IMP ticket {what}, one magnitude, untrained", said, found, "none after it", *bounds)


def of_early(rows: Sequence[Row], name: str, image: Path) -> str:
    """Weights of dense training after 0, 1, 2, 4, ... iterations, in the study's own words; draws its figure."""
    return _told(early.outcome_of([dict(row) for row in rows], ACCURACY), name, image)


def of_perturbed(rows: Sequence[Row], name: str, image: Path) -> str:
    """Perturbed starts by the size of the change, in the study's own words; draws its figure."""
    return _told(perturbed.outcome_of([dict(row) for row in rows], ACCURACY), name, image)


def of_double_descent(rows: Sequence[Row], name: str, image: Path) -> str:
    """Levels of networks trained on wrong labels, in the study's own words; draws its figure."""
    return _told(double_descent.outcome_of([dict(row) for row in rows], ACCURACY), name, image)


def of_grokking(rows: Sequence[Row], name: str, image: Path) -> str:
    """Iterations until networks fit and until they generalise, in the study's own words; draws its figure."""
    return _told(grokking.outcome_of([dict(row) for row in rows]), name, image)


def of_tangent(rows: Sequence[Row], name: str, image: Path) -> str:
    """Tickets of ordinary and of linear training, in the study's own words; draws its figure."""
    return _told(tangent.outcome_of([dict(row) for row in rows], ACCURACY), name, image)


def _told(outcome: Outcome, name: str, image: Path) -> str:
    draw(name, outcome, image)
    return "\n\n".join(
        [*(table.markdown() for table in outcome.tables), outcome.text, f"![{name}](images/{image.name})"]
    )


def perturbed_claims(rows: Sequence[Row], network: str, budget: str) -> Iterator[Claim]:
    """The rank correlation of the size of a change and accuracy, level by level."""
    for level in sorted({row["level"] for row in rows if row["level"]}):
        found = perturbed.rank_correlation([dict(row) for row in rows], level, ACCURACY)
        what = f"perturbed starts {network}, level {level}: rank correlation of effective std and accuracy"
        said = "accuracy falls with it, Frankle et al. 2020b; at most -0.7, asked for"
        assert found is not None, "one size, or one accuracy, alone"
        seeds = len({row["seed"] for row in rows})
        yield Claim(what, said, {0: found}, budget, -1.0, -0.7, scale=1, signed=True, seeds=seeds)
