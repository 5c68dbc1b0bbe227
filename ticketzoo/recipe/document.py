"""YAML as recipes use it: a key given twice is an error, and no small file can grow large or nest without end."""

from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

MAX_VALUES, MAX_DEPTH = 100_000, 64
"""Values in a document, those that aliases repeat counted as often as they appear; and how deep they nest."""

_MAX_BITS = 64


def parse_yaml(text: str, *, most: int = MAX_VALUES) -> Any:
    """Return the one document in `text` as plain Python values; None when it is empty.

    Args:
        text: of the document.
        most: values that it may have. The first one too many ends the reading.

    Raises:
        ValueError: in one line.
    """
    try:
        loader = _Bounded(text, most)
        root = loader.get_single_node()
        if root is None:
            return None
        _count_values(root, {}, most)
        return _unshared(_constructed(loader, root))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _constructed(loader: yaml.SafeLoader, root: Node) -> Any:
    """Return the values. Raises ValueError for one that its tag does not fit, such as `!!bool x`."""
    try:
        return loader.construct_document(root)
    except (LookupError, AttributeError, TypeError, ArithmeticError):
        raise ValueError("a value is not what its tag (!!...) says: leave the tag out") from None


class _Bounded(yaml.SafeLoader):
    """A loader that counts values, and how deep they nest, while it makes them."""

    def __init__(self, text: str, most: int) -> None:
        super().__init__(text)
        self._most, self._made, self._depth = most, 0, 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Make a node and all below it."""
        self._made += 1
        self._depth += 1
        if self._made > self._most:
            raise ValueError(f"line {self.line + 1}: more than {self._most:,} values")
        if self._depth > MAX_DEPTH:
            raise ValueError(f"line {self.line + 1}: nested too deeply, more than {MAX_DEPTH}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _unshared(value: Any) -> Any:
    """Return a copy in which what an alias repeats is a value of its own, so that changing one leaves the other.

    Raises ValueError for a whole number of more than 64 bits, which could not even be printed.
    """
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ValueError(f"a number of {value.bit_length()} bits is out of range")
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _count_values(node: Node, counted: dict[int, int], most: int) -> int:
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
    counted[id(node)] = 1 + sum(_count_values(child, counted, most) for child in children)
    if counted[id(node)] > most:
        raise ValueError(f"{_line(node)}: more than {most:,} values, aliases written out")
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
