"""JSON from outside: no repeated keys, no NaN or infinity, no deep nesting, no text that cannot be written back."""

import json
import math
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.util.text import for_terminal

_MAX_DEPTH = 64


def parse_json(text: bytes | str, where: str) -> Any:
    """Return the value that `text` spells.

    Raises:
        TicketError: it is not strict JSON; the message names `where`.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_without_repeats, parse_float=_finite, parse_constant=_refuse_constant
        )
        _check_depth(value, _MAX_DEPTH)
        json.dumps(value, ensure_ascii=False).encode()  # refuses half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise TicketError(f"{where}: not valid JSON: {for_terminal(error)[:200]}") from None
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key appears twice in one object")
    return mapping


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"number {text} is out of range")
    return number


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _check_depth(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        if depth == 0:
            raise ValueError(f"nested more than {_MAX_DEPTH} deep")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, depth - 1)
