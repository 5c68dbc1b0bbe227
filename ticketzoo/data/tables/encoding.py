"""Files of text, decoded as the mark at their start says, or as is declared."""

import codecs

from ticketzoo.errors import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Mark and encoding; that of UTF-32 begins as that of UTF-16 does, so it stands before it."""
_UNMARKED = {
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
"""Encoding by which of four bytes in turn are zero in text that is mostly ASCII."""
_NO_TEXT = {
    b"PK\x03\x04": "a zip archive, or a spreadsheet of Excel's (export it as CSV)",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of Excel's (export it as CSV)",
    b"\x1f\x8b": "packed by gzip (end its name in .gz)",
    b"PAR1": "a parquet file (end its name in .parquet)",
}
"""Bytes with which files of other kinds begin."""
_PROBED = 4096
"""Bytes looked at to tell them."""


def decoded(content: bytes, where: str, encoding: str | None, *, in_recipe: bool = True) -> str:
    """Return the text of a file without the mark at its start; of `encoding`, or UTF-8, where it has no mark.

    A recipe may say the encoding if `in_recipe`, as messages advise.

    Raises:
        DataError: it is no such text; the message names the line, counted from 1, and what to declare.
    """
    if kind := next((kind for start, kind in _NO_TEXT.items() if content.startswith(start)), None):
        raise DataError(f"{where} is no text but {kind}")
    used = next((name for mark, name in _MARKS if content.startswith(mark)), encoding or "utf-8")
    likely = _unmarked(content)
    said = f"say the encoding, as in task.dataset.encoding: {likely or 'latin-1'}"
    declare = said if in_recipe else "save it as UTF-8"
    try:
        text = content.decode(used)
    except UnicodeDecodeError as error:
        line = content[: error.start].decode(used, errors="replace").count("\n") + 1
        byte = f"byte 0x{content[error.start]:02x}" if error.start < len(content) else "it ends within a character"
        advice = "say another encoding" if encoding and not likely else declare
        raise DataError(f"{where}, line {line}: no {used.upper()} text ({byte}): {advice}") from None
    if (zero := text.find("\0")) >= 0:
        if likely:
            raise DataError(f"{where} is no {used.upper()} text, its zero bytes are those of {likely}: {declare}")
        line = text.count("\n", 0, zero) + 1
        raise DataError(f"{where}, line {line}: a zero byte, which no text has: the file is damaged, or no text")
    return text.lstrip("\ufeff")


def _unmarked(content: bytes) -> str | None:
    """Return the encoding of two or four bytes a character that the places of zero bytes speak for."""
    parts = [content[start:_PROBED:4] for start in range(4)]
    first, second, third, fourth = (2 * part.count(0) > len(part) for part in parts)
    return _UNMARKED.get((first, second, third, fourth))
