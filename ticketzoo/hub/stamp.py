"""The digest at the end of a README.md that ticketzoo wrote, by which one that somebody edited is told apart."""

import hashlib
import re

_STAMP = "\n<!-- made by ticketzoo; sha256 of the text above: {} -->\n"
_STAMPED = re.compile(r"(.*)\n<!-- made by ticketzoo; sha256 of the text above: ([0-9a-f]{64}) -->\s*", re.S)


def stamp_card(text: str) -> bytes:
    """Return the text of a README.md with its own digest at the end."""
    text = unstamped(text).rstrip("\n") + "\n"
    return (text + _STAMP.format(_digest(text))).encode()


def unstamped(text: str) -> str:
    """Return the text of a README.md without the digest at its end."""
    stamped = _STAMPED.fullmatch(text)
    return stamped[1] if stamped else text


def is_stamped(card: bytes) -> bool:
    """Tell whether a README.md is as `stamp_card` left it."""
    match = _STAMPED.fullmatch(card.decode(errors="replace").replace("\r\n", "\n"))
    return match is not None and _digest(match[1]) == match[2]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
