"""Recipes by path or by the name of a shipped one."""

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from ticketzoo.errors import RecipeError
from ticketzoo.recipe import read_content, read_recipe
from ticketzoo.recipe.reading import apply_override
from ticketzoo.util.shipped import shipped, shipped_recipes

R = TypeVar("R", bound=BaseModel)

_log = logging.getLogger("ticketzoo")

KEYS = {"transfer": "targets", "stability": "rewind_steps", "study": "study"}
"""Commands, and a key that every recipe of theirs has and no other."""


def recipe_path(recipe: str | Path) -> Path:
    """Return the file that RECIPE means: a path, or a shipped recipe by name, with or without `recipes/` and `.yaml`.

    A study may be named alone, as `freeze`.

    Raises:
        RecipeError: it is neither.
    """
    if Path(recipe).is_file():
        return Path(recipe)
    short = str(recipe).removeprefix("recipes/").removesuffix(".yaml")
    name = f"recipes/{short}.yaml"
    for known in (name, f"recipes/studies/{short}.yaml"):
        if known in shipped_recipes():
            return shipped(known)
    near = _near(shipped_name(name))
    hint = f"did you mean {' or '.join(near)}?" if near else "ticketzoo recipe list names them"
    raise RecipeError(f"recipe {recipe}: no such file, nor a shipped recipe; {hint}")


def _near(name: str) -> list[str]:
    """Return shipped recipes of nearly that name, or whose last part is nearly that; a study is named alone."""
    known = {shipped_name(file).removeprefix("studies/"): None for file in shipped_recipes()}
    last = {one.rpartition("/")[2]: one for one in reversed(known)}
    close = difflib.get_close_matches(name, known, n=3)
    return close or [last[one] for one in difflib.get_close_matches(name.rpartition("/")[2], last, n=3, cutoff=0.7)]


def shipped_name(file: str) -> str:
    """Return the name by which RECIPE means the shipped `recipes/NAME.yaml`."""
    return file.removeprefix("recipes/").removesuffix(".yaml")


def read_for(command: str, recipe: str | Path, recipe_type: type[R], overrides: Sequence[str] | None) -> R:
    """Return RECIPE, read and checked for `ticketzoo <command>` (find, transfer or stability).

    Raises:
        RecipeError: there is no such recipe, it is for another command, or as `read_recipe` does.
    """
    path = recipe_path(recipe)
    if (other := command_of(path)) != command:
        raise RecipeError(f"recipe {path}: is for another command: run ticketzoo {other} {recipe}")
    overrides = list(overrides or [])
    implied = [*_without_license(path, overrides), *_within_levels(path, overrides)]
    return read_recipe(path, recipe_type, overrides, implied)


def _without_license(path: Path, overrides: Sequence[str]) -> list[str]:
    """Return the override that leaves out a licence which was stated for other data, or nothing."""
    keys = [override.partition("=")[0] for override in overrides]
    stated = read_content(path).get("license")
    if stated is None or "license" in keys or not {"task", "task.dataset", "task.dataset.path"}.intersection(keys):
        return []
    _log.warning(
        "license: the recipe's, %s, is for its own data and is left out; --set license=... states yours", stated
    )
    return ["license=null"]


def _within_levels(path: Path, overrides: Sequence[str]) -> list[str]:
    """Return the overrides that keep the file's `arm_levels` and `package_from` within fewer `finder.levels`."""
    keys = {override.partition("=")[0] for override in overrides}
    if not keys & {"finder", "finder.levels"}:
        return []
    content = read_content(path)
    arm_levels, package_from = content.get("arm_levels"), content.get("package_from")
    for override in overrides:
        apply_override(content, override)
    finder = content.get("finder")
    levels: Any = (finder.get("levels") or _usual_levels(finder)) if isinstance(finder, dict) else None
    if type(levels) is not int or levels < 1:
        return []
    kept: dict[str, Any] = {}
    if isinstance(arm_levels, list) and all(type(level) is int for level in arm_levels):
        kept["arm_levels"] = [level for level in arm_levels if level <= levels] or [levels]
    if type(package_from) is int:
        kept["package_from"] = min(package_from, levels)
    stated = {"arm_levels": arm_levels, "package_from": package_from}
    follow = [key for key in kept if kept[key] != stated[key] and not any(given.startswith(key) for given in keys)]
    for key in follow:
        _log.warning("%s: %s of the recipe becomes %s, as finder.levels is %d", key, stated[key], kept[key], levels)
    return [f"{key}={kept[key]}" for key in follow]


def _usual_levels(finder: dict[str, Any]) -> Any:
    """Return the number of levels of a finder that states none."""
    from ticketzoo.finding.method import METHODS

    method = finder.get("method", "imp")
    return METHODS[method].config.model_fields["levels"].default if method in METHODS else None


def command_of(path: Path) -> str:
    """Return the command whose recipe the file is, by the key that only such recipes have; `find` if there is none."""
    content = read_content(path)
    return next((command for command, key in KEYS.items() if key in content), "find")
