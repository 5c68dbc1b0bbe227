"""JSON from outside: no repeated keys, no NaN or infinity, no deep nesting, no text that cannot be written back."""

import json
import math
from typing import Any

from ticketzoo.errors import TicketError
from ticketzoo.util.text import for_terminal

_MAX_DEPTH, _MAX_DIGITS = 64, 4300


def parse_json(text: bytes | str, where: str) -> Any:
    """Return the value that `text` spells.

    Raises:
        TicketError: it is not strict JSON; the message names `where`.
    """
    try:
        value = json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=_without_repeats,
            parse_int=_short,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
        _check_depth(value, _MAX_DEPTH)
        json.dumps(value, ensure_ascii=False).encode()  # refuses half a surrogate pair
    except UnicodeDecodeError as error:
        raise TicketError(f"{where}: not valid JSON: byte {error.start} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise TicketError(f"{where}: not valid JSON: {for_terminal(error)[:200]}") from None
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key appears twice in one object")
    return mapping


def _short(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits, more than {_MAX_DIGITS:,}")
    return int(text)


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
