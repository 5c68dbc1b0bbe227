"""The table of docs/finders.md that holds published figures against what the shipped code measured, all from rows."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from finder_tables import Place, best_on_validation, by_place

from ticketzoo.evaluation.statistics import Summary, summarise

Row = Mapping[str, Any]
BySeed = Mapping[int, float]
Tickets = Callable[[str], "Shipped | None"]
ZHOU = "Zhou et al. 2019"
AGAIN = "their code, run by others"
SHORT = "trained longer there"
GUESS = 0.1135
"""The largest class among MNIST's test images."""


class Shipped(NamedTuple):
    """A ticket of the registry: its rows on its source, and the length of the training that found it."""

    rows: Sequence[Row]
    budget: str


class Claim(NamedTuple):
    """A claim: what is published or asked for, what was measured with each seed, and the bounds that meet it."""

    claim: str
    published: str
    values: BySeed
    budget: str
    least: float = -float("inf")
    most: float = float("inf")
    why: str = ""
    """Of a claim that is not met."""
    scale: float = 100
    signed: bool = False
    seeds: int | None = None
    """Those that a single value is made from, such as a rank correlation of means."""


def table(claims: Sequence[Claim]) -> str:
    """The claims, line by line."""
    lines = ["| claim | published, or asked for | here | seeds | training | met |", "|---|---|--:|--:|---|---|"]
    for one in claims:
        summary = summarise(list(one.values.values()))
        here = number(summary.mean, one) + (f" ± {one.scale * summary.half_width:.2f}" if summary.half_width else "")
        seeds = one.seeds or summary.n
        lines.append(f"| {one.claim} | {one.published} | {here} | {seeds} | {one.budget} | {met(one, summary)} |")
    return "\n".join(lines)


def number(value: float, one: Claim) -> str:
    """A number of the table, in points unless the claim says otherwise."""
    return f"{one.scale * value:{'+' if one.signed else ''}.2f}"


def met(one: Claim, summary: Summary) -> str:
    """Tell whether the 95% interval of the mean lies within the bounds, holds one, or lies beyond."""
    low, high = summary.t_interval
    if low >= one.least and high <= one.most:
        return "yes"
    if high < one.least or low > one.most:
        off = one.least - summary.mean if high < one.least else summary.mean - one.most
        return f"no, by {one.scale * off:.2f}" + (f": {one.why}" if one.why else "")
    inside = one.least <= summary.mean <= one.most
    return "in the mean; the interval reaches beyond" if inside else "not in the mean; the interval reaches it"


def minus(one: BySeed, other: BySeed) -> BySeed:
    """The difference, seed by seed."""
    return {seed: one[seed] - other[seed] for seed in one if seed in other}


def untrained(rows: Sequence[Row]) -> Iterator[Claim]:
    """Criterion supermasks (benchmarks/supermasks.py)."""
    found = best_on_validation(rows)
    lengths = list(dict.fromkeys(at for at, *_ in found))
    last, early = lengths[-1], "1000it"
    large, same = "magnitude", "large-final-same-sign"

    def trained(at: str) -> str:
        return f"{int(at[:-2]):,} iterations of Adam"

    yield Claim(f"untrained, `{large}`, as drawn", f"36.2, {AGAIN}", found[last, large, False], trained(last), 0.362)
    yield Claim(f"untrained, `{same}`, as drawn", f"76.3, {AGAIN}", found[last, same, False], trained(last), 0.763)
    yield Claim(f"untrained, `{same}`, one magnitude", f"86, {ZHOU}", found[last, same, True], trained(last), 0.86)
    yield Claim("the same, asked for", "78", found[last, same, True], trained(last), 0.78)
    yield Claim("the same, scored early, asked for", "88", found[early, same, True], trained(early), 0.88)
    yield Claim(
        f"untrained, `{same}` minus `{large}`, as drawn", f"+40.1, {AGAIN}; asked for: above 0",
        minus(found[last, same, False], found[last, large, False]), trained(last), 0, signed=True,
    )  # fmt: skip
    yield Claim(
        f"untrained, `{large}` scored early minus scored at the end", f"+28.3, {AGAIN}; asked for: above 0",
        minus(found[early, large, False], found[last, large, False]), "as above", 0, signed=True,
    )  # fmt: skip


