"""A section of a recipe whose keys are those of the table entry that it names."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import yaml
from pydantic import SerializeAsAny

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import Config, ConfiguredBy, Steps, dump_recipe, parse_recipe
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Method:
    name: str
    make: Any
    config: type[Config]


METHODS = Registry("method", Method)


class MethodConfig(Config):
    method: str = "imp"
    levels: int = 3


class ImpConfig(MethodConfig):
    rewind: Steps = Steps(0, "it")


class SupermaskConfig(MethodConfig):
    density: float = 0.5


class Recipe(Config):
    finder: Annotated[SerializeAsAny[MethodConfig], ConfiguredBy(lambda: METHODS, "method", "imp")] = ImpConfig()


METHODS.add("imp", config=ImpConfig)(object())
METHODS.add("supermask", config=SupermaskConfig)(object())


def read(**finder: Any) -> Recipe:
    return parse_recipe({"finder": finder}, Recipe, "test")


def test_the_name_decides_which_keys_there_are() -> None:
    assert read(rewind="5it").finder == ImpConfig(rewind=Steps(5, "it"))
    assert read(method="supermask", density=0.3).finder == SupermaskConfig(method="supermask", density=0.3)


def test_all_keys_are_written_down_and_read_again() -> None:
    recipe = read(method="supermask", density=0.3)
    written = yaml.safe_load(dump_recipe(recipe))
    assert written == {"finder": {"method": "supermask", "levels": 3, "density": 0.3}}
    assert parse_recipe(written, Recipe, "again") == recipe


def test_an_entry_registered_later_is_read_too() -> None:
    class LateConfig(MethodConfig):
        patience: int = 2

    METHODS.add("late", config=LateConfig)(object())
    assert read(method="late", patience=4).finder == LateConfig(method="late", patience=4)


@pytest.mark.parametrize(
    ("finder", "message"),
    [
        ({"method": "inp"}, "finder.method: unknown 'inp', did you mean 'imp'?"),
        ({"method": 3}, "finder.method: unknown '3'; known: imp, supermask"),
        ({"method": "supermask", "rewind": "1it"}, "unknown key 'finder.rewind'"),
        ({"rewindd": "1it"}, "unknown key 'finder.rewindd', did you mean 'rewind'?"),
        ({"rewind": "1x"}, "finder.rewind: write iterations as '500it' or epochs as '2ep', not '1x'"),
    ],
)
def test_what_does_not_fit_is_named(finder: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(**finder)
    assert message in str(caught.value)
