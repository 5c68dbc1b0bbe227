"""recipe.yaml of a stranger: the recipe, or one line."""

import tracemalloc
from pathlib import Path

import pytest
from toy_ticket import forge, toy_ticket

from ticketzoo.errors import TicketError
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.recipe_file import MAX_RECIPE_BYTES, parse_recipe

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 10,000 values, aliases written out"),
        (MERGED, "more than 10,000 values, aliases written out"),
        ("a: &a [*a]\n", "the value contains itself"),
        ("[" * 100_000, "line 1: nested too deeply, more than 64"),
        ("a: " * 5000, "not a recipe"),
        ("- x\n" * 20_000, "more than 10,000 values"),
        ("x\n" * MAX_RECIPE_BYTES, "524,288 bytes, more than the 262,144 that"),
        ("name: x\nname: y\n", "key 'name' is given twice"),
        ("steps: 0x" + "f" * 5000, "a number of 20000 bits is out of range"),
        ("steps: " + "9" * 5000, "Exceeds the limit"),
        ("x: !!python/object/apply:os.system [true]\n", "could not determine a constructor"),
        ("x: 2001-99-99\n", "month must be in 1..12"),
        ("? [a]\n: b\n", "found unhashable key"),
        ("- a\n", "it must be keys and values, not list"),
        ("\0", "special characters are not allowed"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line_and_little_memory(tmp_path: Path, text: str, said: str) -> None:
    folder = toy_ticket().save_pretrained(tmp_path / "toy")
    forge(folder, "recipe.yaml", text.encode())
    ticket = Ticket.from_pretrained(folder)
    tracemalloc.start()
    try:
        with pytest.raises(TicketError) as refused:
            _ = ticket.recipe_text
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()
    assert said in str(refused.value)
    assert str(refused.value).isprintable()
    assert str(folder / "recipe.yaml") in str(refused.value)


def test_a_recipe_is_read() -> None:
    assert parse_recipe("model: {name: lenet-5}\n", "r") == {"model": {"name": "lenet-5"}}
    assert parse_recipe("", "r") == {}
