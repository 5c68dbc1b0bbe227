"""Sentences of README.md, docs/reproductions.md and docs/transfer.md that hold measured numbers, written from rows."""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping

from ticketzoo.evaluation.statistics import Group, Row, dense_of, group_rows, paired_difference
from ticketzoo.instability.measure import Instability, instabilities
from ticketzoo.ticket.verdict import Verdict

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
Claim = tuple[str, str, str]
"""A claim, what the paper says, and what is measured here."""


def wrapped(text: str) -> str:
    """The text in lines as documents have them."""
    return textwrap.fill(text, 130, break_long_words=False, break_on_hyphens=False)


def number(count: int) -> str:
    """A number in words up to ten."""
    return WORDS[count] if count < len(WORDS) else f"{count:,}"


def listed(words: Iterable[str]) -> str:
    """Words with commas and "and"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def counted(count: int, word: str) -> str:
    """A number and a word, with the plural's s."""
    return f"{number(count)} {word}{'s' * (count != 1)}"


def frankle_2019_trials(rows: list[Row], stops: Mapping[tuple[str, int], Group], same: int, of: int) -> str:
    """The base of the figures: trials, re-initialisations, where dense stops, claims that point the paper's way."""
    kept = {row["level"]: 1 - row["sparsity"] for row in rows if row["level"]}
    draws: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for row in rows:
        if row["arm"] == "random_reinit":
            draws[row["level"]].add((row["seed"], row["draw"]))
    trials = sorted({row["seed"] for row in rows if row["level"] == max(kept)})
    came, stop = counted(len(trials), "trial"), listed(f"{value:,.0f}" for value in stops["dense", 0].by_seed.values())
    reinit = listed(f"{number(len(found))} at level {level}" for level, found in sorted(draws.items()))
    axis = listed(f"{kept[level]:.1%} at level {level}" for level in (3, 6, 7, 9, 12, 15))
    return wrapped(
        f"Levels follow the paper's axis: of the weights are kept {axis}. The paper has five trials, and three "
        f"re-initialised networks of each at a level; here {came} came to the last level, and of re-initialised "
        f"networks there are {reinit}, so the figures carry little evidence each. Of the {number(of)} differences that "
        f"have a direction in the paper {number(same)} have it here. The dense networks stop at {stop} iterations, "
        "which is what the speed-ups are divided by."
    )


def first_result(rows: list[Row], verdict: Verdict, title: str, card: str) -> str:
    """A ticket beside its controls, at the level of its verdict and at the sparsest that has them, with the labels."""
    groups = {(group.key.arm, group.key.level): group for group in group_rows(rows)}
    dense = groups["dense", 0]
    seeds = counted(len(dense.by_seed), "seed")
    lines = [
        wrapped(f"{title}, test accuracy in percent, means of {seeds} ± half of the 95% interval:"),
        "",
        "| weights removed | dense | ticket | its mask, fresh weights | its weights, random mask | verdict |",
        "|--:|--:|--:|--:|--:|---|",
    ]
    own = {level.level: level for level in verdict.levels if level.target not in verdict.transfer}
    named = next(level for level, one in own.items() if one.sparsity == verdict.sparsity)
    for level in (named, max(level for arm, level in groups if arm == "random_mask")):
        arms = [dense, *(groups[arm, level] for arm in ("ticket", "random_reinit", "random_mask"))]
        means = " | ".join(_with_interval(one) for one in arms)
        lines.append(f"| {own[level].sparsity:.1%} | {means} | *{own[level].label}* |")
    carried = {
        target: listed(f"*{one.label}* at {one.sparsity:.1%}" for one in verdict.levels if one.target == target)
        for target in verdict.transfer
    }
    said = "; ".join(f"{target}: {labels}" for target, labels in carried.items())
    rule = "[a rule whose error rates are known](docs/verdicts.md)"
    said = f"Carried to {said}. Verdicts are by {rule}; all levels are on [its card]({card})."
    return "\n".join([*lines, "", wrapped(said)])


def _with_interval(group: Group) -> str:
    half = group.summary.half_width
    return f"{100 * group.summary.mean:.2f}" + ("" if half is None else f" ± {100 * half:.2f}")


