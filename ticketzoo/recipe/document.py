"""YAML as recipes use it: a key given twice is an error, and no small file can grow large or nest without end."""

from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

MAX_VALUES = 100_000
"""Values in a document, those that aliases repeat counted as often as they appear."""


def parse_yaml(text: str) -> Any:
    """Return the one document in `text` as plain Python values; None when it is empty.

    Raises:
        ValueError: in one line.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _count_values(root, {})
        return _unshared(loader.construct_document(root))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unshared(value: Any) -> Any:
    """Return a copy in which what an alias repeats is a value of its own, so that changing one leaves the other."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _count_values(node: Node, counted: dict[int, int]) -> int:
    """Return the number of values `node` stands for. `counted` remembers nodes, 0 while they are being counted."""
    if id(node) in counted:
        if counted[id(node)] == 0:
            raise ValueError(f"{_line(node)}: the value contains itself")
        return counted[id(node)]
    counted[id(node)] = 0
    children: list[Node] = []
    if isinstance(node, MappingNode):
        _check_keys(node)
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, CollectionNode):
        children = node.value
    counted[id(node)] = 1 + sum(_count_values(child, counted) for child in children)
    if counted[id(node)] > MAX_VALUES:
        raise ValueError(f"{_line(node)}: more than {MAX_VALUES:,} values, aliases written out")
    return counted[id(node)]


def _check_keys(mapping: MappingNode) -> None:
    seen: dict[tuple[str, str], Node] = {}
    for key, _ in mapping.value:
        if isinstance(key, ScalarNode):
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                raise ValueError(f"key {key.value!r} is given twice, in {_line(first)} and {_line(key)}")


def _line(node: Node) -> str:
    return f"line {node.start_mark.line + 1}"
