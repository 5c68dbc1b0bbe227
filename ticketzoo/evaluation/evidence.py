"""The card of a ticket and its plots, of what its files say: the part that measured rows fill, and the whole."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ticketzoo.evaluation.arms import ARMS, CHANCE, DENSE, TICKET, arm_label, in_order, one_of
from ticketzoo.evaluation.diagnosis import diagnose
from ticketzoo.evaluation.distances import DISTANCES, Read, distance_plots
from ticketzoo.evaluation.mask_picture import MasksOf, mask_plots
from ticketzoo.evaluation.plots import plot_early_stopping, plot_metric
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import Group, Row, deciding_metrics, group_rows, is_finite
from ticketzoo.evaluation.tables import arms_tables, transfer_table
from ticketzoo.evaluation.verdict import Verdict, judge, sentence
from ticketzoo.ticket.card import Evidence, ExpectedArm, render_card
from ticketzoo.ticket.card_metadata import Measurement
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.verdict_words import masks_again_words
from ticketzoo.util.text import numbered

if TYPE_CHECKING:
    from ticketzoo.evaluation.figure import Plot

DENSITIES = "Only its layer densities matter"
"""First words of the lines of `density_lines`."""


def card_files(
    config: TicketConfig,
    rows: Sequence[Row],
    read: Read | None = None,
    masks_of: MasksOf | None = None,
    **extras: Any,
) -> dict[str, bytes]:
    """Return the card of a ticket and its plots, by file name.

    Args:
        config: of ticket.json.
        rows: of results.jsonl.
        read: see `plots_of`.
        masks_of: see `plots_of`.
        extras: further arguments of `render_card`: `cost`, `recipe_text` and `empty`.

    Raises:
        TicketError, ValueError: as `ticket_card` raises them.
    """
    plots = {name: draw().png() for name, draw in plots_of(config, rows, read, masks_of).items()}
    return {"README.md": ticket_card(config, rows, plots=list(plots), **extras).encode(), **plots}


def plots_of(
    config: TicketConfig, rows: Sequence[Row], read: Read | None = None, masks_of: MasksOf | None = None
) -> "Mapping[str, Callable[[], Plot]]":
    """Return by file name what draws the plots on a ticket's card, in the order that they stand there.

    Those of rows are about the target that the ticket was found on.

    Args:
        config: of ticket.json.
        rows: of results.jsonl.
        read: gives the content of a further file, of which plots are drawn, too; by default none are.
        masks_of: gives the masks of a level and a seed, which are drawn, too; by default they are not.
    """
    pictures = {} if masks_of is None else mask_plots(config, masks_of)
    return {**_plots_of_rows(config, rows, read), **pictures}


def _plots_of_rows(config: TicketConfig, rows: Sequence[Row], read: Read | None) -> "Mapping[str, Callable[[], Plot]]":
    target = source_of(config, rows)
    of_target = [row for row in rows if row["target"] == target]
    if target is None or not of_target:
        return {}
    stem = deciding_metrics(of_target)[target].removeprefix("test_")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", stem):
        return {}
    plots: dict[str, Callable[[], Plot]] = {f"{stem}.png": partial(plot_metric, of_target, target=target)}
    if any(row["at"] == "best" for row in of_target):
        plots["early-stopping.png"] = partial(plot_early_stopping, of_target, target=target)
    if read is None or not any(name.startswith(DISTANCES) for name in config.files):
        return plots
    return {**plots, **distance_plots(config.files, read)}


def ticket_card(
    config: TicketConfig, rows: Sequence[Row], *, source: str | None = None, densities: bool = True, **extras: Any
) -> str:
    """Return the model card of the ticket with this ticket.json and these rows.

    Args:
        config: of ticket.json.
        rows: of results.jsonl.
        source: the target, among the rows', that the ticket was found on; default the one that its verdict is about,
            or the only one.
        densities: whether it says where a matching ticket is not above random positions; older cards do not.
        extras: further arguments of `render_card`.

    Raises:
        TicketError: as `group_rows` raises it.
        ValueError: the rows are about several tickets.
    """
    rows = check_rows(rows)
    found = evidence(rows, source=source or source_of(config, rows), verdict=config.verdict)
    again = tuple(_masks_again(rows, len(config.replicates)))
    again += tuple(density_lines(rows, config.verdict)) if densities else ()
    return render_card(config, replace(found, arms=found.arms + again), **extras)


def density_lines(rows: Sequence[Row], verdict: Verdict | None) -> list[str]:
    """Return a line for each target with matching levels whose interval is not above that of random positions.

    As many weights of each layer, wherever they are, then do as well (Frankle et al. 2021, section 4): of levels with
    three seeds of each.

    Args:
        rows: of results.jsonl.
        verdict: on them.
    """
    if verdict is None:
        return []
    found: dict[str, list[int]] = {}
    groups = {(one.key.target, one.key.level, one.key.arm): one for one in group_rows(rows, at=verdict.at)}
    for level in verdict.levels:
        ticket, other = (groups.get((level.target, level.level, arm)) for arm in (TICKET, "random_mask"))
        if level.label == "matching" and ticket and other and not _above(ticket, other):
            found.setdefault(level.target, []).append(level.level)
    several = len({level.target for level in verdict.levels}) > 1
    why = "the 95% interval of the ticket is not above that of random mask"
    return [
        f"{DENSITIES}{f' on {target}' * several} at {numbered('level', levels)}, as far as these seeds show: {why}"
        for target, levels in found.items()
    ]


def _above(ticket: Group, other: Group) -> bool:
    """Tell whether the ticket's whole interval is better than the other's, or too few seeds say anything."""
    ours, theirs = ticket.summary, other.summary
    if min(ours.n, theirs.n) < 3 or None in (ours.low, ours.high, theirs.low, theirs.high):
        return True
    assert ours.low is not None and ours.high is not None and theirs.low is not None and theirs.high is not None
    return ours.low > theirs.high if ticket.higher_is_better else ours.high < theirs.low


def _masks_again(rows: Sequence[Row], replicates: int) -> Iterator[str]:
    """Yield a line for each target on which masks of the ticket were trained from several seeds."""
    seeds: dict[str, set[int]] = {}
    for row in rows:
        if row["arm"] == TICKET:
            seeds.setdefault(row["target"], set()).add(row["seed"])
    for target, of_target in sorted(seeds.items()):
        if said := masks_again_words(len(of_target), replicates):
            yield f"on {target} {said}"


def source_of(config: TicketConfig, rows: Sequence[Row]) -> str | None:
    """Return the target that a ticket was found on; None where that is not known.

    It is the one that its verdict is about, of several the one that is not other data, or the only one of its rows.
    """
    verdict = config.verdict
    targets = {level.target for level in verdict.levels} if verdict else set()
    targets = targets or {row["target"] for row in rows}
    own = targets.difference(verdict.transfer if verdict else ()) or targets
    return own.pop() if len(own) == 1 else None


def evidence(rows: Sequence[Row], *, source: str | None, verdict: Verdict | None = None) -> Evidence:
    """Return the evidence in `rows` about one ticket: a table of arms for each target, the verdict, every mean.

    Args:
        rows: of results.jsonl.
        source: the target that the ticket was found on.
        verdict: default what `judge` says of the rows on `source`.

    Raises:
        TicketError, ValueError: as `judge` raises them.
    """
    rows = check_rows(rows)
    targets = sorted({row["target"] for row in rows}, key=lambda target: (target != source, target))
    verdict = verdict or judge([row for row in rows if row["target"] == source])
    judged = {level.target for level in verdict.levels}
    given = {target: verdict if target in judged else None for target in targets}
    tables = [table for target in targets for table in arms_tables(rows, target=target, verdict=given[target])]
    if len(targets) > 1:
        tables.append(transfer_table(rows))
    markdown = tuple(table.markdown() for table in tables)
    return Evidence(
        source, sentence(verdict), markdown, _arms(rows), _measured(rows), _expected(rows), tuple(diagnose(rows))
    )


def _arms(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return a line for each arm of the table that was measured: its masks, its weights, and where it comes from."""
    entries = [ARMS[name] for name in in_order(one_of(row["arm"]) for row in rows) if name in ARMS]
    rewound = any(row.get("trained", True) for row in rows if row["arm"] == TICKET and row["level"])
    said = []
    for entry in entries:
        held = entry.weights if rewound else _as_they_are(entry.weights)
        parts = [f"{what} {words}" for what, words in (("masks", entry.masks), ("weights", held)) if words]
        cite = f" ({entry.cite})" if entry.cite else ""
        said += [f"{arm_label(entry.name)}: {'; '.join(parts)}{cite}"] if parts else []
    further = [name for name in in_order(row["arm"] for row in rows) if one_of(name) != name]
    said += [f"{arm_label(name)}: further draws of {arm_label(one_of(name))}, one control with it" for name in further]
    return tuple(said)


