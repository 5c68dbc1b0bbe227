"""Patterns, as of `fnmatch`, by which a recipe names parameters and layers."""

from fnmatch import fnmatchcase


def matches(name: str, pattern: str) -> bool:
    """Tell whether a pattern names a parameter: by its own name, or by that of the layer whose `weight` it is."""
    return fnmatchcase(name, pattern) or fnmatchcase(layer_of(name), pattern)


def layer_of(name: str) -> str:
    """Return the name of the layer whose `weight` a parameter is; any other parameter's own name."""
    return name.removesuffix(".weight")


def is_bias(name: str) -> bool:
    """Tell whether a parameter is a bias by its name, such as `fc.bias` or `lstm.bias_ih_l0`."""
    return name.rpartition(".")[2].startswith("bias")
