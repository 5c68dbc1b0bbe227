"""Statements of ticket.json about measurements, held against the ticket's own rows."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from ticketzoo.evaluation.again import Terms, terms_of
from ticketzoo.evaluation.arms import DENSE
from ticketzoo.evaluation.statistics import Row
from ticketzoo.evaluation.verdict import Verdict, judge
from ticketzoo.masks.masks import sparsity_of
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.rows import deciding_metrics, is_complete, shown
from ticketzoo.ticket.verdict import LevelVerdict
from ticketzoo.util.text import for_terminal

ROUNDING = 1e-9
"""Sparsities this close are the same."""

ROUNDED = 0.0051
"""A row's sparsity may be rounded to two places, while that changes the density by less than a fifth."""

WORDED = ("reason", "pooled")
"""Fields that a version may put in other words, with the same numbers."""

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?")
CONTEXT = 20
"""Letters that are shown before two texts differ; four times as many in all."""

MOST_SHOWN = 500
"""Letters of a difference that messages show: what is compared may be a text without end."""

JUDGES: list[Callable[..., Verdict]] = [judge]
"""Ways to judge, the newest first: each gives the text of its rule with its verdict."""


@dataclass(frozen=True)
class Backing:
    """The support of a ticket's rows for its verdict.

    Attributes:
        state: `none` where no verdict is stated, `rows` where its rows give the same, `claimed` where they are not
            there or its rule is not known here, `contradicted` where they give another.
        why: of what is only claimed, in a few words.
        differs: of what is contradicted, a phrase for each statement that the rows do not give.
        reworded: a phrase for each reason with the numbers that the rows give and other words.
    """

    state: Literal["none", "rows", "claimed", "contradicted"]
    why: str = ""
    differs: tuple[str, ...] = ()
    reworded: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """The words after a verdict that the rows do not give: ` (claimed)`, or what they say instead."""
        return {"claimed": " (claimed)", "contradicted": f" (claimed: {self.why})"}.get(self.state, "")


def backing(config: TicketConfig, rows: Sequence[Row], recipe_text: Callable[[], str | None]) -> Backing:
    """Return how far `rows`, of the ticket's results.jsonl, support what ticket.json states.

    Args:
        config: of ticket.json.
        rows: of results.jsonl.
        recipe_text: gives the text of recipe.yaml, which may state the margin.

    Raises:
        TicketError: nothing can be computed of the rows.
    """
    verdict = config.verdict
    differs = tuple(row_differences(config, rows))
    if differs:
        return Backing("contradicted", "its rows do not fit its masks", differs)
    if verdict is None or (verdict.label == "not measured" and not rows):
        return Backing("none")
    if not rows:
        return Backing("claimed", "it has no rows")
    if not all(map(is_complete, rows)):
        return Backing("claimed", "its rows lack columns")
    targets = {level.target for level in verdict.levels}
    judged = [row for row in rows if not targets or row["target"] in targets]
    terms = terms_of(config, judged, recipe_text())
    if verdict.until != (until := terms["until"]):
        phrase = f"verdict.until: {shown(verdict.until)}, but the recipe states {shown(until)}"
        return Backing("contradicted", "its looks are not the recipe's", (phrase,))
    again = _judged_again(verdict, judged, terms)
    if again is None:
        return Backing("claimed", "by a rule that this version does not know")
    if verdict.stated_margin != (margin := terms["margin"]):
        phrase = f"verdict.stated_margin: {shown(verdict.stated_margin)}, but the recipe states {shown(margin)}"
        return Backing("contradicted", "its margin is not the recipe's", (phrase,))
    differs = tuple(_differences(verdict, again))
    if differs:
        why = f"its rows say {again.label}" if again.label != verdict.label else "its rows give other numbers"
        return Backing("contradicted", why, differs)
    return Backing("rows", reworded=tuple(_others(_by_place(verdict), _by_place(again), "verdict", words=True)))


def row_differences(config: TicketConfig, rows: Sequence[Row], *, rounded: float = ROUNDED) -> Iterator[str]:
    """Yield a phrase for each row of another ticket, or with a sparsity that the masks do not have.

    Args:
        config: of ticket.json.
        rows: of results.jsonl; those that lack columns are left out.
        rounded: how far a row's sparsity may be off; never by a fifth of the density. With 0 a row of dense must say 0.
    """
    seeds, total = [one.seed for one in config.replicates], config.prunable_weights
    exact: dict[int, dict[int, float]] = {}
    for entry in config.levels:
        exact[entry.level] = {s: sparsity_of(k, total) for s, k in zip(seeds, entry.kept_by(len(seeds)), strict=True)}
    unpackaged: dict[tuple[int, int], float] = {}
    for number, row in enumerate(rows, 1):
        if not is_complete(row):
            continue
        level, seed, sparsity, here = row["level"], row["seed"], row["sparsity"], f"results.jsonl line {number}"
        if row["ticket"] != config.name:
            yield f"{here} is about {shown(row['ticket'])}, not about '{config.name}'"
        if row["arm"] == DENSE:
            allowed = [0.0] if rounded == 0 or level == 0 else [sparsity]
        elif level in exact:
            allowed = [exact[level][seed]] if seed in exact[level] else list(exact[level].values())
        else:
            allowed = [unpackaged.setdefault((level, seed), sparsity)]
        if not any(abs(sparsity - one) <= max(ROUNDING, min(rounded, 0.2 * (1 - one))) for one in allowed):
            states = " or ".join(f"{one:.6g}" for one in sorted(set(allowed))[:3])
            yield f"{here} says sparsity {sparsity:.6g} of {row['arm']} at level {level}, seed {seed}: it is {states}"