TRAINED = {
    "imp-layerwise": ("magnitude", 98.4, 97.6),
    "imp-large-final-same-sign": ("large-final-same-sign", 98.4, 97.7),
    "imp-magnitude-increase": ("magnitude-increase", 98.3, 97.5),
    "imp-movement": ("movement", 98.2, 97.3),
}
"""Tickets of MNIST: the criterion, its best accuracy over levels and that at 1.8% kept, in the run of others."""


def criteria(tickets: Tickets) -> Iterator[Claim]:
    """Criteria in iterative pruning."""
    for name, (criterion, best, sparse) in TRAINED.items():
        ticket = tickets(f"lenet-300-100.mnist-{name}")
        if ticket is None:
            continue
        last = max(row["level"] for row in ticket.rows)
        kept = next(1 - row["sparsity"] for row in ticket.rows if row["level"] == last)
        levels = {level: of_arm(ticket, "ticket", level) for level in range(1, last + 1)}
        chosen = {level: fmean(of_arm(ticket, "ticket", level, "validation_accuracy").values()) for level in levels}
        top = levels[max(chosen, key=chosen.__getitem__)]
        yield Claim(f"`{criterion}`, best level", f"{best}, {AGAIN}", top, ticket.budget, best / 100, why=SHORT)
        yield Claim(
            f"`{criterion}`, {kept:.1%} kept", f"{sparse} with 1.8% kept, {AGAIN}", levels[last], ticket.budget,
            sparse / 100, why=SHORT,
        )  # fmt: skip


def of_arm(ticket: Shipped, arm: str, level: int | None = None, metric: str = "test_accuracy") -> BySeed:
    """The numbers of an arm at the end of training, by seed, draws averaged; by default at the last level."""
    level = max(row["level"] for row in ticket.rows) if level is None else level
    found: dict[int, list[float]] = defaultdict(list)
    for row in ticket.rows:
        if (row["arm"], row["level"], row["metric"], row["at"]) == (arm, level, metric, "final"):
            found[row["seed"]].append(row["value"])
    return {seed: fmean(values) for seed, values in found.items()}


def masks_that_are_learned(tickets: Tickets) -> Iterator[Claim]:
    """Bernoulli, edge-popup and biprop."""
    bernoulli, popup, biprop = (
        tickets(f"lenet-300-100.mnist-{name}") for name in ("bernoulli", "edge-popup-signed", "biprop")
    )
    if bernoulli:
        masked, words = of_arm(bernoulli, "ticket"), "`bernoulli`, one magnitude, rescaled"
        yield Claim(words, f"98.0 after 2,000 epochs, {ZHOU}", masked, bernoulli.budget, 0.98, why=SHORT)
        yield Claim("the same, asked for", "96.5 after 10 epochs", masked, bernoulli.budget, 0.965)
        sampled = of_arm(bernoulli, "ticket", metric="test_sampled_accuracy")
        if sampled:
            what = "its mask minus the mean of sampled ones"
            yield Claim(what, "at least as good", minus(masked, sampled), bernoulli.budget, 0, signed=True)
    if popup:
        found = of_arm(popup, "ticket")
        yield Claim("`edge-popup`, one magnitude, 30% kept, asked for", "97.4", found, popup.budget, 0.974)
    if biprop:
        found = of_arm(biprop, "ticket")
        yield Claim("`biprop`, 50% kept, asked for", "95.1", found, biprop.budget, 0.951)
    for name, one, source in (
        ("bernoulli", bernoulli, ZHOU),
        ("edge-popup", popup, "Ramanujan et al. 2020"),
        ("biprop", biprop, "Diffenderfer & Kailkhura 2021"),
    ):
        if one is None:
            continue
        masked, dense = of_arm(one, "ticket"), of_arm(one, "dense", 0)
        why = f"wider networks, and {SHORT}" if one is not bernoulli else ""
        lead, said = minus(masked, dense), f"not below 0, {source}"
        yield Claim(f"`{name}` minus trained dense", said, lead, one.budget, 0, why=why, signed=True)
        lead = minus(masked, of_arm(one, "random_mask"))
        yield Claim(f"`{name}` minus a random mask", "above 50, asked for", lead, one.budget, 0.5, signed=True)
        flipped, said = of_arm(one, "flipped_signs"), "below the best guess, asked for"
        yield Claim(f"`{name}`, all signs flipped", said, flipped, one.budget, most=GUESS)
    if popup and biprop:
        lead = minus(of_arm(biprop, "ticket"), of_arm(popup, "ticket"))
        what = "`biprop` minus `edge-popup`, each at its density"
        yield Claim(what, "within 2 points", lead, biprop.budget, -0.02, 0.02, signed=True)


