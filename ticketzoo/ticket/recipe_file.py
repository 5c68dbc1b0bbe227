"""recipe.yaml of a ticket: YAML from a stranger, looked at before anyone reads or prints it."""

import re
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.util.text import for_terminal

MAX_RECIPE_BYTES, MAX_RECIPE_VALUES = 256 * 2**10, 10_000
"""Bounds of recipe.yaml: of the file, and of its values, those that aliases repeat counted as often as they appear."""

DIFFERS = "Its keys that differ from the defaults; all of them are folded below:"
"""The line of a card before the short form of its recipe."""


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


def short_on(card: str, recipe_text: str | None) -> str | None:
    """Return the short form of a recipe that stands on a card; None where there is none, or it says something else.

    Args:
        card: text of README.md.
        recipe_text: of recipe.yaml, of which it must be a part.
    """
    found = re.search(rf"^{DIFFERS}\n\n(`{{3,20}})yaml\n(.*?)\n\1$", card, re.DOTALL | re.MULTILINE)
    if found is None or recipe_text is None:
        return None
    try:
        short = parse_yaml(found[2], most=MAX_RECIPE_VALUES)
        return found[2] if _is_part(short, parse_yaml(recipe_text, most=MAX_RECIPE_VALUES)) else None
    except ValueError:
        return None


def _is_part(short: Any, whole: Any) -> bool:
    if isinstance(short, dict) and isinstance(whole, dict):
        return all(key in whole and _is_part(value, whole[key]) for key, value in short.items())
    return bool(short == whole)
