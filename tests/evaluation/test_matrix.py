"""Sources by targets, by hand: two or four sources, three seeds."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ticketzoo.evaluation.matrix import About, Data, matrices, own_tickets
from ticketzoo.evaluation.matrix_plot import plot_matrix
from ticketzoo.evaluation.matrix_tables import matrix_json, matrix_sections, matrix_sentences, matrix_table
from ticketzoo.evaluation.scarce import series_of


def row(ticket: str, target: str, level: int, arm: str, seed: int, value: float, **keys: Any) -> dict[str, Any]:
    sparsity = 1 - 0.5**level
    return {
        "ticket": ticket, "level": level, "sparsity": sparsity, "arm": arm, "target": target, "seed": seed, "draw": 0,
        "at": "final", "step": 10, "metric": "test_accuracy", "value": value, **keys,
    }  # fmt: skip


def data(name: str | None, examples: int | None = None, classes: int | None = None, series: str | None = None) -> Data:
    return {"data": name, "examples": examples, "classes": classes, "series": series}


def cells(gains: Mapping[tuple[str, str], Sequence[float]], level: int = 1, **keys: Any) -> list[dict[str, Any]]:
    """Tickets that are above dense, 0.5 throughout, by so much with each seed."""
    return [
        one
        for (ticket, target), of_seed in gains.items()
        for seed, gain in enumerate(of_seed)
        for one in (
            row(ticket, target, level, "ticket", seed, 0.5 + gain, **keys),
            *([row(ticket, target, 0, "dense", seed, 0.5, **keys)] if level == 1 else []),
        )
    ]


TWO: About = {
    "sources": {"one": data("a", 100, 5), "other": data("b", 400, 10)},
    "targets": {"first": data("a", 100, 5), "second": data("b", 400, 10)},
}
ROWS = cells(
    {
        ("one", "first"): [0.02, 0.04, 0.06],
        ("one", "second"): [0.00, 0.00, 0.00],
        ("other", "first"): [0.01, 0.03, 0.05],
        ("other", "second"): [0.03, 0.03, 0.03],
    }
)


def rounded(of: Mapping[Any, Mapping[int, float]]) -> dict[Any, list[float]]:
    return {key: [round(value, 9) for value in by_seed.values()] for key, by_seed in of.items()}


def test_ticket_minus_own_is_exactly_0_on_the_diagonal() -> None:
    (matrix,) = matrices(ROWS, TWO)
    assert own_tickets(TWO) == {"first": "one", "second": "other"} == matrix.own
    assert [set(matrix.over_own[cell].values()) for cell in (("one", "first"), ("other", "second"))] == [{0.0}, {0.0}]
    assert rounded(matrix.over_own)["other", "first"] == [-0.01] * 3
    assert rounded(matrix.over_own)["one", "second"] == [-0.03] * 3


def test_means_of_rows_and_columns_are_paired_by_seed() -> None:
    (matrix,) = matrices(ROWS, TWO)
    assert rounded(matrix.rows) == {"one": [0.01, 0.02, 0.03], "other": [0.02, 0.03, 0.04]}
    assert rounded(matrix.columns) == {"first": [0.015, 0.035, 0.055], "second": [0.015] * 3}
    assert rounded(matrix.rows_over_own) == {"one": [-0.03] * 3, "other": [-0.01] * 3}, "each elsewhere"
    assert {source: (rank.mean, rank.n) for source, rank in matrix.ranks.items()} == {"one": (2, 3), "other": (1, 3)}


def test_the_tables_say_what_they_are() -> None:
    (matrix,) = matrices(ROWS, TWO)
    over_dense, over_own = (matrix_table(ROWS, TWO, matrix, over_own=own) for own in (False, True))
    assert over_dense.columns == ("source", "examples", "classes", "first", "second", "mean", "rank")
    # Seeds 0.02, 0.04, 0.06 have a standard deviation of 2 points: 4.3027 * 2 / sqrt(3) = 4.97.
    assert over_dense.rows == (
        ("one", "100", "5", "+4.00 ± 4.97", "0", "+2.00 ± 2.48", "2.0 [2.0, 2.0]"),
        ("other", "400", "10", "+3.00 ± 4.97", "+3.00 ± 0.00", "+3.00 ± 2.48", "1.0 [1.0, 1.0]"),
        ("mean", "", "", "+3.50 ± 4.97", "+1.50 ± 0.00", "", ""),
    )
    assert over_dense.caption.startswith(
        "Test accuracy (percentage points) at the end of training at a sparsity of 0.500, ticket minus dense by seed."
    )
    assert over_own.columns == ("source", "examples", "classes", "first", "second", "mean elsewhere")
    assert over_own.rows == (
        ("one", "100", "5", "0", "-3.00 ± 0.00", "-3.00 ± 0.00"),
        ("other", "400", "10", "-1.00 ± 0.00", "0", "-1.00 ± 0.00"),
    )
    assert "No ticket of the recipe" not in over_own.caption


def test_a_target_without_an_own_ticket_is_named() -> None:
    about: About = {"sources": TWO["sources"], "targets": TWO["targets"] | {"second": data("c")}}
    (matrix,) = matrices(ROWS, about)
    assert matrix.own == {"first": "one"}
    assert set(matrix.over_own) == {("one", "first"), ("other", "first")}
    table = matrix_table(ROWS, about, matrix, over_own=True)
    assert "No ticket of the recipe was found on the data of second." in table.caption
    assert [line[4] for line in table.rows] == ["", ""]


def test_two_sources_of_one_data_set_leave_the_first_as_the_own_ticket() -> None:
    about: About = {"sources": {"one": data("a"), "other": data("a")}, "targets": TWO["targets"]}
    assert own_tickets(about) == {"first": "one"}
    assert own_tickets({"sources": {"one": data(None)}, "targets": {"first": data(None)}}) == {}, "nothing is known"


def test_each_level_has_a_matrix_and_sparsities_may_have_other_numbers() -> None:
    gains = {(one, to): [0.01, 0.02] for one in ("one", "other") for to in ("first", "second")}
    deeper = [row | ({"level": 7} if row["ticket"] == "other" else {}) for row in cells(gains, level=3)]
    found = matrices(cells(gains) + deeper, TWO)
    assert [(matrix.sparsity, len(matrix.over_dense)) for matrix in found] == [(0.5, 4), (0.875, 4)]


def test_where_less_is_better_the_lowest_row_is_first() -> None:
    keys = {"metric": "test_perplexity", "decides": True, "higher_is_better": False}
    rows = [one | keys for one in ROWS]
    (matrix,) = matrices(rows, TWO)
    assert {source: rank.mean for source, rank in matrix.ranks.items()} == {"one": 1, "other": 2}
    assert "less is better" in matrix_table(rows, TWO, matrix).caption


def test_targets_of_different_metrics_have_no_mean() -> None:
    rows = [one | ({"metric": "test_f1", "decides": True} if one["target"] == "second" else {}) for one in ROWS]
    (matrix,) = matrices(rows, TWO)
    assert (matrix.rows, matrix.ranks) == ({}, {})
    assert matrix_sentences(rows, TWO, [matrix]) == [
        "At a sparsity of 0.500: no mean of a source, as targets have different metrics"
    ]


def test_a_row_mean_is_over_the_targets_that_all_sources_have() -> None:
    (matrix,) = matrices(ROWS + cells({("one", "third"): [0.4, 0.4, 0.4]}), TWO)
    assert matrix.common == ["first", "second"]
    assert rounded(matrix.rows)["one"] == [0.01, 0.02, 0.03]


SIZES = {"s": (1_000, 10), "m": (4_000, 10), "l": (4_000, 20), "xl": (64_000, 10)}
FOUR: About = {
    "sources": {name: data(name, *known) for name, known in SIZES.items()},
    "targets": {"first": data("x"), "second": data("y")},
}


def test_the_row_mean_is_fitted_on_log_examples_and_classes() -> None:
    """Gains of 0.3 points a doubling and -0.1 a class, and a shift for each seed, which is no slope."""
    gains = {
        (name, target): [0.003 * math.log2(examples) - 0.001 * classes + 0.01 * seed for seed in range(3)]
        for name, (examples, classes) in SIZES.items()
        for target in ("first", "second")
    }
    rows = cells(gains)
    (matrix,) = matrices(rows, FOUR)
    of_examples, of_classes = matrix.slopes(FOUR["sources"]) or (None, None)
    assert of_examples and of_classes
    assert (of_examples.mean, of_classes.mean) == (pytest.approx(0.003), pytest.approx(-0.001))
    assert of_examples.std == pytest.approx(0, abs=1e-12)
    rho = matrix.spearman({name: float(examples) for name, (examples, _) in SIZES.items()})
    assert rho and rho.mean == pytest.approx(0.632456)  # ranks 1, 2.5, 2.5, 4 against 2, 3, 1, 4: 3 / sqrt(4.5 * 5)
    (said,) = matrix_sentences(rows, FOUR, [matrix])
    assert said == (
        "At a sparsity of 0.500, Spearman of a source's mean with examples +0.63 [+0.63, +0.63] and with classes "
        "-0.77 [-0.77, -0.77]; fitted together: +0.30 ± 0.00 a doubling of examples, -0.10 ± 0.00 a class (4 sources)."
    )
    unknown = {name: data | ({"examples": None} if name == "s" else {}) for name, data in FOUR["sources"].items()}
    (said,) = matrix_sentences(rows, {**FOUR, "sources": unknown}, [matrix])
    assert "with examples +0.87 [+0.87, +0.87] (of the 3 where it is known) and with classes -0.77 [" in said


def test_two_sources_have_no_correlation_and_the_sentence_says_how_many_it_needs() -> None:
    (matrix,) = matrices(ROWS, TWO)
    (said,) = matrix_sentences(ROWS, TWO, [matrix])
    needs = "a correlation of sources with their examples and classes needs at least three sources"
    assert said == f"At a sparsity of 0.500: {needs}, and there are 2."


def test_no_slope_of_too_few_sources_or_of_what_cannot_be_told_apart() -> None:
    gains = {(name, "first"): [0.01 * place] for place, name in enumerate(SIZES)}
    rows = cells(gains)
    few: About = {"sources": {**FOUR["sources"], "s": data("s")}, "targets": FOUR["targets"]}
    same: About = {
        "sources": {name: data(name, 2**place, place) for place, name in enumerate(SIZES, start=1)},
        "targets": FOUR["targets"],
    }
    for about in (few, same):
        (matrix,) = matrices(rows, about)
        assert matrix.slopes(about["sources"]) is None
    (matrix,) = matrices(ROWS, TWO)
    assert matrix.spearman({"one": 1.0, "other": 2.0}) is None


def test_the_gain_of_scarce_data_falls_with_examples() -> None:
    sizes = {"e-100": 100, "e-300": 300, "e": 1000}
    about: About = {
        "sources": {"big": data("big"), "own-100": data("e-100", 100)},
        "targets": {name: data(name, size, 9, "e") for name, size in sizes.items()} | {"other": data("o", 5)},
    }
    gains = {("big", name): [4 / size, 5 / size, 6 / size] for name, size in sizes.items()}
    gains |= {("own-100", "e-100"): [0.01] * 3, ("big", "other"): [0.0] * 3}
    (one,) = series_of(cells(gains), about)
    assert (one.name, one.source, one.arm, list(one.gaps)) == ("e", "big", "ticket", [100, 300, 1000])
    assert one.spearman and (one.spearman.mean, one.spearman.n) == (-1.0, 3)
    text = matrix_sections(cells(gains), about)[-1].replace("\\", "")
    assert "| source | arm | sparsity | 100 | 300 | 1,000 | Spearman |" in text
    assert "| big | ticket | 0.500 | +5.00 ± 2.48 | +1.67 ± 0.83 | +0.50 ± 0.25 | -1.00 [-1.00, -1.00] |" in text
    fewer = {name: one for name, one in about["targets"].items() if name != "e"}
    two: About = {"sources": about["sources"], "targets": fewer}
    assert series_of(cells(gains), two) == [], "two sizes are no series"


def test_the_own_ticket_of_each_size_is_a_line_of_its_own() -> None:
    names = ["e-1", "e-2", "e-3"]
    about: About = {
        "sources": {name: data(name) for name in names},
        "targets": {name: data(name, size, 9, "e") for size, name in enumerate(names, start=1)},
    }
    gains = {(source, target): [0.01 * (source == target)] for source in names for target in names}
    own = [one for one in series_of(cells(gains), about) if one.source is None]
    assert [rounded(one.gaps) for one in own] == [{1: [0.01], 2: [0.01], 3: [0.01]}]


def test_json_holds_all_that_gives_it_again() -> None:
    content = json.loads(json.dumps(matrix_json(ROWS, TWO)))
    assert {key: content[key] for key in ("sources", "targets")} == TWO
    assert matrix_json(ROWS, {"sources": content["sources"], "targets": content["targets"]}) == matrix_json(ROWS, TWO)
    (level,) = content["levels"]
    assert level["over_own"]["one"]["first"] | {"by_seed": 0} == {
        "n": 3, "mean": 0.0, "std": 0.0, "low": 0.0, "high": 0.0, "ranged": False, "by_seed": 0,
    }  # fmt: skip
    assert level["rows"]["one"]["mean"] == pytest.approx(0.02)
    assert level["ranks"]["other"]["mean"] == 1


def test_the_heat_map_gives_the_same_bytes_and_needs_a_difference(tmp_path: Path) -> None:
    found = matrices(ROWS, TWO)
    for over_own in (False, True):
        first, again = (tmp_path / f"{number}-{over_own}.png" for number in (1, 2))
        plot_matrix(ROWS, found, first, over_own=over_own)
        plot_matrix(list(reversed(ROWS)), found, again, over_own=over_own)
        assert first.read_bytes() == again.read_bytes()
    with pytest.raises(ValueError, match="with the ticket of its own data: there is no difference to draw"):
        plot_matrix(ROWS, matrices(ROWS, {"sources": {}, "targets": {}}), over_own=True)
