"""Tables of docs/domains.md on CartPole, from the rows of the tickets of recipes/domains/cartpole-*.yaml."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ticketzoo.evaluation.statistics import Group, group_rows
from ticketzoo.evaluation.verdict import judge
from ticketzoo.ticket.verdict import sentence

Row = Mapping[str, Any]
IMP, ONE_SHOT, MARGIN = "actor-critic.cartpole-imp", "actor-critic.cartpole-one-shot", 25
WAYS = {
    "IMP": (IMP, "ticket"),
    "one-shot": (ONE_SHOT, "ticket"),
    "its masks, fresh weights": (IMP, "random_reinit"),
    "its masks, values permuted": (IMP, "permuted_values"),
    "its weights, random masks": (IMP, "random_mask"),
    "random tickets": (IMP, "random_ticket"),
}
Groups = Mapping[tuple[str, str, float], Group]
"""Measured returns by ticket, arm and sparsity in hundredths."""


def parts(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The name and text of each measured part."""
    returns, greedy = (_groups(rows, f"test_{name}") for name in ("return", "greedy_return"))
    yield "cartpole-words", "\n".join(words(rows, returns))
    yield "cartpole", f"{table(returns)}\n\nThe same networks, the best action always:\n\n{table(greedy)}"


def _groups(rows: Sequence[Row], metric: str) -> Groups:
    groups = group_rows([row for row in rows if row["arm"] != "chance"], metric=metric)
    return {(one.key.ticket, one.key.arm, round(one.sparsity, 2)): one for one in groups}


def table(groups: Groups) -> str:
    """Mean returns and standard deviations over seeds, by sparsity; level 0 is the dense network."""
    lines = [f"| sparsity | {' | '.join(WAYS)} |", "|--:|" + "--:|" * len(WAYS)]
    for sparsity in sorted({one for ticket, arm, one in groups if (ticket, arm) == (IMP, "ticket")}):
        cells = [_shown(groups.get((ticket, arm, sparsity))) for ticket, arm in WAYS.values()]
        lines.append(f"| {sparsity:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def words(rows: Sequence[Row], groups: Groups) -> Iterator[str]:
    """Dense beside a random policy, the ticket beside random ones at the last level, and the verdict."""
    dense = groups[IMP, "dense", 0.0].summary
    (chance,) = {row["value"] for row in rows if row["arm"] == "chance" and row["metric"] == "test_return"}
    seeds = f"{dense.n} seed{'s' * (dense.n > 1)}"
    yield (
        f"Mean returns of the last 100 training episodes over {seeds}, ± one standard deviation: dense "
        f"{dense.mean:.0f}, a random policy {chance:.0f}."
    )
    last = max(sparsity for ticket, arm, sparsity in groups if (ticket, arm) == (IMP, "ticket"))
    ticket = groups[IMP, "ticket", last].summary.mean
    others = {name: groups.get((*way, last)) for name, way in list(WAYS.items())[1:]}
    times = [f"{ticket / other.summary.mean:.2f} times that of {name}" for name, other in others.items() if other]
    if times:
        yield f"At sparsity {last:.2f} IMP's mean return is {', '.join(times)}."
    of_imp = [row for row in rows if row["ticket"] == IMP]
    yield f"\nThe verdict on IMP's tickets, by the rule of [verdicts.md](verdicts.md): {_verdict(of_imp)}."


def _verdict(rows: Sequence[Row]) -> str:
    return sentence(judge(list(rows), margin=MARGIN, transfer=()))


def _shown(group: Group | None) -> str:
    if group is None:
        return ""
    std = group.summary.std
    return f"{group.summary.mean:.0f}" + ("" if std is None else f" ± {std:.0f}")
