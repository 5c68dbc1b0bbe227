"""Tables that set arms side by side as published experiments do, of rows of results.jsonl."""

from ticketzoo.evaluation.metrics import show
from ticketzoo.evaluation.statistics import Group, Summary, dense_of, group_rows, paired_difference


def chen_2020(rows: list[dict]) -> str:
    """The ticket at each level, and minus dense, paired by seed, as in section 4 and figure 2."""
    groups = sorted(group_rows(rows), key=lambda group: group.key.level)
    lines = ["| weights removed | ticket | minus dense |", "|--:|--:|--:|"]
    for group in groups:
        dense = dense_of(group, groups)
        if group.key.arm != "ticket" or not group.key.level or dense is None:
            continue
        difference = paired_difference(group, dense)
        minus = measured(group.metric, difference, sign="+") if difference else ""
        lines.append(f"| {group.sparsity:.0%} | {measured(group.metric, group.summary)} | {minus} |")
    return "\n".join(lines)


def rewinding(rows_by_step: dict[int, list[dict]]) -> str:
    """Test accuracy by weights kept of tickets rewound to each step, and of their controls, as in figure 9."""
    networks: dict[str, dict[float, Group]] = {}
    for step, rows in rows_by_step.items():
        for group in group_rows(rows):
            if group.key.arm == "dense":
                networks["dense"] = {0.0: group}
            elif group.key.level:
                name = f"{group.key.arm.replace('_', ' ')}, from iteration {step}"
                networks.setdefault(name, {})[group.sparsity] = group
    sparsities = sorted({sparsity for groups in networks.values() for sparsity in groups})
    lines = [f"| weights kept | {' | '.join(f'{1 - sparsity:.1%}' for sparsity in sparsities)} |"]
    lines.append(f"|---|{'--:|' * len(sparsities)}")
    for name, groups in networks.items():
        cells = [groups.get(sparsity) for sparsity in sparsities]
        texts = [measured(group.metric, group.summary) if group else "" for group in cells]
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def measured(metric: str, summary: Summary, sign: str = "") -> str:
    """Mean ± half-width of its 95% interval."""
    text = show(metric, summary.mean, sign=sign)
    return f"{text} (one seed)" if summary.half_width is None else f"{text} ± {show(metric, summary.half_width)}"
