"""docs/recipes.md lists every key of a recipe, and is what docs/recipe_keys.py writes."""

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from ticketzoo.recipe import Config, Steps

DOCS = Path(__file__).resolve().parents[2] / "docs"
spec = importlib.util.spec_from_file_location("recipe_keys", DOCS / "recipe_keys.py")
assert spec and spec.loader
recipe_keys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(recipe_keys)


class Base(Config):
    """Of both.

    Attributes:
        lr: how far
            a step goes.
        kind: of it.
    """

    lr: Annotated[float, Field(gt=0, le=1)] = 0.1


class Section(Base):
    """A section."""

    kind: Literal["a", "b"] = "a"
    steps: Steps
    """How long."""
    seeds: tuple[int, ...] = (0, 1)
    on: bool | None = None


def test_a_section_is_told_by_types_defaults_and_docstrings() -> None:
    assert recipe_keys.table(Section).splitlines() == [
        "A section.",
        "",
        "| key | value | default | |",
        "|---|---|---|---|",
        "| `lr` | number above 0 and to 1 | `0.1` | How far a step goes. |",
        "| `kind` | `a`, `b` | `a` | Of it. |",
        "| `steps` | a length | required | How long. |",
        "| `seeds` | list of: whole number | `[0, 1]` |  |",
        "| `on` | true or false |  |  |",
    ]


def sections() -> list[type[BaseModel]]:
    told: dict[type[BaseModel], str] = {}
    for command, recipe in recipe_keys.RECIPES.items():
        list(recipe_keys.sections(recipe, command, "", "", told))
    return list(told)


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_key_of_a_section_has_a_sentence_of_its_own(section: type[BaseModel]) -> None:
    said = {key: recipe_keys.meanings(section).get(key, "") for key in section.model_fields}
    assert [key for key, words in said.items() if len(words.split()) < 4 or not words.endswith(".")] == []
    assert [key for key, words in said.items() if list(said.values()).count(words) > 1] == []
    no_sentence = ("also ", "of ", "by ", "as many", "the same", "default ", "found from", "these ", "those ")
    assert [key for key, words in said.items() if words.lower().startswith(no_sentence)] == []


def test_the_document_is_that_of_the_types() -> None:
    assert (DOCS / "recipes.md").read_text() == recipe_keys.document(), "run python docs/recipe_keys.py"
