"""A table of named entries: one line adds to it, a wrong name is an error with the near ones."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ticketzoo.errors import ModelError, TicketzooError
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Shape:
    name: str
    make: Callable[[], int]
    cite: str = ""


def three() -> int:
    return 3


def four() -> int:
    return 4


@pytest.fixture
def shapes() -> Registry[Shape]:
    shapes = Registry("shape", Shape, error=ModelError)
    shapes.add("triangle", cite="Euclid, book I")(three)
    shapes.add("square")(four)
    return shapes


def test_an_entry_says_what_was_registered(shapes: Registry[Shape]) -> None:
    assert (shapes["triangle"].make(), shapes["triangle"].cite) == (3, "Euclid, book I")
    assert list(shapes) == ["triangle", "square"]
    assert [entry.name for entry in shapes.values()] == ["triangle", "square"]
    assert "square" in shapes
    assert 4 not in shapes


def test_the_decorator_gives_back_the_function(shapes: Registry[Shape]) -> None:
    assert shapes.add("pyramid")(four) is four


def test_a_wrong_name_is_an_error_with_the_near_ones(shapes: Registry[Shape]) -> None:
    with pytest.raises(ModelError, match=r"^unknown shape 'triangel'; did you mean triangle\?$"):
        shapes["triangel"]
    with pytest.raises(ValueError, match=r"^unknown shape 'zzz'; known are triangle, square$"):
        shapes.known("zzz")
    assert shapes.known("square") == "square"


def test_a_name_is_given_once(shapes: Registry[Shape]) -> None:
    with pytest.raises(TicketzooError, match=r"shape 'square' is registered already, by .*four"):
        shapes.add("square")(three)
    assert shapes["square"].make() == 4


def test_the_same_function_defined_again_replaces_the_first(shapes: Registry[Shape]) -> None:
    def local(value: int) -> Callable[[], int]:
        def made() -> int:
            return value

        return made

    shapes.add("hexagon")(local(5))
    shapes.add("hexagon")(local(6))
    assert shapes["hexagon"].make() == 6
