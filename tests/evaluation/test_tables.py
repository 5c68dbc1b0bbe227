import html
import io
import re
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.tables import Table, arms_table, transfer_table

SPARSITY = {0: 0.0, 3: 0.488, 6: 0.738}


def rows(
    arm: str,
    values: Any,
    *,
    level: int = 3,
    target: str = "mnist",
    ticket: str = "lenet",
    metric: str = "test_accuracy",
    at: str = "final",
) -> list[dict[str, Any]]:
    level = 0 if arm == "dense" else level
    return [
        {
            "ticket": ticket, "level": level, "sparsity": SPARSITY[level], "arm": arm, "target": target, "seed": seed,
            "draw": 0, "at": at, "step": 100, "metric": metric, "value": value,
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip


def printed(table: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table.rich())
    return console.file.getvalue()


DENSE = rows("dense", [0.97, 0.98, 0.99])


def test_arms_table_has_a_line_for_each_level_with_intervals_in_percent() -> None:
    # Three seeds 0.97, 0.98, 0.99: mean 98, half-width 2.484 points, which passes 100.
    table = arms_table(DENSE + rows("ticket", [0.98] * 3) + rows("random_mask", [0.9, 0.9]), target="mnist")
    assert table.columns == ("level", "sparsity", "ticket", "dense", "random mask", "verdict")
    assert table.rows == (
        ("0", "0.000", "", "98.00 (97.00 to 99.00)", "", ""),
        ("3", "0.488", "98.00 ± 0.00", "", "90.00 ± 0.00 (n=2)", "undecided"),
    )
    assert table.caption == (
        "Test accuracy (%) at the end of training on mnist: mean over 3 seeds ± half-width of its 95% interval. "
        "In brackets: smallest and largest, where the interval would pass a bound. n: seeds, where fewer."
    )


def test_the_best_guess_is_a_line_and_no_arm() -> None:
    guess = [row | {"level": 0, "sparsity": 0.0} for row in rows("chance", [0.1135] * 3)]
    table = arms_table(DENSE + rows("ticket", [0.98] * 3) + guess, target="mnist")
    assert table.columns == ("level", "sparsity", "ticket", "dense", "verdict")
    assert table.caption.endswith(" A guess without a look at the input: 11.35 at best.")


def test_the_caption_says_what_was_never_trained() -> None:
    as_it_is = [
        row | {"trained": False, "step": 0} for row in rows("ticket", [0.9] * 3) + rows("random_mask", [0.1] * 3)
    ]
    for table, ends in (
        (arms_table(DENSE + as_it_is, target="mnist"), " on mnist: "),
        (transfer_table(DENSE + as_it_is), ", ticket minus dense by seed: "),
    ):
        assert f" of networks as they are, untrained (dense at the end of training){ends}" in table.caption


def test_arms_table_shows_one_target_only() -> None:
    other = rows("dense", [0.5] * 3, target="kmnist") + rows("ticket", [0.6] * 3, target="kmnist")
    table = arms_table(DENSE + rows("ticket", [0.98] * 3) + other, target="kmnist")
    assert [line[2:4] for line in table.rows] == [("", "50.00 ± 0.00"), ("60.00 ± 0.00", "")]


def test_a_loss_is_no_percentage_and_less_of_it_is_better() -> None:
    losses = rows("dense", [0.1, 0.1], metric="test_loss", at="best")
    losses += rows("ticket", [0.2, 0.2], metric="test_loss", at="best")
    table = arms_table(losses, target="mnist", metric="test_loss", at="best")
    assert table.rows[1] == ("3", "0.488", "0.2000 ± 0.0000", "", "below")
    assert table.caption.startswith("Test loss (less is better) at the step of minimum validation loss on mnist: mean")


def test_one_seed_shows_no_interval() -> None:
    table = arms_table(rows("dense", [0.9]) + rows("ticket", [0.8]), target="mnist")
    assert table.rows[1] == ("3", "0.488", "80.00", "", "not measured")
    assert table.caption.endswith("one seed, so no interval.")


def test_transfer_table_is_the_paired_difference_in_points() -> None:
    # 0.96 - 0.97, 0.98 - 0.98, 0.97 - 0.99 = -1, 0, -2 points: mean -1, standard deviation 1, half-width 2.48.
    measured = DENSE + rows("ticket", [0.96, 0.98, 0.97])
    measured += rows("dense", [0.5] * 3, target="kmnist") + rows("ticket", [0.51] * 3, target="kmnist")
    measured += rows("ticket", [0.9] * 3, target="kmnist", level=6)
    table = transfer_table(measured)
    assert table.columns == ("ticket", "level", "sparsity", "kmnist", "mnist")
    assert table.rows == (
        ("lenet", "3", "0.488", "+1.00 ± 0.00", "-1.00 ± 2.48"),
        ("lenet", "6", "0.738", "+40.00 ± 0.00", ""),
    )
    assert "(percentage points)" in table.caption


def test_markdown_and_terminal_show_the_same_cells() -> None:
    table = arms_table(DENSE + rows("ticket", [0.98] * 3), target="mnist")
    assert table.markdown().splitlines()[2:] == [
        "| level | sparsity | ticket | dense | verdict |",
        "| --: | --: | --: | --: | :-- |",
        "| 0 | 0.000 |  | 98.00 (97.00 to 99.00) |  |",
        "| 3 | 0.488 | 98.00 ± 0.00 |  | undecided |",
    ]
    for cell in ("0.488", "98.00 (97.00 to 99.00)", "undecided"):
        assert cell in printed(table)


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a|b", "**bold**", "_it_", "[x](http://e)", "`code`", "~~no~~", "&amp;", "\\|"],
)
def test_names_from_outside_stay_plain_words_in_markdown(name: Any) -> None:
    measured = [{**row, "ticket": name, "target": name} for row in DENSE + rows("ticket", [0.98] * 3)]
    page = MarkdownIt().enable(["table", "strikethrough"]).render(transfer_table(measured).markdown())
    assert set(re.findall(r"<(\w+)", page)) == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page)
    assert [html.unescape(cells[3]), html.unescape(cells[4])] == [name, name]
    assert len(cells) == 8


def test_names_from_outside_cannot_steer_the_terminal() -> None:
    measured = [{**row, "target": "m\x1b[2Jnist\u202e[red]"} for row in DENSE + rows("ticket", [0.98] * 3)]
    text = printed(transfer_table(measured))
    assert "\x1b" not in text and "\u202e" not in text
    assert "[red]" in text


def test_nothing_measured_is_an_empty_table_that_says_so() -> None:
    assert arms_table([], target="mnist").caption.endswith("nothing measured.")
    assert transfer_table([]).rows == ()


def deciding(measured: Any) -> list[dict[str, Any]]:
    return [row | {"decides": True} for row in measured]


@pytest.mark.parametrize(
    ("metric", "caption"),
    [
        ("test_f1", "Test F1 (%)"),
        ("test_exact_match", "Test exact match (%)"),
        ("test_matthews", "Test Matthews correlation (x 100)"),
        ("test_spearman", "Test Spearman rank correlation (x 100)"),
    ],
)
def test_arms_table_shows_the_metric_of_its_target(metric: str, caption: str) -> None:
    measured = deciding(rows("dense", [0.88], metric=metric)) + rows("dense", [0.5])
    table = arms_table(measured, target="mnist")
    assert table.caption.startswith(f"{caption} at the end of training on mnist")
    assert table.rows == (("0", "0.000", "88.00"),)


def test_perplexity_has_no_unit() -> None:
    measured = rows("dense", [12.5], metric="test_perplexity") + rows("ticket", [13.5], metric="test_perplexity")
    table = arms_table(measured, target="mnist", metric="test_perplexity")
    assert table.caption.startswith("Test perplexity (less is better) at the end")
    assert table.rows == (("0", "0.000", "", "12.5000", ""), ("3", "0.488", "13.5000", "", "not measured"))


def test_a_metric_that_only_its_rows_know_is_shown_plain_with_its_direction() -> None:
    stated = {"decides": True, "higher_is_better": False}
    measured = [row | stated for row in rows("dense", [4.0], metric="test_bits", target="words")]
    measured += [row | stated for row in rows("ticket", [3.5], metric="test_bits", target="words")]
    table = arms_table(measured, target="words")
    assert table.caption.startswith("Test bits (less is better) at the end of training on words")
    assert table.rows[1][2] == "3.5000"
    both = transfer_table(measured + rows("dense", [0.9]) + rows("ticket", [0.8]))
    assert both.columns[3:] == ("mnist (accuracy)", "words (bits, less is better)")
    assert both.rows == (("lenet", "3", "0.488", "-10.00", "-0.5000"),)
    assert both.caption.startswith("Each target's metric (fractions and correlations x 100) at the end")


def test_an_arm_that_this_version_does_not_know_comes_after_the_known_ones() -> None:
    measured = DENSE + rows("sign_flip", [0.5] * 3) + rows("a<b>|c", [0.4] * 3) + rows("random_mask", [0.9] * 3)
    table = arms_table(measured, target="mnist")
    assert table.columns[2:] == ("dense", "random mask", "a<b>|c", "sign_flip", "verdict")
    assert table.rows[1][2:] == ("", "90.00 ± 0.00", "40.00 ± 0.00", "50.00 ± 0.00", "not measured")


@pytest.mark.parametrize("column", ["arm", "level", "metric", "draw", "seed"])
@pytest.mark.parametrize("value", [None, [], {"a": 1}, "missing"])
def test_a_row_of_a_stranger_that_is_none_is_an_error_of_ours(column: Any, value: Any) -> None:
    broken = rows("ticket", [0.9])[0] | {column: value}
    if value == "missing":
        del broken[column]
    with pytest.raises(TicketError, match=f"results: row 2: {column}: .*; measure it again") as error:
        arms_table([rows("dense", [0.9])[0], broken], target="mnist")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mark", [{"decides": "yes"}, {"higher_is_better": 0}, {"higher_is_better": None}])
def test_marks_of_a_stranger_s_row_are_booleans(mark: Any) -> None:
    with pytest.raises(TicketError, match=f"row 1: {next(iter(mark))}: "):
        transfer_table([row | mark for row in rows("dense", [0.9])])


def test_a_notebook_shows_the_table_with_every_name_escaped() -> None:
    name = "<script>alert(1)</script>\x1b[2J"
    table = arms_table([row | {"target": name, "arm": name} for row in rows("ticket", [0.98] * 3)], target=name)
    shown = table._repr_html_()
    assert set(re.findall(r"<(\w+)", shown)) == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert "\x1b" not in shown
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", shown)]
    assert cells == list(table.rows[0])
    assert table._repr_markdown_() == table.markdown()


def test_transfer_table_heads_each_target_with_its_metric_where_they_differ() -> None:
    measured = rows("dense", [0.9]) + rows("ticket", [0.8])
    measured += deciding(rows("dense", [0.2], target="cola", metric="test_matthews"))
    measured += deciding(rows("ticket", [0.3], target="cola", metric="test_matthews"))
    table = transfer_table(measured)
    assert table.columns[3:] == ("cola (Matthews correlation)", "mnist (accuracy)")
    assert table.rows == (("lenet", "3", "0.488", "+10.00", "-10.00"),)
    assert table.caption.startswith("Each target's metric (x 100) at the end of training, ticket minus dense by seed")
    only_cola = transfer_table([row for row in measured if row["target"] == "cola"])
    assert only_cola.columns[3:] == ("cola",)
    assert only_cola.caption.startswith("Test Matthews correlation (x 100) at the end")


def test_a_table_folds_to_the_first_values_of_a_column() -> None:
    table = Table("x", ("layer", "n"), "lr", (("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")))
    assert table.folded("layer", 2) == (Table("x", ("layer", "n"), "lr", (("a", "1"), ("b", "2"), ("a", "3"))), 1)
    assert table.folded("layer", 3) == (table, 0)
    assert table.folded("masks", 1) == (table, 0)
