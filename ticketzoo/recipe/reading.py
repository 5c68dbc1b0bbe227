"""Recipes on disk: YAML, checked against a typed section, with overrides and errors that suggest the right key."""

import copy
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ticketzoo.errors import RecipeError, TicketzooError
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.recipe.keys import suggested, unknown_key
from ticketzoo.recipe.local import without_local_paths
from ticketzoo.util.text import for_terminal

R = TypeVar("R", bound=BaseModel)

EVERY_KEY = "every_key"
"""In the context of a dump: whether keys at their defaults are written by sections that leave them out."""

MOST_BLAMED = 3
"""Overrides that an error shows which names none of them."""
MOST_SHORTENED = 2_000
"""Values of a recipe of which a short form is made."""


def read_recipe(
    path: str | Path, recipe_type: type[R], overrides: list[str] | None = None, implied: Iterable[str] = ()
) -> R:
    """Read a recipe.

    Args:
        path: a YAML file.
        recipe_type: its type.
        overrides: keys to change, such as `training.steps=5ep`; errors name those to blame.
        implied: further ones, which follow from these and are never to blame.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a key is unknown, of the wrong type or impossible.
    """
    content = read_content(path)
    if not overrides:
        return parse_recipe(content, recipe_type, str(path))
    changed = copy.deepcopy(content)
    for override in (*overrides, *implied):
        apply_override(changed, override)
    parsed, problems = _checked(changed, recipe_type)
    if parsed is not None:
        return parsed
    of_file = _checked(content, recipe_type)[1]
    new = {problem: location for problem, location in problems.items() if problem not in of_file}
    if not new:
        raise RecipeError(f"recipe {path}: {'; '.join(problems)}")
    raise RecipeError(f"{_blamed(overrides, new)}: {'; '.join(new)}")


