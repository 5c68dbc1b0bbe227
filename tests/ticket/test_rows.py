"""results.jsonl of a stranger: rows, or one line that names the row."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import ROW, forge, toy_ticket

from ticketzoo import judge
from ticketzoo.errors import TicketError
from ticketzoo.evaluation import verdict
from ticketzoo.evaluation.evidence import ticket_card
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.rows import MAX_ROW_BYTES, check_rows, read_rows
from ticketzoo.zoo.summary import read_summary

SECOND = ROW | {"seed": 3}


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_rows_are_given_as_they_are_written() -> None:
    null = ROW | {"metric": "test_loss", "value": None, "of_a_later_version": [1]}
    assert read_rows(lines(ROW, SECOND, null), "r") == [ROW, SECOND, null]
    assert read_rows(b"", "r") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"level": "1"}, "level: Input should be a valid integer"),
        ({"level": 1.5}, "level: Input should be a valid integer"),
        ({"level": -1}, "level: Input should be greater than or equal to 0"),
        ({"level": 10**30}, "level: Input should be less than or equal to 10000"),
        ({"level": True}, "level: Input should be a valid integer"),
        ({"sparsity": 1}, "sparsity: Input should be less than 1"),
        ({"sparsity": "0.5"}, "sparsity: Input should be a valid number"),
        ({"ticket": None}, "ticket: Input should be a valid string"),
        ({"arm": ["ticket"]}, "arm: Input should be a valid string"),
        ({"target": "x" * 1001}, "target: String should have at most 1000 characters"),
        ({"seed": 2**63}, "seed: Input should be less than"),
        ({"draw": 0.0}, "draw: Input should be a valid integer"),
        ({"at": "worst"}, "at: Input should be 'final' or 'best'"),
        ({"step": 1e308}, "step: Input should be a valid integer"),
        ({"metric": "accuracy"}, "metric: String should match pattern"),
        ({"value": "0.5"}, "value: '0.5' is no finite number"),
        ({"value": True}, "value: True is no finite number"),
        ({"value": [0.5]}, "value: [0.5] is no finite number"),
        ({"value": 1e151}, "value: 1e+151 is no finite number"),
        ({"value": 10**4000}, "value: a number of 13288 bits is no finite number"),
        ({"value": 1.5}, "1.5 cannot be: test_accuracy is from 0 to 1"),
        ({"value": -0.1}, "-0.1 cannot be: test_accuracy is from 0 to 1"),
        ({"value": 2, "metric": "validation_f1"}, "2 cannot be: validation_f1 is from 0 to 1"),
        ({"value": -1.5, "metric": "test_matthews"}, "-1.5 cannot be: test_matthews is from -1 to 1"),
        ({"value": None}, "value: None is no finite number, of the metric that decides"),
        ({"decides": 1}, "decides: Input should be a valid boolean"),
        ({"higher_is_better": None}, "higher_is_better: Input should be a valid boolean"),
        ({"seed": 7}, "was measured already in row 1"),
        ({"ticket": "another"}, "ticket: is about 'another', and row 1 about 'toy.numbers-imp'"),
        ({"x": "y" * MAX_ROW_BYTES}, "more than the 8,192 of a row"),
    ],
)
def test_a_row_that_is_none_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(TicketError) as refused:
        read_rows(lines(ROW, SECOND | change), "results.jsonl")
    assert str(refused.value).startswith("results.jsonl line 2: ")
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


def test_values_at_the_bounds_and_unbounded_ones_are_rows() -> None:
    rows = [ROW | {"metric": "test_loss", "value": -3.0}, ROW | {"value": 1.0}, SECOND | {"value": 0.0}]
    assert read_rows(lines(*rows), "r") == rows


def test_judging_refuses_an_accuracy_above_one() -> None:
    with pytest.raises(TicketError, match=r"row 2: value: 1\.1 cannot be: test_accuracy is from 0 to 1"):
        verdict.judge([ROW, SECOND | {"value": 1.1}])


@pytest.mark.parametrize("column", sorted(ROW))
def test_every_column_must_be_there_where_something_is_computed(column: str) -> None:
    row = {key: value for key, value in ROW.items() if key != column}
    assert read_rows(lines(row), "r") == [row]
    for use in (lambda: check_rows([row]), lambda: verdict.judge([row])):
        with pytest.raises(TicketError, match=f"row 1: {column}: Field required"):
            use()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]\n", "line 1: must be a JSON object"),
        (b"\n" * 1000, "line 1: not valid JSON"),
        (b"\xff\xfe", "line 1: not valid JSON: byte 0 is not UTF-8"),
        (lines(ROW) + b'{"value": NaN}', "line 2: not valid JSON: NaN is not a number"),
        (lines(ROW) + b'{"value": 1e999}', "line 2: not valid JSON: number 1e999 is out of range"),
        (lines(ROW)[:-2] + b', "seed": 8}', "line 1: not valid JSON: a key appears twice in one object"),
        (b"[" * 5000, "line 1: not valid JSON"),
        (b'{"value": ' + b"9" * 5000 + b"}", "line 1: not valid JSON: a number has 5,000 digits, more than 4,300"),
    ],
)
def test_a_line_that_is_no_json_is_named(content: bytes, said: str) -> None:
    with pytest.raises(TicketError) as refused:
        read_rows(content, "results.jsonl")
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


def test_two_metrics_that_decide_are_a_contradiction() -> None:
    rows = [ROW | {"metric": f"test_{name}", "decides": True} for name in ("f1", "loss")]
    with pytest.raises(TicketError, match="line 1: decides: target 'toy' is compared by 'test_f1', and another row"):
        read_rows(lines(*rows), "r")


def test_more_rows_than_a_ticket_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketzoo.ticket.rows.MAX_ROWS", 2)
    assert len(read_rows(lines(ROW, SECOND), "r")) == 2
    with pytest.raises(TicketError, match="r: more than 2 rows"):
        read_rows(lines(ROW, SECOND, SECOND), "r")


def test_a_file_of_line_ends_takes_no_memory() -> None:
    content = b"\n" * 2**20  # as a list of lines it would be 40 MB
    tracemalloc.start()
    try:
        with pytest.raises(TicketError):
            read_rows(content, "r")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_more_bytes_than_a_ticket_may_have_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toy_ticket().save_pretrained(tmp_path / "toy")
    monkeypatch.setitem(__import__("ticketzoo.ticket.stored").ticket.stored.MOST_BYTES, "results.jsonl", 10)
    with pytest.raises(TicketError, match=r"results.jsonl: \d+ bytes, more than the 10 that a ticket may have"):
        _ = Ticket.from_pretrained(folder).results


def test_bad_rows_are_one_line_wherever_they_are_read(tmp_path: Path) -> None:
    folder = toy_ticket().save_pretrained(tmp_path / "toy")
    forge(folder, "results.jsonl", lines(ROW, SECOND | {"level": "1"}))
    ticket, summary = Ticket.from_pretrained(folder), read_summary(folder)
    assert ticket.masks  # the ticket itself is sound
    for read in (
        lambda: ticket.results,
        lambda: judge(ticket),
        lambda: ticket_card(ticket.config, ticket.results),
    ):
        with pytest.raises(TicketError, match=r"results.jsonl line 2: level: Input should be a valid integer"):
            read()
    assert "unreadable" in summary.cells()
    assert summary.as_json()["name"] == "toy.numbers-imp"


def test_changing_results_does_not_change_the_ticket() -> None:
    ticket = toy_ticket(results=[ROW])
    ticket.results[0]["value"] = 1.0
    assert ticket.results == [ROW]
