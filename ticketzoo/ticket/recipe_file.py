"""recipe.yaml of a ticket: YAML from a stranger, looked at before anyone reads or prints it."""

from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.util.text import for_terminal

MAX_RECIPE_BYTES, MAX_RECIPE_VALUES = 256 * 2**10, 10_000
"""Bounds of recipe.yaml: of the file, and of its values, those that aliases repeat counted as often as they appear."""


def read_recipe(content: bytes, where: str) -> tuple[str, dict[str, Any]]:
    """Return the text of recipe.yaml, and what it says. Raises TicketError as `parse_recipe` does."""
    if len(content) > MAX_RECIPE_BYTES:
        raise TicketError(f"{where}: {len(content):,} bytes, more than the {MAX_RECIPE_BYTES:,} of a recipe")
    text = content.decode(errors="replace")
    return text, parse_recipe(text, where)


def parse_recipe(text: str, where: str) -> dict[str, Any]:
    """Return what a ticket's recipe says; empty where it says nothing.

    Raises:
        TicketError: it is not YAML, says something twice, nests or grows out of bounds, or is not keys and values.
    """
    try:
        recipe = parse_yaml(text, most=MAX_RECIPE_VALUES)
    except ValueError as error:
        raise TicketError(f"{where}: not a recipe: {for_terminal(error)[:300]}") from None
    if not isinstance(recipe, dict | None):
        raise TicketError(f"{where}: not a recipe: it must be keys and values, not {type(recipe).__name__}")
    return recipe or {}
