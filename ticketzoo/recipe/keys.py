"""The keys that may stand where a recipe has an unknown one, for the error that says so."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ticketzoo.recipe.table import ConfiguredBy

MOST_OWNERS = 4
"""Entries that an error names, at most, of those that have a key."""


def unknown_key(recipe_type: type[BaseModel], location: Sequence[int | str], content: Any) -> str:
    """Return what goes behind "unknown key 'finder.watch'": the key that was meant, who has it, or which there are.

    Args:
        recipe_type: of the recipe.
        location: of the key, in pydantic's terms.
        content: of the recipe.
    """
    *parents, last = [str(part) for part in location]
    section = _section(recipe_type, parents, content)
    known = sorted({name for model in section.models for name in model.model_fields})
    if not section.named:
        return suggested(last, known)
    table = section.named.table()
    concept, name = table.concept, section.name
    owners = [entry.name for entry in table.values() if last in entry.config.model_fields and entry.name != name]
    if not owners:
        return suggested(last, known)
    shown = ", ".join(owners[:MOST_OWNERS]) + ", ..." * (len(owners) > MOST_OWNERS)
    return f": {concept} {name} has no key {last!r}, but {shown}; known: {', '.join(known)}"


def suggested(name: str, known: Sequence[str]) -> str:
    """Return the name in `known` that is near, as a question, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


@dataclass(frozen=True)
class _Section:
    """The types that a section may have, and the table and name by which it got its one."""

    models: Sequence[type[BaseModel]]
    named: ConfiguredBy | None = None
    name: str | None = None


def _section(recipe_type: type[BaseModel], parents: Sequence[str], content: Any) -> _Section:
    section = _Section([recipe_type])
    for part in parents:
        fields = [model.model_fields[part] for model in section.models if part in model.model_fields]
        if fields or not isinstance(content, dict):
            content = _inside(content, part)
        deeper = [_of_field(field, content) for field in fields]
        if deeper:
            named = next((one for one in deeper if one.named), deeper[0])
            section = _Section([model for one in deeper for model in one.models], named.named, named.name)
        elif called := [model for model in section.models if _is_called(model, part)]:
            section = _Section(called)
    return section


def _inside(content: Any, part: str) -> Any:
    if isinstance(content, dict):
        return content.get(part)
    if isinstance(content, list) and part.isdecimal() and int(part) < len(content):
        return content[int(part)]
    return content


def _of_field(field: FieldInfo, content: Any) -> _Section:
    """Return the types of the sections that a field may hold: one where `content` names it."""
    for marker in field.metadata:
        if isinstance(marker, ConfiguredBy):
            name, table = marker.named(content), marker.table()
            if isinstance(name, str) and name in table:
                return _Section([table[name].config], marker, name)
            return _Section(marker.configs())
    return _Section(_models_in(field.annotation))


def _is_called(model: type[BaseModel], tag: str) -> bool:
    """Tell whether pydantic tells `model` from its alternatives by `tag`."""
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, list, tuple, dict) or get_args(annotation):
        return [model for argument in get_args(annotation) for model in _models_in(argument)]
    return []
