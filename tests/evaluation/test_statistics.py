import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketzoo.errors import TicketError, TicketzooError
from ticketzoo.evaluation.controls import ticket_labels
from ticketzoo.evaluation.rows import carried_to, rows_of
from ticketzoo.evaluation.statistics import deciding_metrics, dense_of, group_rows, paired_difference, summarise
from ticketzoo.tasks.metrics import ACCURACY, F1, METRICS, PERPLEXITY, Metric
from ticketzoo.training.record import Record


def row(
    arm: str,
    seed: int,
    value: Any,
    *,
    level: int = 3,
    draw: int = 0,
    metric: str = "test_accuracy",
    at: str = "final",
    step: int = 100,
    target: str = "mnist",
    ticket: str = "t",
) -> dict[str, Any]:
    sparsity = 0.0 if arm == "dense" else 0.488
    level = 0 if arm == "dense" else level
    return {
        "ticket": ticket, "level": level, "sparsity": sparsity, "arm": arm, "target": target, "seed": seed,
        "draw": draw, "at": at, "step": step, "metric": metric, "value": value,
    }  # fmt: skip


def test_mean_deviation_and_interval_of_three_seeds() -> None:
    # Student's t for two degrees of freedom is 4.3027, so the half-width is 4.3027 * 0.01 / sqrt(3).
    summary = summarise([0.97, 0.98, 0.99])
    assert summary.n == 3
    assert summary.mean == pytest.approx(0.98)
    assert summary.std == pytest.approx(0.01)
    assert summary.half_width == pytest.approx(0.02484, abs=5e-6)
    assert (summary.low, summary.high) == pytest.approx((0.95516, 1.00484), abs=5e-6)


def test_two_seeds_have_a_wide_interval() -> None:
    # std = 0.02 / sqrt(2), half-width = 12.706 * std / sqrt(2) = 0.12706
    assert summarise([0.90, 0.92]).half_width == pytest.approx(0.12706, abs=1e-5)


def test_equal_values_have_an_interval_of_zero_width() -> None:
    summary = summarise([1.0, 1.0, 1.0])
    assert (summary.std, summary.low, summary.high, summary.half_width) == (0.0, 1.0, 1.0, 0.0)


def test_one_seed_has_a_mean_and_no_spread() -> None:
    summary = summarise([0.9])
    assert (summary.n, summary.mean) == (1, 0.9)
    assert summary.std is summary.low is summary.high is summary.half_width is None


def test_no_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        summarise([])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_interval_is_centred_on_the_mean_and_shrinks_with_no_spread(values: Any) -> None:
    summary = summarise(values)
    assert summary.low <= summary.mean <= summary.high
    assert (summary.low + summary.high) / 2 == pytest.approx(summary.mean, abs=1e-9)
    assert (summary.half_width == 0) == (summary.std == 0)


def test_draws_of_a_seed_are_averaged_before_seeds_are_compared() -> None:
    # Seed 0 has draws 0.90, 0.92, 0.94 (mean 0.92), seed 1 one draw of 0.96: two observations, not four.
    rows = [row("random_reinit", 0, v, draw=d) for d, v in enumerate([0.90, 0.92, 0.94])]
    rows.append(row("random_reinit", 1, 0.96))
    (group,) = group_rows(rows, metric="test_accuracy")
    assert group.by_seed == pytest.approx({0: 0.92, 1: 0.96})
    assert group.summary.n == 2
    assert group.summary.mean == pytest.approx(0.94)


def test_groups_are_split_by_arm_level_target_and_ordered_for_people() -> None:
    rows = [
        row("random_mask", 0, 0.5),
        row("ticket", 0, 0.9, level=6),
        row("ticket", 0, 0.9),
        row("dense", 0, 0.95),
        row("ticket", 0, 0.8, target="kmnist"),
    ]
    keys = [(g.key.target, g.key.level, g.key.arm) for g in group_rows(rows, metric="test_accuracy")]
    assert keys == [
        ("kmnist", 3, "ticket"),
        ("mnist", 0, "dense"),
        ("mnist", 3, "ticket"),
        ("mnist", 3, "random_mask"),
        ("mnist", 6, "ticket"),
    ]


def test_only_the_asked_metric_and_moment_are_read() -> None:
    rows = [
        row("ticket", 0, 0.9),
        row("ticket", 0, 0.91, at="best", step=40),
        row("ticket", 0, 0.3, metric="test_loss"),
    ]
    (best,) = group_rows(rows, metric="test_accuracy", at="best")
    (step,) = group_rows(rows, metric="test_accuracy", at="best", value="step")
    assert best.by_seed == {0: 0.91}
    assert step.by_seed == {0: 40.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, None, "0.9"])
def test_a_value_that_is_no_finite_number_is_an_error_naming_the_row(bad: float) -> None:
    with pytest.raises(TicketError, match=r"(level 3, arm ticket, target 'mnist', seed 1|row 2).*no finite number"):
        group_rows([row("ticket", 0, 0.9), row("ticket", 1, bad)], metric="test_accuracy")


def test_a_diverged_loss_does_not_stop_the_accuracy_from_being_read() -> None:
    rows = [row("ticket", 0, math.nan, metric="test_loss"), row("ticket", 0, 0.1)]
    assert len(group_rows(rows, metric="test_accuracy")) == 1


def test_a_repeated_row_is_an_error() -> None:
    with pytest.raises(TicketError, match="twice"):
        group_rows([row("ticket", 0, 0.9), row("ticket", 0, 0.9)], metric="test_accuracy")


