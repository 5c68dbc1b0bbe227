"""Arguments of public functions, compared with their type hints before anything is done with them."""

import functools
import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from ticketzoo.errors import ArgumentError
from ticketzoo.util.text import for_terminal

P = ParamSpec("P")
R = TypeVar("R")

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    Mapping: "keys and values",
    Callable: "a function",
}
_NUMBERS = {int: Integral, float: Real}
_LISTS = (Collection, Iterable)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function refuse arguments of other types than its hints state, in one line that names the argument.

    Whole numbers are no text and no floats, not even 2.0; numbers of numpy are numbers. Sequences may be any collection
    but text, and their items are looked at, too. Protocols must be `runtime_checkable`.

    Raises:
        ArgumentError: when the function is called.
    """
    signature = inspect.signature(function)
    hints = functools.cache(lambda: get_type_hints(function))  # when it is called: hints may name what comes later

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return function(*args, **kwargs)  # which says better what is missing or too much
        for name, value in given.items():
            kind = signature.parameters[name].kind
            if kind is not inspect.Parameter.VAR_KEYWORD:
                for one in value if kind is inspect.Parameter.VAR_POSITIONAL else [value]:
                    _check(function, name, one, hints().get(name, Any))
        return function(*args, **kwargs)

    return call


def _check(function: Callable[..., Any], name: str, value: object, hint: Any) -> None:
    if _fits(value, hint):
        return
    if _kind(hint) is Mapping and isinstance(value, Mapping):
        of_key, of_value = get_args(hint)
        wrong = next((key for key, one in value.items() if _fits(key, of_key) and not _fits(one, of_value)), None)
        if wrong is not None:
            name, value, hint = f"{name}[{for_terminal(repr(wrong))[:80]}]", value[wrong], of_value
    shown = f"the class {value.__name__}" if isinstance(value, type) else for_terminal(repr(value))[:80]
    whole = isinstance(value, float) and value.is_integer() and _fits(int(value), hint)
    remedy = f": write {int(value)}" if isinstance(value, float) and whole else ""
    where = function.__qualname__.removesuffix(".__init__")
    raise ArgumentError(f"{where}: {name}: give {_words(hint)}, not {shown}{remedy}")


def _fits(value: object, hint: Any, *, deep: bool = True) -> bool:
    """Tell whether a value is of the type that a hint states; with `deep` its items, too."""
    kind, inner = _kind(hint), get_args(hint)
    if kind is Union:
        return any(_fits(value, one, deep=deep) for one in inner)
    if kind is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if kind in _NUMBERS:
        return isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool)
    if kind is Callable:
        return callable(value)
    if kind is Mapping and isinstance(value, Mapping):
        return not deep or all(_fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items())
    if kind in _LISTS:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, kind):
            return False
        return not isinstance(value, Collection) or all(_fits(one, inner[0], deep=False) for one in value)
    if kind is Any or not isinstance(kind, type):
        return True
    return isinstance(value, kind) and not (getattr(kind, "_is_protocol", False) and isinstance(value, str))


def _kind(hint: Any) -> Any:
    """Return the class that a hint is about, or Union."""
    kind = get_origin(hint) or hint
    return {types.UnionType: Union, Sequence: Collection}.get(kind, kind)


def _words(hint: Any) -> str:
    kind, inner = _kind(hint), get_args(hint)
    if kind is Union:
        return " or ".join(dict.fromkeys(_words(one) for one in inner if one is not types.NoneType))
    if kind is Literal:
        return " or ".join(map(repr, inner))
    if kind in _LISTS:
        return f"a list: each item {_words(inner[0])}"
    name = getattr(kind, "__name__", str(kind))
    return _WORDS.get(kind) or f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