def read_content(path: str | Path) -> dict[str, Any]:
    """Return the keys and values of the YAML file `path`, unchecked.

    Raises:
        RecipeError: it is missing or no YAML mapping.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"recipe {path}: {error.strerror}") from None
    except ValueError as error:
        raise RecipeError(f"recipe {path}: not readable as YAML: {error}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path}: must be a mapping of keys such as 'model:' and 'task:'")
    return content


def parse_recipe(content: dict[str, Any], recipe_type: type[R], where: str) -> R:
    """Check `content` as a `recipe_type`; `where` names it in errors. Raises RecipeError."""
    parsed, problems = _checked(content, recipe_type)
    if parsed is None:
        raise RecipeError(f"recipe {where}: {'; '.join(problems)}")
    return parsed


def _checked(content: dict[str, Any], recipe_type: type[R]) -> tuple[R | None, dict[str, str]]:
    """Return `content` as a `recipe_type`, or else what is wrong with it, each with the dotted key where it is."""
    try:
        return recipe_type.model_validate(content), {}
    except ValidationError as error:
        return None, {
            _explain(problem, recipe_type, content): ".".join(_present(problem["loc"], content))
            for problem in error.errors()
            if not _follows_from_others(problem)
        }


def _blamed(overrides: list[str], problems: dict[str, str]) -> str:
    """Return the overrides of what is wrong: at the keys or within them, or else those it names, or else all."""
    keys = {override: override.partition("=")[0] for override in overrides}
    near = [
        override
        for override, key in keys.items()
        if any(at and (f"{key}.".startswith(f"{at}.") or f"{at}.".startswith(f"{key}.")) for at in problems.values())
    ]
    said = " ".join(problems)
    named = [override for override, key in keys.items() if re.search(rf"\b{re.escape(key)}\b", said)]
    blamed = near or named or overrides
    shown = blamed if near or named else blamed[:MOST_BLAMED]
    more = f" and {len(blamed) - len(shown)} more" * (len(shown) < len(blamed))
    return " ".join(f"--set {for_terminal(override)[:200]}" for override in shown) + more


def dump_recipe(recipe: BaseModel, *, public: bool = False, every_key: bool = False) -> str:
    """Return the recipe as YAML with every default visible; reading it back gives an equal recipe.

    One to be published (`public`) has no absolute paths of this machine, but the last parts of folders. Keys that
    a run's recipe leaves out at their defaults, those of criteria, are there with `every_key`.
    """
    content = recipe.model_dump(mode="json", exclude_none=True, context={EVERY_KEY: every_key})
    return yaml.safe_dump(without_local_paths(content) if public else content, sort_keys=False, width=100)


def short_recipe(text: str | None, recipe_type: type[BaseModel]) -> str | None:
    """Return the YAML `text` without the keys that are at their defaults: it is read as the same recipe.

    None where there is no text, or it is no such recipe: of another version, say, or with an entry of a user's own.
    """
    try:
        content = parse_yaml(text or "", most=MOST_SHORTENED)
        same = recipe_type.model_validate(content)
    except (ValueError, TicketzooError):
        return None

    def says_the_same() -> bool:
        try:
            return recipe_type.model_validate(content) == same
        except (ValueError, TicketzooError):
            return False

    def shorten(node: dict[str, Any]) -> None:
        for key, value in list(node.items()):
            rest = node.copy()
            del node[key]
            if not says_the_same():
                node.clear()
                node.update(rest)
                if isinstance(value, dict):
                    shorten(value)

    shorten(content)
    return yaml.safe_dump(content, sort_keys=False, width=100)


def apply_override(content: dict[str, Any], override: str) -> None:
    """Set one dotted key of `content` from `a.b=value`; numbers index lists, e.g. `targets.0.task.dataset.path=DIR`."""
    keys, equals, text = override.partition("=")
    if not equals or not keys:
        raise RecipeError(f"--set {override}: write key=value, e.g. --set training.steps=5ep")
    try:
        value = parse_yaml(text)
    except ValueError:
        raise RecipeError(f"--set {override}: the value is not readable as YAML") from None
    node: Any = content
    *parents, last = keys.split(".")
    for key in parents:
        if isinstance(node, list):
            node = node[_list_index(node, key, override)]
        elif isinstance(node, dict):
            if not isinstance(node.get(key), dict | list):
                node[key] = {"name": node[key]} if isinstance(node.get(key), str) else {}
            node = node[key]
        else:
            raise RecipeError(f"--set {override}: {key!r} is inside a value that has no keys")
    if isinstance(node, list):
        node[_list_index(node, last, override)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise RecipeError(f"--set {override}: {last!r} is inside a value that has no keys")


def _list_index(items: list[Any], key: str, override: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        raise RecipeError(f"--set {override}: {key!r} must be a position from 0 to {len(items) - 1} in the list")
    return int(key)


def _explain(problem: Any, recipe_type: type[BaseModel], content: Any) -> str:
    location = problem["loc"]
    key = ".".join(_present(location, content))
    if problem["type"] == "extra_forbidden":
        return f"unknown key {_shortened(key)}{unknown_key(recipe_type, location, content)}"
    if problem["type"] == "missing":
        return f"key {'.'.join([*_present(location[:-1], content), str(location[-1])])!r} is missing"
    if problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _explain_tag(key, **problem["ctx"])
    message = _PLAIN.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    message = message.format(**problem["ctx"]) if problem["type"] == "too_short" else message
    given = problem.get("input")
    shows_it = problem["type"] == "value_error" and repr(given) in message
    shown = f" (got {_shortened(given)})" if isinstance(given, str | int | float | bool) and not shows_it else ""
    return f"{key}: {message[0].lower()}{message[1:]}{shown}" if key else message


def _follows_from_others(problem: Any) -> bool:
    """Tell whether something is wrong only because other things are: a default, or a list of which items are wrong."""
    if problem["type"] == "default_factory_not_called":
        return True
    return problem["type"] == "too_short" and len(problem["input"]) >= problem["ctx"]["min_length"]


def _explain_tag(key: str, discriminator: str, tag: str = "", expected_tags: str = "") -> str:
    """Return advice where the key that tells alternatives apart, such as `task.type`, is missing or names none."""
    where = f"{key}.{discriminator.strip(chr(39))}"
    if not tag:
        return f"key {where!r} is missing"
    known = [name.strip("'") for name in expected_tags.split(", ")]
    return f"{where}: unknown {_shortened(tag)}{suggested(tag, known)}"


_PLAIN = {
    "model_type": "write keys and values, one a line",
    "dict_type": "write keys and values, one a line",
    "tuple_type": "write a list, such as [a, b]",
    "too_short": "list {min_length} or more",
}
"""What to do, for problems that pydantic tells in Python's terms."""


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def _present(location: tuple[int | str, ...], content: Any) -> Iterator[str]:
    """Yield the keys and positions of `location` that lead into `content`, without pydantic's names of alternatives."""
    for part in location:
        leads_on = part in content if isinstance(content, dict) else isinstance(content, list) and isinstance(part, int)
        if leads_on:
            content = content[part]
            yield str(part)