def narrowed(verdict: Verdict, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a phrase for each choice by which a verdict speaks of a part of its rows: their end, metrics, targets."""
    deciding = deciding_metrics(filter(is_complete, rows))
    if verdict.at != "final":
        yield f"the verdict is on the step of minimum validation loss ({for_terminal(verdict.at)}), not on the end"
    judged = {one.target: one.metric for one in verdict.targets}
    for target, metric in judged.items():
        if metric != deciding.get(target, metric):
            yield f"the verdict on {shown(target)} is by {shown(metric)}, and its rows decide by {deciding[target]}"
    if left_out := sorted(deciding.keys() - {one.target for one in verdict.levels}):
        yield f"no verdict is stated on {', '.join(map(shown, left_out[:3]))}, which the rows measure too"


def _judged_again(verdict: Verdict, rows: Sequence[Row], terms: Terms) -> Verdict | None:
    """Return the verdict on `rows` by the rule and with the margin of `verdict`; None where the rule is not known."""
    stated = verdict.metric if verdict.metric in {row["metric"] for row in rows} else None
    settings = {**terms, "at": verdict.at, "margin": verdict.stated_margin}
    for judge_by in JUDGES:
        again = judge_by(rows, **settings)
        if again.metric != verdict.metric and stated:
            again = judge_by(rows, metric=stated, **settings)
        if again.rule == verdict.rule:
            return again
    return None


def _differences(verdict: Verdict, again: Verdict) -> Iterator[str]:
    if verdict.metric != again.metric:
        yield f"verdict.metric: {shown(verdict.metric)}, but the rows have {shown(again.metric)}"
    if verdict.label != again.label:
        yield f"verdict.label: {verdict.label}, but the rows give {again.label}"
    elif not _close(verdict.sparsity, again.sparsity):
        yield f"verdict.sparsity: {verdict.sparsity}, but the rows give {again.sparsity}"
    stated, given = ({(one.target, one.level): one for one in of.levels} for of in (verdict, again))
    if len(stated) != len(verdict.levels):
        yield "verdict.levels: a level is judged twice on one target"
    for place in sorted({*stated, *given}):
        here = f"verdict.levels: level {place[1]} on {shown(place[0])}"
        if place not in stated or place not in given:
            yield f"{here}: {'not stated, but measured' if place in given else 'stated, but without rows'}"
        else:
            yield from (f"{here}: {phrase}" for phrase in _of_level(stated[place], given[place]))
    yield from _others(_by_place(verdict), _by_place(again), "verdict", words=False)


def _by_place(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values, its levels by target and number."""
    plain = _plain(verdict)
    return plain | {"levels": {f"{one['level']} on {shown(one['target'])}": one for one in plain["levels"]}}


def _plain(value: Any) -> Any:
    """Return `value` with its models as dicts of every field: `model_dump` leaves out those at their defaults."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _others(stated: Any, given: Any, where: str, *, words: bool) -> Iterator[str]:
    """Yield a phrase for every value that is another one; with `words` for every reason in other words instead.

    Keys that a verdict computed here has not are of a later version, and nothing is said of them.
    """
    if isinstance(stated, dict) and isinstance(given, dict):
        for key in given:
            yield from _others(stated.get(key), given[key], f"{where}.{key}", words=words)
    elif isinstance(stated, list) and isinstance(given, list) and len(stated) == len(given):
        for number, (one, other) in enumerate(zip(stated, given, strict=True)):
            yield from _others(one, other, f"{where}.{number}", words=words)
    elif isinstance(stated, float) and isinstance(given, float):
        if not words and not math.isclose(stated, given, rel_tol=1e-6, abs_tol=ROUNDING):
            yield f"{where}: {apart(stated, given)}, but the rows give {apart(given, stated)}"
    elif stated != given:
        worded = where.rpartition(".")[2] in WORDED and isinstance(stated, str)
        same = worded and numbers_in(stated) == numbers_in(given)
        if words == same:
            yield f"{where}: '{differing(stated, given)}', but the rows give '{differing(given, stated)}'"


def apart(value: float, other: float) -> str:
    """Return `value` with as many digits as tell it from the other, 4 at least."""
    return next((f"{value:.{n}g}" for n in range(4, 17) if f"{value:.{n}g}" != f"{other:.{n}g}"), repr(value))


def differing(value: object, other: object) -> str:
    """Return the text of `value` from a few words before it differs from the other's, in a line of a terminal."""
    text, second = for_terminal(value), for_terminal(other)
    same = next((at for at, (a, b) in enumerate(zip(text, second, strict=False)) if a != b), 0)
    start = max(0, text.rfind(" ", 0, max(0, same - CONTEXT)) + 1) if same > 2 * CONTEXT else 0
    end = start + 4 * CONTEXT
    return "..." * (start > 0) + text[start:end] + "..." * (end < len(text))


def _of_level(stated: LevelVerdict, given: LevelVerdict) -> Iterator[str]:
    for what, one, other in (("label", stated.label, given.label), ("seeds", stated.seeds, given.seeds)):
        if one != other:
            yield f"{what} {one}, but the rows give {other}"
    if not _close(stated.sparsity, given.sparsity):
        yield f"sparsity {stated.sparsity}, but the rows give {given.sparsity}"


def numbers_in(text: str) -> list[str]:
    """Return the numbers that stand in a text, as they are written."""
    return NUMBER.findall(text)


def _close(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else math.isclose(one, other, abs_tol=ROUNDING)


def listed_differences(differs: Sequence[str]) -> str:
    """Return the first differences, and how many more there are; texts that follow from numbers come last."""
    differs = sorted(differs, key=lambda phrase: any(f".{word}: '" in phrase for word in WORDED))
    more = f" (and {len(differs) - 3} more)" if len(differs) > 3 else ""
    return "; ".join(for_terminal(one)[:MOST_SHOWN] for one in differs[:3]) + more
