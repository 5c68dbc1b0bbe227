"""Trainings that ended without an error and went wrong all the same: huge losses, one answer, mere chance."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ticketzoo.evaluation.arms import ARMS, CHANCE, TICKET, arm_label, one_of
from ticketzoo.evaluation.metrics import DEFAULT, metric_of, with_unit
from ticketzoo.evaluation.rows import check_rows
from ticketzoo.evaluation.statistics import Row, deciding_metrics, is_finite, less_is_better
from ticketzoo.util.text import numbered

HUGE_LOSS = 25.0
"""Nats of cross-entropy on the test split; a guess among a million classes has 14."""


def diagnose(rows: Sequence[Row]) -> list[str]:
    """Return a line for each arm, level and fault of trainings that went wrong, with their seeds; none if all is well.

    A training diverged where the test loss of a classifier is above `HUGE_LOSS`. It learned nothing where its deciding
    metric is no better than a constant guess or an untrained network (rows of the arm `chance`), and gives one answer
    throughout where it is just that guess. A ticket that is used as it is has learned nothing anyhow: it is told that
    it is no better, and of its controls, which are there to be no better, nothing is said.

    Args:
        rows: of results.jsonl.

    Raises:
        TicketError: as `check_rows` raises it.
    """
    rows = [row for row in check_rows(rows) if row["at"] == "final" and is_finite(row["value"])]
    rows = [row for row in rows if row["arm"] == TICKET or (row.get("trained", True) and not _is_to_fail(row["arm"]))]
    found: dict[tuple[str, str, str, int, str], set[int]] = defaultdict(set)
    for row, fault in [*_at_chance(rows), *_diverged(rows)]:
        found[row["ticket"], row["target"], one_of(row["arm"]), row["level"], fault].add(row["seed"])
    tickets, targets = ({row[key] for row in rows} for key in ("ticket", "target"))
    lines = []
    for (ticket, target, arm, level, fault), seeds in sorted(found.items()):
        of, on = f" of {ticket}" * (len(tickets) > 1), f" on {target}" * (len(targets) > 1)
        lines.append(f"{arm_label(arm)}{of} at level {level}{on} {fault} ({numbered('seed', seeds)})")
    return lines


def _is_to_fail(arm: str) -> bool:
    """Tell whether an arm is there to be no better than chance: its mask was trained on shuffled labels."""
    return arm in ARMS and ARMS[arm].seeks


def _at_chance(rows: Sequence[Row]) -> Iterable[tuple[Row, str]]:
    wanted, falling = deciding_metrics(rows), less_is_better(rows)
    chance = {(row["target"], row["metric"]): row["value"] for row in rows if row["arm"] == CHANCE}
    for row in rows:
        guess = chance.get((row["target"], row["metric"]))
        if guess is None or row["arm"] == CHANCE or row["metric"] != wanted[row["target"]]:
            continue
        better = row["value"] < guess if metric_of(row["metric"]).name in falling else row["value"] > guess
        stated = with_unit(row["metric"], guess)
        floor = "a guess or an untrained network" if metric_of(row["metric"]).floor else "the best constant guess"
        if row["value"] == guess and not metric_of(row["metric"]).floor:
            yield row, f"gives one answer throughout: it scores just what that does, {stated}"
        elif not better:
            learned = "learned nothing: it " * row.get("trained", True)
            yield row, f"{learned}is no better than {floor}, {stated}"


def _diverged(rows: Sequence[Row]) -> Iterable[tuple[Row, str]]:
    rows = [row for row in rows if row.get("trained", True)]
    classifiers = {_training(row) for row in rows if row["metric"] == DEFAULT}
    for row in rows:
        if row["metric"] == "test_loss" and _training(row) in classifiers and row["value"] > HUGE_LOSS:
            yield row, f"diverged: its test loss is {row['value']:.3g}; lower training.optimizer.lr"


def _training(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("target", "arm", "level", "seed", "draw"))
