"""The one kind of table: named entries of a concept, each registered where it is written."""

import difflib
from collections.abc import Callable, Iterator, ValuesView
from typing import Any, Generic, Protocol, TypeVar

from ticketzoo.errors import TicketzooError
from ticketzoo.util.text import for_terminal

MadeT = TypeVar("MadeT")


class Entry(Protocol):
    """A row of a table: a frozen dataclass with at least these fields."""

    @property
    def name(self) -> str:
        """Return the name by which recipes and calls ask for the entry."""


EntryT = TypeVar("EntryT", bound=Entry)


class Registry(Generic[EntryT]):
    """The entries of one concept by name, in the order of their registration.

    Everything that is said of an entry (its config, citation, words for cards, plot style) is a field of `entry`, a
    dataclass, and is given where the entry is added:

        @CRITERIA.add("snip", cite="Lee et al. 2019, section 4")
        def snip(probe): ...

    Args:
        concept: the singular noun for messages, such as `arm`.
        entry: the dataclass of a row; called with `name`, `make` and the keywords given to `add`.
        error: raised for an unknown name.
    """

    def __init__(
        self, concept: str, entry: Callable[..., EntryT], *, error: type[TicketzooError] = TicketzooError
    ) -> None:
        self.concept, self._entry, self._error = concept, entry, error
        self._entries: dict[str, EntryT] = {}

    def add(self, name: str, **facts: Any) -> Callable[[MadeT], MadeT]:
        """Return a decorator that registers what it decorates as `name`, with `facts` about it.

        Defining the same function again, as when a notebook's cell is run twice, replaces it.

        Raises:
            TicketzooError: another one has the name.
        """

        def register(made: MadeT) -> MadeT:
            known = getattr(self._entries.get(name), "make", None)
            if name in self._entries and _origin(known) != _origin(made):
                first = ".".join(_origin(known))
                raise TicketzooError(f"{self.concept} {name!r} is registered already, by {first}: choose another name")
            try:
                self._entries[name] = self._entry(name=name, make=made, **facts)
            except TypeError as error:
                raise TicketzooError(f"{self.concept} {name!r}: {str(error).partition(' ')[2]}") from None
            return made

        return register

    def put(self, entry: EntryT) -> EntryT:
        """Register `entry` as it is, where the concept is no function, and return it.

        Raises TicketzooError where a different one has its name.
        """
        if self._entries.get(entry.name, entry) != entry:
            raise TicketzooError(f"{self.concept} {entry.name!r} is registered already: choose another name")
        self._entries[entry.name] = entry
        return entry

    def __getitem__(self, name: str) -> EntryT:
        """Return the entry called `name`. Raises the registry's error, with the near names, where there is none."""
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise self._error(self.unknown(name)) from None

    def values(self) -> ValuesView[EntryT]:
        """Return the entries, in the order of their registration."""
        return self._entries.values()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, name: str) -> str:
        """Return `name`.

        Raises:
            ValueError: pydantic's validators, where no entry is called so.
        """
        if name not in self:
            raise ValueError(self.unknown(name))
        return name

    def unknown(self, name: object) -> str:
        """Return one line that says `name` is unknown, and which names are near."""
        near = difflib.get_close_matches(str(name), self._entries, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(self._entries)}"
        return f"unknown {self.concept} {for_terminal(repr(name))[:100]}; {hint}"


def _origin(made: object) -> tuple[str, str]:
    """Return module and qualified name of what an entry was made by."""
    named = made if hasattr(made, "__qualname__") else type(made)
    return named.__module__, named.__qualname__


def said(table: Registry[Any], name: object, cite: str | None = None) -> str:
    """Return what a card says of a row: its words, or its name, and in brackets its citation; "" where there is none.

    Args:
        table: its rows have `words` and `cite`.
        name: of the row.
        cite: in place of the row's citation.
    """
    if not isinstance(name, str) or name not in table:
        return ""
    row = table[name]
    cite = row.cite if cite is None else cite
    return (row.words or row.name) + (f" ({cite})" if cite else "")
