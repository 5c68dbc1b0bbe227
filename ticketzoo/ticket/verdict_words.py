"""A verdict in words: "winning at 0.738, 0.931 (levels 6, 12): +0.98 points [0.71, 1.25] over the best control"."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ticketzoo.tasks.metrics import metric_called
from ticketzoo.util.text import counted, for_markdown, numbered, show_numbers, show_sparsity

if TYPE_CHECKING:
    from ticketzoo.ticket.verdict import Compared, LevelVerdict, TargetVerdict, Verdict

FIRST = (
    *("winning", "filters matter", "matches untrained", "matching", "works untrained"),
    *("undecided", "below", "not matching"),
)
"""Labels in the order that a sentence says them."""
UNCOUNTED = "the number of test examples is not recorded"


def sentence(verdict: "Verdict") -> str:
    """Return the verdict in words; over several targets it begins with how many there are of each label."""
    by_target: dict[str, list[LevelVerdict]] = defaultdict(list)
    for level in verdict.levels:
        by_target[level.target].append(level)
    about = {target.target: target for target in verdict.targets}
    if not by_target:
        return "not measured"
    said = {target: _of_target(levels, about.get(target)) for target, levels in by_target.items()}
    if len(said) == 1:
        return said.popitem()[1] + _last_look(verdict)
    counts = _counts(list(by_target.values()))
    return f"{counts}. " + ". ".join(f"On {target}: {text}" for target, text in said.items()) + _last_look(verdict)


def number(value: float, metric: str, *, sign: str = "") -> str:
    """Return a value or a difference of a row's metric as tables show it: fractions in percent, without the sign."""
    scale = 1 if metric_called(metric.partition("_")[2]).unit == "plain" else 100
    return f"{value * scale:{sign}.{2 if scale == 100 else 4}f}"


def unit(metric: str) -> str:
    """Return the unit of a difference of a row's metric, with a space before it, or nothing."""
    return "" if metric_called(metric.partition("_")[2]).unit == "plain" else " points"


def compared(pair: "Compared", metric: str) -> str:
    """Return a difference with its interval: "+0.98 points [0.71, 1.25]"."""
    low, high = (number(end, metric) for end in pair.interval)
    return f"{number(pair.difference, metric, sign='+')}{unit(metric)} [{low}, {high}]"


def published_lines(verdict: "Verdict") -> list[str]:
    """Return a line for each published rule: the labels that it gives, and at which levels."""
    several = len({level.target for level in verdict.levels}) > 1
    found: dict[str, dict[str, list[LevelVerdict]]] = {}
    for level in verdict.levels:
        for rule, label in level.published.items():
            named = f"on {level.target} {label}" if several else label
            found.setdefault(rule, {}).setdefault(named, []).append(level)
    return [
        f"{rule}: {'; '.join(f'{label} at {_levels(levels)}' for label, levels in labels.items())}"
        for rule, labels in found.items()
    ]


def look_lines(verdict: "Verdict") -> list[str]:
    """Return the looks as the lines of a table in Markdown; none where seeds were not added."""
    if not verdict.looks:
        return []
    lines = ["| look | seeds | spent of the 5% | label | left undecided |", "|--:|--:|--:|---|---|"]
    for number, look in enumerate(verdict.looks, 1):
        several = len({level.target for level in verdict.levels}) > 1
        left = [
            f"level{'s' * (len(at) > 1)} {show_numbers(at)}" + f" on {of}" * several
            for of, at in look.undecided.items()
        ]
        undecided = for_markdown("; ".join(left))
        lines.append(f"| {number} | {look.seeds} | {look.spent:.1%} | {look.label} | {undecided} |")
    return lines


def carried_words(verdict: "Verdict") -> str:
    """Return the best label on each target beside the source: "; on fashion-mnist matching at 0.931"; else nothing.

    Where every target is other data than the source, the verdict's own label is about these.
    """
    if all(level.target in verdict.transfer for level in verdict.levels):
        return ""
    said = ""
    for target in verdict.transfer:
        levels = [level for level in verdict.levels if level.target == target]
        best = min(levels, key=lambda level: (_rank(level.label), -level.sparsity), default=None)
        if best is not None:
            label = verdict.labels(target)[best.level]
            said += f"; on {target} {label}" + f" at {show_sparsity(best.sparsity)}" * (label != "not measured")
    return said


def masks_again_words(seeds: int, replicates: int) -> str:
    """Return a sentence where `seeds` of one target are more than a ticket's replicates; else nothing."""
    if seeds <= replicates:
        return ""
    return (
        f"{seeds} seeds retrain {counted(replicates, 'replicate')}, so masks are used again: "
        "the verdict and its 5% are about these masks, retrained, not about what a search finds with other seeds"
    )


def _last_look(verdict: "Verdict") -> str:
    if not verdict.looks or verdict.until is None:
        return ""
    last, most = verdict.looks[-1], verdict.until.max_seeds
    return f"; look {len(verdict.looks)}, {last.seeds} of at most {most} seeds, {last.spent:.1%} of the 5% spent"


