"""The table of other tools' files: by which names each is known, and the functions that read and write it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from ticketzoo.bridges.brought import Brought, Options, Source
from ticketzoo.errors import TicketError
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Format:
    """A row of `FORMATS`.

    Attributes:
        name: by which a command asks for it.
        make: reads a source; raises TicketError for one that it is not.
        words: what it is, for people.
        claims: tells from names and settings whether a source is one.
        cite: the project or paper it comes from.
        needs_base: whether a base model is needed to read it.
        is_general: whether others come first, as it fits much.
    """

    name: str
    make: Callable[[Source, Options], Brought]
    words: str
    claims: Callable[[Source], bool]
    cite: str = ""
    needs_base: bool = False
    is_general: bool = False


FORMATS: Registry[Format] = Registry("format of masks", Format, error=TicketError)


def guess(source: Source) -> Format:
    """Return the format that a source looks like, a general one only if it looks like no other.

    Raises:
        TicketError: it looks like none.
    """
    _register()
    for one in sorted(FORMATS.values(), key=lambda row: row.is_general):
        if one.claims(source):
            return one
    shown = ", ".join(list(source.tensors)[:3]) or "no tensors"
    raise TicketError(f"{source.where}: cannot tell what it is ({shown}): say so with --format {'|'.join(FORMATS)}")


def format_of(name: str) -> Format:
    """Return the format called `name`. Raises TicketError, with the near names."""
    _register()
    return FORMATS[name]


def names() -> list[str]:
    """Return the names of all formats that are read."""
    _register()
    return list(FORMATS)


def _register() -> None:
    """Fill the table."""
    for module in ("buffers", "edge_popup", "plain", "tall", "adapters", "patches"):
        import_module(f"ticketzoo.bridges.{module}")
