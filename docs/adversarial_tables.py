"""Tables of docs/domains.md on attacked images, from the rows of transfers of recipes/domains/conv-4.mnist-pgd."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ticketzoo.evaluation.statistics import Group, group_rows

Row = Mapping[str, Any]
Key = tuple[str, str, str]
"""Ticket (of dense nothing), arm, target."""
METRICS = ("test_robust_accuracy", "test_accuracy")
ARMS = {"dense": "dense", "ticket": "ticket", "random_reinit": "its masks, fresh weights"}


def parts(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The name and text of each measured part."""
    robust, clean = (by_key(rows, metric) for metric in METRICS)
    epochs = trained(rows)
    yield "attacked-words", words(robust, epochs)
    yield "attacked-accuracies", table(robust, clean, epochs)


def by_key(rows: Sequence[Row], metric: str) -> dict[Key, Group]:
    """The groups of a metric."""
    groups = group_rows(rows, metric=metric)
    return {key_of(one.key.ticket, one.key.arm, one.key.target): one for one in groups if one.key.arm in ARMS}


def key_of(ticket: str, arm: str, target: str) -> Key:
    """The key of a line of the table."""
    return ("" if arm == "dense" else ticket, arm, target)


def trained(rows: Sequence[Row]) -> dict[str, int]:
    """Iterations by target, the shortest training first."""
    last = {row["target"]: row["step"] for row in rows if row["at"] == "final" and row["arm"] == "dense"}
    return dict(sorted(last.items(), key=lambda one: one[1]))


def table(robust: Mapping[Key, Group], clean: Mapping[Key, Group], epochs: Mapping[str, int]) -> str:
    """Robust and clean accuracy by arm and length of training."""
    columns = [f"{what}, {steps:,} iterations" for what in ("robust", "clean") for steps in epochs.values()]
    lines = [f"| network | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    for ticket, arm in sorted({key[:2] for key in robust}, key=lambda one: (one[0], [*ARMS].index(one[1]))):
        cells = [shown(of.get((ticket, arm, target))) for of in (robust, clean) for target in epochs]
        lines.append(f"| {' '.join(filter(None, (ticket, ARMS[arm])))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def words(robust: Mapping[Key, Group], epochs: Mapping[str, int]) -> str:
    """The lead of tickets over fresh weights, and over the dense network of the longest training."""
    *_, longest = epochs
    dense = robust["", "dense", longest]
    lines = ["Robust accuracy in points, means over seeds:", ""]
    for ticket in sorted({key[0] for key in robust if key[1] == "ticket"}):
        said = []
        for target, steps in epochs.items():
            own, fresh = robust[ticket, "ticket", target], robust.get((ticket, "random_reinit", target))
            beside = f", {points(own, fresh)} to its masks on fresh weights" if fresh else ""
            said.append(f"after {steps:,} iterations {points(own, dense)} to dense after {epochs[longest]:,}{beside}")
        lines.append(f"- {ticket}: {'; '.join(said)}.")
    return "\n".join(lines)


def points(one: Group, other: Group) -> str:
    """The difference of means."""
    return f"{100 * (one.summary.mean - other.summary.mean):+.2f}"


def shown(group: Group | None) -> str:
    """Mean and half-width of its 95% interval; nothing where none was measured."""
    if group is None:
        return ""
    width = group.summary.half_width
    return f"{100 * group.summary.mean:.2f}" + (f" ± {100 * width:.2f}" if width is not None else "")