def stable_where(rows: list[Row], threshold: float) -> str:
    """The instability of each network from each step, and which are below the threshold."""
    measured = instabilities(rows)
    seeds = max(len(one.by_seed) for one in measured)
    networks: dict[str, list[Instability]] = defaultdict(list)
    for one in measured:
        networks[f"with {1 - one.sparsity:.1%} of its weights" if one.level else "dense"].append(one)
    said = []
    for name, steps in networks.items():
        values = [f"{100 * one.summary.mean:.2f} from iteration {one.rewind_step}" for one in steps]
        said.append(f"{name} {', '.join(values)}")
    above = [one for one in measured if one.summary.mean >= threshold]
    where = (
        f"All are below {100 * threshold:.0f} points"
        if not above
        else f"At {100 * threshold:.0f} points or more: "
        + listed(f"{'dense' if not one.level else 'pruned'} from iteration {one.rewind_step}" for one in above)
    )
    few = " With one seed there is no interval, so nothing is decided." if seeds == 1 else ""
    of = f"Instability in points, mean over {counted(seeds, 'seed')}, of the network"
    return wrapped(f"{of} {'; '.join(said)}. {where}.{few}")


def rewinding_words(rows_by_step: Mapping[int, list[Row]]) -> str:
    """Tickets above dense and above each control at the sparsest level, and the better rewind step."""
    tickets: dict[int, dict[int, float]] = {}
    dense: list[float] = []
    lead: dict[str, list[float]] = defaultdict(list)
    for step, rows in rows_by_step.items():
        groups = {(group.key.arm, group.key.level): group for group in group_rows(rows)}
        tickets[step] = {level: one.summary.mean for (arm, level), one in groups.items() if arm == "ticket" and level}
        last = max(tickets[step])
        dense.extend(mean - groups["dense", 0].summary.mean for mean in tickets[step].values())
        for (arm, level), group in groups.items():
            if level == last and arm.startswith("random"):
                lead[arm].append(tickets[step][last] - group.summary.mean)
    first, other = sorted(tickets)
    better = [tickets[first][level] - tickets[other][level] for level in tickets[first]]
    over = listed(f"{span(values)} points above `{arm}`" for arm, values in sorted(lead.items()))
    return wrapped(
        f"Minus dense the tickets are at {span(dense)} points over all levels, and at the sparsest level {over}. Those "
        f"rewound to iteration {first} minus those rewound to {other}: {span(better)} points, over all levels."
    )


def span(values: list[float]) -> str:
    """The least and the most of fractions, in points."""
    return f"{100 * min(values):+.2f} to {100 * max(values):+.2f}"


def encoder_words(rows: list[Row]) -> str:
    """At which shares of weights removed the ticket is above, at or below dense, by the intervals of the table."""
    groups = sorted(group_rows(rows), key=lambda group: group.key.level)
    found: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        dense = dense_of(group, groups)
        if group.key.arm != "ticket" or not group.key.level or dense is None:
            continue
        one = paired_difference(group, dense)
        if one is None or one.low is None or one.high is None:
            continue
        where = "above" if one.low > 0 else "below" if one.high < 0 else "not told from"
        found[where].append(f"{group.sparsity:.0%}")
    seeds = max(len(group.by_seed) for group in groups)
    said = [f"{where} dense at {listed(found[where])}" for where in ("above", "not told from", "below") if found[where]]
    return wrapped(
        f"By the intervals of this table, {counted(seeds, 'seed')}, the ticket is {'; '.join(said)} of the weights "
        "removed. The paper's ticket on its own task, at 70%: -0.34 points."
    )


def zoo_words(rows: list[Row]) -> str:
    """Tickets on other data: against dense, against random masks at the sparsest level, and which is best."""
    groups = group_rows(rows)
    means = {group.key: group for group in groups}
    tickets = [group for group in groups if group.key.arm == "ticket" and group.key.level]
    minus = {group.key: dense.summary for group in tickets if (dense := dense_of(group, groups))}
    below = sum(group.summary.mean < minus[group.key].mean for group in tickets)
    parts = [f"Of {len(tickets)} tickets and levels {below} are below dense in the mean."]
    for target in sorted({group.key.target for group in tickets}):
        here = [group for group in tickets if group.key.target == target]
        last = {name: max(g.key.level for g in here if g.key.ticket == name) for name in {g.key.ticket for g in here}}
        sparsest = [group for group in here if group.key.level == last[group.key.ticket]]
        masks = {group.key: means.get(group.key._replace(arm="random_mask")) for group in sparsest}
        known = [group for group in sparsest if masks[group.key] is not None]
        lost = sorted(f"`{g.key.ticket}`" for g in known if g.summary.mean <= masks[g.key].summary.mean)
        best = max(sparsest, key=lambda group: group.summary.mean)
        above = f"all {len(known)}" if not lost else f"{len(known) - len(lost)} of {len(known)}"
        but = f", not {listed(lost)}" if lost else ""
        with_most = f"`{best.key.ticket}` with {best.summary.mean:.2%} at a sparsity of {best.sparsity:.3f}"
        parts.append(
            f"On {target}, each at its sparsest level here, {above} are above random masks of their densities in the "
            f"mean{but}; the best is {with_most}."
        )
    return wrapped(" ".join(parts))
