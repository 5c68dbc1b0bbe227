"""Tables of docs/domains.md on pre-training without labels, from the rows of recipes/domains/simclr.fashion-mnist-*."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ticketzoo.evaluation.statistics import Summary, group_rows

Row = Mapping[str, Any]
TICKET, ALONE = "simclr.fashion-mnist-imp", "simclr.fashion-mnist-labels-alone"
METRICS = ("test_linear_accuracy", "test_accuracy")
ARMS = {
    "ticket": "ticket",
    "magnitude": "one-shot magnitude",
    "random_mask": "random masks",
    "random_reinit": "its masks, fresh weights",
}
Summaries = Mapping[tuple[str, str, str, float], Summary]
"""By target, ticket, arm and sparsity in hundredths."""


def parts(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The name and text of each measured part."""
    groups = [group for metric in METRICS for group in group_rows(rows, metric=metric)]
    found = {
        (one.key.target, one.key.ticket, one.key.arm, round(one.sparsity, 2)): one.summary
        for one in groups
        if one.key.arm != "chance"
    }
    targets = list(dict.fromkeys(target for target, ticket, *_ in found if ticket == TICKET))
    yield "simclr-words", "\n".join(words(found, targets))
    yield "simclr-accuracies", table(found, targets)


def table(found: Summaries, targets: Sequence[str]) -> str:
    """Accuracy by target and sparsity, the mean over seeds in percent."""
    head = f"| target | sparsity | dense | {' | '.join(ARMS.values())} | dense, not pre-trained |"
    lines = [head, "|---|--:|--:|" + "--:|" * len(ARMS) + "--:|"]
    for target in targets:
        dense, alone = found.get((target, TICKET, "dense", 0.0)), found.get((target, ALONE, "dense", 0.0))
        for sparsity in sparsities(found, target):
            cells = [shown(found.get((target, TICKET, arm, sparsity))) for arm in ARMS]
            lines.append(f"| {target} | {sparsity:.2f} | {shown(dense)} | {' | '.join(cells)} | {shown(alone)} |")
    return "\n".join(lines)


def words(found: Summaries, targets: Sequence[str]) -> Iterator[str]:
    """The differences that the paper speaks of, in points, a line a target."""
    seeds = max(summary.n for summary in found.values())
    yield f"Differences in points, means over {seeds} seed{'s' * (seeds > 1)}:\n"
    for target in targets:
        dense, alone = found.get((target, TICKET, "dense", 0.0)), found.get((target, ALONE, "dense", 0.0))
        said = [f"dense {points(dense, alone)} to no pre-training"] if dense and alone else []
        for sparsity in sparsities(found, target):
            ticket, random = (found.get((target, TICKET, arm, sparsity)) for arm in ("ticket", "random_mask"))
            against = {"dense": dense, "random masks": random}
            less = [f"{points(ticket, other)} to {what}" for what, other in against.items() if ticket and other]
            if less:
                said.append(f"ticket at {sparsity:.2f} {', '.join(less)}")
        if said:
            yield f"- {target}: {'; '.join(said)}."


def points(one: Summary | None, other: Summary | None) -> str:
    """A difference of means in percentage points."""
    assert one is not None and other is not None
    return f"{100 * (one.mean - other.mean):+.1f}"


def sparsities(found: Summaries, target: str) -> list[float]:
    """Those of the tickets on a target."""
    return sorted({one[3] for one in found if one[:3] == (target, TICKET, "ticket") and one[3]})


def shown(summary: Summary | None) -> str:
    """A mean in percent; nothing where none was measured."""
    return "" if summary is None else f"{100 * summary.mean:.1f}"
