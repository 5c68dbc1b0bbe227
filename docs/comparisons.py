"""Tables that set arms side by side as published experiments do, of rows of results.jsonl."""

from ticketzoo.evaluation.metrics import show, titles
from ticketzoo.evaluation.statistics import Group, Summary, dense_of, group_rows, paired_difference

SOURCES = {
    "ticket": "masked language modelling, IMP",
    "magnitude": "the pretrained weights, one-shot",
    "random_mask": "random mask",
}
"""Where a mask at the ticket's sparsity is from, by arm."""


def chen_2020(rows: list[dict], level: int) -> str:
    """Each source of a mask minus dense, paired by seed, on every target, as in figure 2."""
    groups = group_rows(row for row in rows if row["level"] in (0, level))
    metrics = {group.key.target: group.metric for group in groups}
    lines = [f"| mask from | {' | '.join(titles(metrics).values())} |", f"|---|{'--:|' * len(metrics)}"]
    for arm, source in SOURCES.items():
        cells = []
        for target in metrics:
            group = next((g for g in groups if (g.key.target, g.key.arm) == (target, arm) and g.key.level), None)
            dense = dense_of(group, groups) if group else None
            difference = paired_difference(group, dense) if group and dense else None
            cells.append(measured(metrics[target], difference, sign="+") if difference else "")
        lines.append(f"| {source} | {' | '.join(cells)} |")
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
