"""docs/recipes.md lists every key of a recipe, and is what docs/recipe_keys.py writes."""

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

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


def test_the_document_is_that_of_the_types() -> None:
    assert (DOCS / "recipes.md").read_text() == recipe_keys.document(), "run python docs/recipe_keys.py"
