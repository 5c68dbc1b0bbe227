"""Numbers and names in words."""

import pytest

from ticketzoo.util.text import counted, numbered, read_duration, show_duration


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"), (0.0004, "1 ms"), (0.03, "30 ms"), (0.0994, "99 ms"), (0.1, "0.1 s"), (2.54, "2.5 s"),
        (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (245, "4 min 5 s"), (11520, "3 h 12 min"),
        (3600 * 1234, "1,234 h 0 min"),
    ],
)  # fmt: skip
def test_a_duration_is_shown_in_units_that_matter_and_read_again(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown
    again = read_duration(shown)
    assert again is not None and show_duration(again) == shown


@pytest.mark.parametrize("text", ["", "soon", "3 h", "12 min", "1 s s", "3 h 12 min 4 s 5 s", "1e3 s", "-1 s", "٣ s"])
def test_what_is_no_duration(text: str) -> None:
    found = read_duration(text)
    assert found is None or show_duration(found) != text


def test_nouns_go_with_their_numbers() -> None:
    assert [counted(1, "seed"), counted(0, "row"), counted(1200, "row")] == ["1 seed", "0 rows", "1,200 rows"]
    assert [numbered("seed", [0, 0]), numbered("level", [4, 1, 2, 3, 6])] == ["seed 0", "levels 1 to 4, 6"]