def masks_of_drawn_weights(rows: Sequence[Row]) -> Iterator[Claim]:
    """Bernoulli masks of weights as they were drawn, without rescaling."""
    plain = Shipped(rows, "20 epochs of SGD")
    for metric, what in (("test_accuracy", "its mask"), ("test_sampled_accuracy", "the mean of sampled ones")):
        found, words = of_arm(plain, "ticket", metric=metric), f"`bernoulli`, weights as drawn, {what}"
        yield Claim(words, f"95.3, {ZHOU}", found, plain.budget, 0.953, why=SHORT)
        yield Claim("the same, asked for", "92.5 after 20 epochs", found, plain.budget, 0.925)


FRANKLE = "Frankle et al. 2021"
BUDGET = "4 epochs of SGD"
ARMS = (
    ("shuffled_mask", "nothing lost", 0, float("inf"), "borders are black"),
    ("random_reinit", "nothing lost", 0, float("inf"), ""),
    ("inverted_mask", "below 0", -float("inf"), 0, ""),
)
"""Sanity arms: what is said of arm minus ticket, the bounds of that, and why it need not be so here."""


def before_training(rows: Sequence[Row]) -> Iterator[Claim]:
    """Pruning at initialisation and its sanity arms (benchmarks/finders.py)."""
    found = by_place(rows)

    def at(finder: str, sparsity: float, arm: str = "ticket") -> BySeed:
        return found.get(Place(finder, sparsity, arm), {})

    for sparsity, published in ((0.95, 98.4), (0.98, 97.6)):
        values, source = at("snip", sparsity), f"{published}, Lee et al. 2019, table 1"
        yield Claim(f"`snip`, {sparsity:.0%}", source, values, BUDGET, published / 100, why=SHORT)
    if values := at("obd", 0.9):
        yield Claim("`obd`, 90%", "98.0 at 92%, as Lee et al. 2019 quote", values, BUDGET, 0.98, why=SHORT)
    scored = ("snip", "grasp", "grasp-abs", "synflow", "magnitude-at-init", "phew")
    for finder in scored:
        if values := minus(at("imp", 0.98), at(finder, 0.98)):
            yield Claim(f"`imp` minus `{finder}`, 98%", f"above 0, {FRANKLE}", values, BUDGET, 0, signed=True)
    for finder, other, source in (
        ("synflow", "snip", "Tanaka et al. 2020"),
        ("phew", "synflow", "Patil & Dovrolis 2021"),
        ("snip-iterated", "snip", "de Jorge et al. 2021"),
        ("grasp-abs", "grasp", FRANKLE),
        ("random-erk", "random-uniform", "Evci et al. 2020"),
    ):
        if values := minus(at(finder, 0.98), at(other, 0.98)):
            yield Claim(f"`{finder}` minus `{other}`, 98%", f"above 0, {source}", values, BUDGET, 0, signed=True)
    for arm, said, least, most, why in ARMS:
        for finder in scored:
            if values := minus(at(finder, 0.98, arm), at(finder, 0.98)):
                what = f"`{finder}`, 98%, `{arm}` minus ticket"
                yield Claim(what, f"{said}, {FRANKLE}", values, BUDGET, least, most, why, signed=True)


def at_init(tickets: Tickets) -> Iterator[Claim]:
    """Tickets pruned before training, against chance at the densities of ERK."""
    chance = tickets("lenet-300-100.mnist-random-erk")
    for finder in ("grasp", "synflow", "phew"):
        ticket = tickets(f"lenet-300-100.mnist-{finder}")
        if ticket and chance:
            lead = minus(of_arm(ticket, "ticket"), of_arm(chance, "ticket"))
            yield Claim(f"`{finder}` minus `random-erk`, 95%", "above 0", lead, ticket.budget, 0, signed=True)


def filters(tickets: Tickets) -> Iterator[Claim]:
    """Whole filters against the controls, at the sparsest level where they were measured."""
    if (ticket := tickets("lenet-5.mnist-filters")) is None:
        return
    last = max(row["level"] for row in ticket.rows if row["arm"] == "small_dense")
    own = of_arm(ticket, "ticket", last)
    for arm, source in (("random_filters", "Mittal et al. 2018"), ("small_dense", "Liu et al. 2019")):
        lead = minus(of_arm(ticket, arm, last), own)
        yield Claim(f"filters by L1, `{arm}` minus ticket", f"as good, {source}", lead, ticket.budget, 0, signed=True)
