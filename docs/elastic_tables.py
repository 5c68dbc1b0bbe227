"""Tables of docs/elastic.md, from the rows of transfers whose tickets are called TARGET.from-SOURCE and TARGET.DATA."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ticketzoo.evaluation.statistics import Group, group_rows, summarise

Row = Mapping[str, Any]
FROM = ".from-"
PUBLISHED = {
    ("mlp-2", "mlp-2"): 98.06, ("mlp-2", "mlp-3"): 97.95, ("mlp-2", "mlp-4"): 97.99,
    ("mlp-3", "mlp-2"): 97.91, ("mlp-3", "mlp-3"): 97.83, ("mlp-3", "mlp-4"): 97.83,
    ("mlp-4", "mlp-2"): 97.88, ("mlp-4", "mlp-3"): 97.91, ("mlp-4", "mlp-4"): 98.03,
}  # fmt: skip
"""Test accuracy on MNIST by source and target, 10.7% of the weights kept, three runs: Chen et al. 2021."""
ARMS = {"ticket": "ticket", "random_reinit": "its masks, fresh weights", "random_mask": "its weights, random masks"}


def parts(rows: Sequence[Row], published: Mapping[tuple[str, str], float] | None = None) -> Iterator[tuple[str, str]]:
    """The name and text of each measured part, of the rows of all transfers of one family together."""
    groups = group_rows(rows)
    yield "words", words(groups)
    yield "matrix", matrix(groups, published or {})
    yield "arms", arms(groups)


def place(ticket: str) -> tuple[str, str]:
    """The networks that a ticket comes from and is of, by its name."""
    target, _, source = ticket.partition(FROM)
    return (source, target) if source else (ticket.partition(".")[0],) * 2


def of_arm(groups: Iterable[Group], arm: str) -> dict[tuple[str, str], Group]:
    """The groups of an arm, by source and target."""
    return {place(group.key.ticket): group for group in groups if group.key.arm == arm}


def networks(groups: Iterable[Group]) -> list[str]:
    """All networks, from the shallowest to the deepest."""
    return sorted({one for group in groups for one in place(group.key.ticket)}, key=lambda one: (len(one), one))


def matrix(groups: Sequence[Group], published: Mapping[tuple[str, str], float]) -> str:
    """Test accuracy of tickets by source and target; the paper's in brackets."""
    found, names = of_arm(groups, "ticket"), networks(groups)
    targets = [one for one in names if any(target == one for _, target in found)]
    lines = [f"| ticket of | {' | '.join(f'on {one}' for one in targets)} |", "|---|" + "--:|" * len(targets)]
    for source in names:
        cells = []
        for target in targets:
            group, theirs = found.get((source, target)), published.get((source, target))
            beside = f" ({theirs:.2f})" if theirs is not None else ""
            cells.append(f"{100 * group.summary.mean:.2f}{beside}" if group else "")
        if any(cells):
            lines.append(f"| {source} | {' | '.join(cells)} |")
    return "\n".join(lines)


def arms(groups: Sequence[Group]) -> str:
    """Test accuracy of each arm on each target, and the difference to the target's own ticket."""
    found = {arm: of_arm(groups, arm) for arm in ARMS}
    dense = {target: group for (_, target), group in of_arm(groups, "dense").items()}
    order = networks(groups)
    lines = [
        f"| target | dense | ticket of | sparsity | {' | '.join(ARMS.values())} | less its own ticket |",
        "|---|--:|---|--:" + "|--:" * len(ARMS) + "|--:|",
    ]
    for source, target in sorted(found["ticket"], key=lambda one: (order.index(one[1]), order.index(one[0]))):
        ticket, own = found["ticket"][source, target], found["ticket"].get((target, target))
        values = [shown(found[arm].get((source, target))) for arm in ARMS]
        less = apart(ticket, own) if own and source != target else ""
        start = f"| {target} | {shown(dense.get(target))} | {source} | {ticket.sparsity:.3f} |"
        lines.append(f"{start} {' | '.join(values)} | {less} |")
    return "\n".join(lines)


def words(groups: Sequence[Group]) -> str:
    """The distance of stretched tickets from the targets' own and from random masks, in two sentences."""
    tickets, masks = of_arm(groups, "ticket"), of_arm(groups, "random_mask")
    moved = [one for one in tickets if one[0] != one[1]]
    own = {one: points(tickets[one], tickets[one[1], one[1]]) for one in moved if (one[1], one[1]) in tickets}
    above = {one: points(tickets[one], masks[one]) for one in moved if one in masks}
    said = []
    if own:
        most = max(own, key=lambda one: abs(own[one]))
        far = f"the most is {own[most]:+.2f}, from {most[0]} to {most[1]}"
        within = sum(abs(value) <= 0.3 for value in own.values())
        said.append(f"In the mean {within} of {len(own)} are within 0.3 points of the target's own ticket; {far}.")
    if above:
        least = min(above, key=lambda one: above[one])
        higher = f"{sum(value > 0 for value in above.values())} of {len(above)} are above random masks on their weights"
        said.append(f"{higher}; the least is {above[least]:+.2f} points, from {least[0]} to {least[1]}.")
    return " ".join(said)


def points(one: Group, other: Group) -> float:
    """The difference of means in percentage points."""
    return 100 * (one.summary.mean - other.summary.mean)


def apart(one: Group, other: Group) -> str:
    """The difference seed by seed, in percentage points: its mean and the half-width of the 95% interval."""
    found = summarise([100 * (value - other.by_seed[seed]) for seed, value in one.by_seed.items()])
    return f"{found.mean:+.2f}" + (f" ± {found.half_width:.2f}" if found.half_width is not None else "")


def shown(group: Group | None) -> str:
    """Mean and half-width of its 95% interval, of a single seed the value; nothing where none was measured."""
    if group is None:
        return ""
    width = group.summary.half_width
    return f"{100 * group.summary.mean:.2f}" + (f" ± {100 * width:.2f}" if width is not None else "")
