from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ticketzoo.recipe import Steps


@pytest.mark.parametrize(
    ("text", "steps_per_epoch", "iterations"),
    [
        ("500it", 100, 500),
        ("0it", 100, 0),
        ("2ep", 391, 782),
        ("0.5ep", 391, 196),  # 195.5, a half goes to the even neighbour
        ("0.5ep", 393, 196),  # 196.5
        ("0.1ep", 7, 1),  # 0.7
        ("0.01ep", 7, 0),
        ("1.25ep", 4, 5),
    ],
)
def test_steps_are_iterations_or_epochs(text: str, steps_per_epoch: int, iterations: int) -> None:
    assert Steps.parse(text).iterations(steps_per_epoch) == iterations


@pytest.mark.parametrize(
    "text", ["5", "5 ep", "5epochs", "-5it", "0.5it", "1e3it", ".5ep", "ep", "", "5ep\n", "٣it", "9" * 400 + "it"]
)
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write iterations as '500it' or epochs as '2ep'"):
        Steps.parse(text)


@pytest.mark.parametrize("value", [5, 0.5, True, None, ["5it"]])
def test_a_number_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not " + repr(value).replace("[", r"\[")):
        TypeAdapter(Steps).validate_python(value)


@pytest.mark.parametrize("text", ["500it", "2ep", "0.5ep", "100000it", "1234567it", "0it", "12345.678ep"])
def test_steps_are_shown_as_they_are_written(text: str) -> None:
    assert str(Steps.parse(text)) == text


@given(st.decimals(0, 10**9, places=12), st.sampled_from(["it", "ep"]))
def test_what_is_shown_reads_back_equal(count: Decimal, unit: str) -> None:
    steps = Steps(float(count) if unit == "ep" else float(int(count)), unit)
    assert Steps.parse(str(steps)) == steps
