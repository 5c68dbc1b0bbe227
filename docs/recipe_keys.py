"""Every key of a recipe, of the types that recipes are read by: `python docs/recipe_keys.py` writes docs/recipes.md.

Meanings are the docstrings of the keys, or their lines under "Attributes:" of the section's class.
"""

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, JsonValue, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ticketzoo.evaluation.arms import ARMS, Arm
from ticketzoo.finding import FindRecipe
from ticketzoo.finding.rewinding import REWINDINGS
from ticketzoo.instability import StabilityRecipe
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.recipe import ConfiguredBy, Steps, StepsOrAuto
from ticketzoo.recipe.config import DataName, RecipeName
from ticketzoo.studies import StudyRecipe
from ticketzoo.targets import TransferRecipe

DOCUMENT = Path(__file__).with_name("recipes.md")

HEAD = """\
# Every key of a recipe

A recipe is a YAML file. This page lists its keys, section by section, with their defaults; `ticketzoo recipe show
RECIPE` prints a recipe with all of them written out, and `--set training.steps=5ep` sets one. An unknown key is an
error that names the near ones. Names that choose an entry of a table (a method, a criterion, an arm, a task) are those
of this version; an entry of your own ([extending.md](extending.md)) brings its keys along. This page is made by
`python docs/recipe_keys.py`.

- A *length* is a number of iterations, `500it`, or of epochs, `2ep` or `0.5ep`.
- A *fraction* is between 0 and 1, never in percent.
"""

RECIPES = {"find": FindRecipe, "transfer": TransferRecipe, "stability": StabilityRecipe, "study": StudyRecipe}

TABLES = {"scope": SCOPES, "rewinding": REWINDINGS}
"""Keys that take the name of an entry of a table."""


def document() -> str:
    """Return the text of docs/recipes.md."""
    parts: list[str] = [HEAD]
    told: dict[type[BaseModel], str] = {}
    for command, recipe in RECIPES.items():
        parts.append(f"## `ticketzoo {command}`")
        parts += sections(recipe, command, "", "", told)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def sections(
    model: type[BaseModel], command: str, path: str, choice: str, told: dict[type[BaseModel], str]
) -> Iterator[str]:
    """Yield the table of a section's keys, and then those of the sections in it that have not been told yet."""
    told[model] = f"`{path}`{choice} of `ticketzoo {command}`"
    yield table(model)
    known: dict[str, str] = {}
    for name, field in model.model_fields.items():
        key = f"{path}.{name}" if path else name
        for inner, chosen in inner_sections(field):
            if inner in told:
                known.setdefault(f"`{key}`", told[inner].partition(" with ")[0].partition(" of ")[0])
                continue
            yield f"### `{key}`{chosen or choice}"
            yield from sections(inner, command, key, chosen or choice, told)
    if known:
        yield "\n".join(f"- {key}: as {first} above." for key, first in known.items())


def inner_sections(field: FieldInfo) -> list[tuple[type[BaseModel], str]]:
    """Return the sections that a key may hold, each with the choice that makes it that one."""
    for marker in field.metadata:
        if isinstance(marker, ConfiguredBy):
            configs: dict[type[BaseModel], list[str]] = {}
            for entry in marker.table().values():
                if set(entry.config.model_fields) - {marker.key}:
                    configs.setdefault(entry.config, []).append(entry.name)
            return [(config, f" with `{marker.key}: {' or '.join(names)}`") for config, names in configs.items()]
    return [(model, "") for model in models_in(field.annotation)]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that stand in a type."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [] if issubclass(annotation, RootModel) else [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def table(model: type[BaseModel]) -> str:
    """Return the table of a section's own keys."""
    said = meanings(model)
    lines = ["| key | value | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        words = said.get(name, "")
        cells = (f"`{name}`", value_of(name, field), default_of(field), words[:1].upper() + words[1:])
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return f"{about(model)}\n\n" + "\n".join(lines)


def about(model: type[BaseModel]) -> str:
    """Return what a section is, of its docstring."""
    text = inspect.cleandoc(model.__doc__ or "")
    return " ".join(text.partition("\nAttributes:")[0].split())


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return what the keys of a section mean, by key; what a class says goes before what it is made of says."""
    said: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        described = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(described)):
            names, colon, words = entry.partition(":")
            if colon and entry:
                said |= dict.fromkeys(re.split(r",\s*", names.strip()), " ".join(words.split()))
        module = ast.parse(Path(inspect.getfile(base)).read_text())
        classes = [one for one in ast.walk(module) if isinstance(one, ast.ClassDef) and one.name == base.__name__]
        body = classes[0].body if classes else []
        for before, after in itertools.pairwise(body):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                said[ast.unparse(before.target)] = " ".join(str(after.value.value).split())
    return said


def value_of(name: str, field: FieldInfo) -> str:
    """Return which values a key takes."""
    table = next((marker.table() for marker in field.metadata if isinstance(marker, ConfiguredBy)), TABLES.get(name))
    if table is not None and (name in TABLES or models_in(field.annotation)):
        return ", ".join(f"`{entry}`" for entry in table) + (", or its keys, see below" if name not in TABLES else "")
    return words_of(field.annotation, field.metadata)


def words_of(annotation: Any, metadata: Any = ()) -> str:
    """Return a type in words."""
    if annotation in NAMED:
        return NAMED[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return words_of(inner[0], inner[1:])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(words_of(one, metadata) for one in inner if one is not NoneType))
    if origin in (tuple, list):
        items = list(dict.fromkeys(words_of(one) for one in inner if one is not Ellipsis))
        return f"list of: {items[0]}"
    if origin is dict:
        return f"keys with: {words_of(inner[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, RootModel):
        return words_of(annotation.model_fields["root"].annotation)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "keys, see below"
    return SIMPLE.get(annotation, "any value") + bounds(metadata)


NAMED = {
    Arm: ", ".join(f"`{arm}`" for arm in ARMS),
    RecipeName: "small letters, digits, `.`, `_`, `-`",
    DataName: "letters, digits, `.`, `_`, `-`, spaces",
    JsonValue: "any value",
    Steps: "a length",
    StepsOrAuto: "a length or `auto`",
}
SIMPLE = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def bounds(metadata: Any) -> str:
    """Return the bounds of a number in words."""
    found = []
    for marker in metadata:
        for one in getattr(marker, "metadata", [marker]):
            for kind, words in BOUNDS.items():
                if isinstance(one, kind):
                    bound = getattr(one, kind.__name__.lower())
                    found.append(f"{words} {'2^31' if bound == 2**31 else f'{bound:g}'}")
    return f" {' and '.join(found)}" if found else ""


BOUNDS = {
    annotated_types.Gt: "above",
    annotated_types.Ge: "from",
    annotated_types.Lt: "below",
    annotated_types.Le: "to",
}


def default_of(field: FieldInfo) -> str:
    """Return a default as a recipe writes it; nothing where it is another section's or follows from other keys."""
    default = field.default
    if field.is_required():
        return "required"
    if default is PydanticUndefined or default is None or isinstance(default, BaseModel) or default == {}:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{default}`"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