def _counts(targets: list[list["LevelVerdict"]]) -> str:
    best = [min((level.label for level in levels), key=_rank) for levels in targets]
    matching = sum(label in ("winning", "filters matter", "matching") for label in best)
    parts = [f"matching on {matching} of {len(best)} targets", f"winning on {best.count('winning')}"]
    parts += [
        f"{label} on {best.count(label)}"
        for label in ("filters matter", "undecided", "below", "not measured")
        if label in best
    ]
    return ", ".join(parts)


def _rank(label: str) -> int:
    return FIRST.index(label) if label in FIRST else len(FIRST)


def _of_target(levels: Sequence["LevelVerdict"], about: "TargetVerdict | None") -> str:
    by_label: dict[str, list[LevelVerdict]] = defaultdict(list)
    for level in sorted(levels, key=lambda level: level.level):
        by_label[level.label].append(level)
    if about is None:
        parts = [_claim(label, by_label[label]) for label in (*FIRST, "not measured") if by_label[label]]
    else:
        parts = [*_claims(by_label, about), *_open(by_label, about)]
    seeds = [level.seeds for level in levels if level.label != "not measured"]
    if seeds:
        few, many = min(seeds), max(seeds)
        parts.append(counted(few, "seed") if few == many else f"{few} to {many} seeds")
    if about is not None and about.spread is not None and seeds:
        spread = f"{number(about.spread, about.metric)}{unit(about.metric)}"
        parts.append(f"spread {spread}, pooled over {about.pooled} ({about.freedom} degrees of freedom)")
    if about is not None and seeds:
        parts += _sampling(about)
    return "; ".join(parts)


def _sampling(about: "TargetVerdict") -> list[str]:
    """Return what is known of the test set: how many examples, and how far another one could move a difference."""
    if metric_called(about.metric.partition("_")[2]).unit == "plain":
        return []
    if about.examples is None:
        return [UNCOUNTED]
    error = about.sampling_error
    other = "" if error is None else f" (standard error over such test sets up to {number(error, about.metric)} points)"
    return [f"{about.examples:,} test examples{other}"]


def _claims(by_label: dict[str, list["LevelVerdict"]], about: "TargetVerdict") -> list[str]:
    """Return what is claimed of levels, and of which: winning, matching, above dense."""
    short = " (short training)" * about.short_training
    claims = []
    for label in ("winning", "filters matter", "works untrained"):
        if levels := by_label[label]:
            best = levels[-1].control
            over = f": {compared(best, about.metric)} over the best control" if best else ""
            claims.append(f"{label}{short} at {_span(levels)} ({_levels(levels)}){over}")
    untrained = by_label["matches untrained"]
    matching = untrained or by_label["winning"] + by_label["filters matter"] + by_label["matching"]
    if matching:
        last = max(matching, key=lambda level: level.level)
        label = "matches untrained" if untrained else "matching"
        margin = f"margin {number(about.margin, about.metric)}"
        claims.append(f"{label}{short} ({margin}) up to {show_sparsity(last.sparsity)} (level {last.level})")
        if by_label["winning"] or by_label["filters matter"]:
            claims[-1] += _no_more_than_matching(by_label["matching"])
    if above := [level for levels in by_label.values() for level in levels if level.above_dense]:
        claims.append(f"above dense at {_levels(above)}")
    return claims


def _no_more_than_matching(levels: list["LevelVerdict"]) -> str:
    """Return why these levels do not win where others do: ", at levels 7, 8 without controls", or nothing."""
    without = [level for level in levels if level.control is None]
    with_controls = [level for level in levels if level.control is not None]
    said = f", at {_levels(without)} without controls" if without else ""
    return said + (f", at {_levels(with_controls)} not shown to be above each control" if with_controls else "")


def _open(by_label: dict[str, list["LevelVerdict"]], about: "TargetVerdict") -> list[str]:
    """Return what is not claimed: levels that are undecided, below or not measured."""
    parts = []
    if undecided := by_label["undecided"]:
        first = undecided[0]
        matching = by_label["winning"] or by_label["filters matter"] or by_label["matching"]
        margin = "" if matching else f"margin {number(about.margin, about.metric)}, "
        more = f"{counted(first.seeds_to_decide, 'seed')} would decide {first.level}" if first.seeds_to_decide else ""
        differs = compared(first.dense, about.metric) if first.dense else ""
        detail = ", ".join(part for part in (f"{margin}{differs} at {first.level}" if differs else "", more) if part)
        parts.append(f"{_levels(undecided)} undecided" + (f" ({detail})" if detail else ""))
    if below := by_label["below"]:
        parts.append(f"{_levels(below)} below")
    if missing := by_label["not measured"]:
        parts.append(_claim("not measured", missing))
    return parts


def _levels(levels: Iterable["LevelVerdict"]) -> str:
    return numbered("level", (level.level for level in levels))


def _span(levels: Sequence["LevelVerdict"]) -> str:
    """Return the sparsities as `show_numbers` has the levels: "0.488 to 0.866" only where none between is left out."""
    of_level = {str(level.level): show_sparsity(level.sparsity) for level in levels}
    return re.sub(r"\d+", lambda number: of_level[number[0]], show_numbers(level.level for level in levels))


def _claim(label: str, levels: Sequence["LevelVerdict"]) -> str:
    reasons = {level.reason for level in levels}
    why = f": {reasons.pop()}" if label == "not measured" and len(reasons) == 1 else ""
    return f"{label} at sparsity {_span(levels)} ({_levels(levels)}){why}"