def test_paired_difference_removes_what_seeds_share() -> None:
    # The seeds differ by 0.1, the ticket is 0.01, 0.02, 0.03 above dense: mean 0.02, std 0.01.
    rows = [row("dense", s, v) for s, v in enumerate([0.7, 0.8, 0.9])]
    rows += [row("ticket", s, v) for s, v in enumerate([0.71, 0.82, 0.93])]
    dense, ticket = group_rows(rows, metric="test_accuracy")
    difference = paired_difference(ticket, dense)
    assert difference.mean == pytest.approx(0.02)
    assert difference.std == pytest.approx(0.01)
    assert difference.half_width == pytest.approx(0.02484, abs=5e-6)


def test_paired_difference_uses_shared_seeds_only() -> None:
    rows = [row("dense", 0, 0.5), row("dense", 1, 0.6), row("ticket", 1, 0.7), row("ticket", 2, 0.9)]
    dense, ticket = group_rows(rows, metric="test_accuracy")
    assert paired_difference(ticket, dense).n == 1
    assert paired_difference(ticket, dense).mean == pytest.approx(0.1)


def test_no_shared_seed_means_no_difference() -> None:
    dense, ticket = group_rows([row("dense", 0, 0.5), row("ticket", 1, 0.7)], metric="test_accuracy")
    assert paired_difference(ticket, dense) is None


def test_dense_is_of_level_0_whatever_its_rows_say() -> None:
    rows = [row("dense", 0, 0.5), row("dense", 1, 0.7) | {"level": 3, "sparsity": 0.488}]
    (dense,) = group_rows(rows)
    assert (dense.key.level, dense.sparsity, dense.by_seed) == (0, 0.0, {0: 0.5, 1: 0.7})
    with pytest.raises(TicketError, match="is there twice"):
        group_rows([*rows, row("dense", 0, 0.6) | {"level": 3}])


def test_targets_beside_the_source_are_told_by_fingerprint_or_else_by_name() -> None:
    rows = [row("ticket", 0, 0.5, target=target) for target in ("mnist", "letters", "digits")]
    assert carried_to(rows, None, {"mnist"}) == ["digits", "letters"]
    stated = [one | {"data": data} for one, data in zip(rows, ("b", "a", None), strict=True)]
    assert carried_to(stated, "a", {"mnist"}) == ["digits", "mnist"]
    assert carried_to([*stated, stated[1] | {"data": "b"}], "a", ()) == ["digits", "letters", "mnist"]


def test_dense_of_takes_the_same_target() -> None:
    rows = [row("dense", 0, 0.5, target="kmnist"), row("dense", 0, 0.6), row("ticket", 0, 0.7)]
    groups = group_rows(rows, metric="test_accuracy")
    ticket = next(g for g in groups if g.key.arm == "ticket")
    assert dense_of(ticket, groups).by_seed == {0: 0.6}
    assert dense_of(ticket, [ticket]) is None


def test_each_target_is_compared_by_the_metric_that_decides_there() -> None:
    rows = [row("dense", 0, 0.9), row("ticket", 0, 0.8)]
    rows += [row("dense", 0, 0.7, target="quiz", metric="test_exact_match")]
    rows += [row("dense", 0, 0.6, target="quiz", metric="test_f1") | {"decides": True}]
    assert deciding_metrics(rows) == {"mnist": "test_accuracy", "quiz": "test_f1"}
    found = [(group.key.target, group.metric, group.by_seed) for group in group_rows(rows)]
    assert found == [
        ("mnist", "test_accuracy", {0: 0.9}),
        ("mnist", "test_accuracy", {0: 0.8}),
        ("quiz", "test_f1", {0: 0.6}),
    ]
    (asked,) = group_rows(rows, metric="test_exact_match")
    assert (asked.metric, asked.by_seed) == ("test_exact_match", {0: 0.7})


LABELS = ticket_labels(ticket="t", level=1, sparsity=0.2, target="quiz", seed=0)


def test_rows_of_a_record_mark_the_metric_that_decides_unless_it_is_accuracy() -> None:
    final = {"step": 9, "train_loss": 2.0, "test_f1": 0.5, "test_accuracy": 0.75, "test_loss": 1.0}
    rows = rows_of(Record(final=final), F1, **LABELS)
    assert [(r["metric"], r["value"], r.get("decides")) for r in rows] == [
        ("test_accuracy", 0.75, None),
        ("test_f1", 0.5, True),
        ("test_loss", 1.0, None),
        ("train_loss", 2.0, None),
    ]
    assert all((r["arm"], r["at"], r["step"]) == ("ticket", "final", 9) for r in rows)
    assert not any("decides" in r for r in rows_of(Record(final=final), ACCURACY, **LABELS))


def test_rows_of_a_metric_of_which_less_is_better_say_so() -> None:
    final = {"step": 9, "test_bits": 1.5, "validation_bits": 1.25, "test_perplexity": 2.8}
    marked = [
        {
            row["metric"]: row["higher_is_better"]
            for row in rows_of(Record(final=final), metric, **LABELS)
            if "decides" in row
        }
        for metric in (Metric("bits", higher_is_better=False), PERPLEXITY)
    ]
    assert marked == [{"test_bits": False}, {"test_perplexity": False}]
    rising = rows_of(Record(final=final), Metric("bits"), **LABELS)
    assert [list(row) for row in rising if "decides" in row] == [[*LABELS, "at", "step", "metric", "value", "decides"]]


def test_a_registered_metric_keeps_its_direction() -> None:
    assert METRICS.put(Metric("loss", higher_is_better=False)) == METRICS["loss"]
    with pytest.raises(TicketzooError, match="metric 'loss' is registered already"):
        METRICS.put(Metric("loss"))


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308])
def test_numbers_that_cannot_be_averaged_are_an_error(value: Any) -> None:
    with pytest.raises(TicketError, match="no finite number"):
        group_rows([row("ticket", 0, value)], metric="test_accuracy")
