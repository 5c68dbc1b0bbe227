"""Patterns by which a recipe names layers."""

from fnmatch import fnmatchcase


def matches(name: str, pattern: str) -> bool:
    """Say whether a parameter is named by a pattern: by its own name, or by that of its layer."""
    return fnmatchcase(name, pattern) or fnmatchcase(layer_of(name), pattern)


def layer_of(name: str) -> str:
    """Return the name of a parameter's layer."""
    return name.removesuffix(".weight")