def _as_they_are(weights: str) -> str:
    """Return words for an arm's weights where those of the ticket are used, not rewound to."""
    return weights.replace("the rewind weights", "the ticket's weights").replace("rewind weights", "weights")


def _expected(rows: Sequence[Row]) -> tuple[ExpectedArm, ...]:
    """Return the arms that a reader may ask about: the expected ones of the table, and those measured."""
    names = [entry.name for entry in ARMS.values() if entry.expected]
    beside = {DENSE, CHANCE, *(entry.name for entry in ARMS.values() if entry.once)}
    return tuple(
        ExpectedArm(name, "the ticket itself" if name == TICKET else arm_label(name), every_level=name not in beside)
        for name in in_order([*names, *(one_of(row["arm"]) for row in rows)])
    )


def _measured(rows: Sequence[Row]) -> tuple[Measurement, ...]:
    """Return the means of every test metric after the last step, but for metrics that are not finite in some row."""
    metrics = {row["metric"] for row in rows if row["metric"].startswith("test_")}
    diverged = {row["metric"] for row in rows if not is_finite(row["value"])}
    measured = []
    for metric in sorted(metrics - diverged):
        for group in group_rows(rows, metric=metric):
            key, summary = group.key, group.summary
            labels = (key.arm, key.target, key.level, group.sparsity, metric, "final")
            interval = (None, None) if summary.ranged else (summary.low, summary.high)
            numbers = (summary.n, summary.mean, *interval)
            measured.append(Measurement(*labels, *numbers, group.higher_is_better))
    return tuple(measured)
