"""The memory that tensors in a file of `torch.save` claim, held against the file before any is made."""

import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

from ticketzoo.errors import TicketError
from ticketzoo.util.text import for_terminal

LEGACY = 4
"""Pickles that an old file begins with; the fourth is what was saved."""
ITEMS = {"ComplexDouble": 16, "ComplexFloat": 8, "Double": 8, "Long": 8, "Float": 4, "Int": 4, "QInt32": 4}
ITEMS |= {"Half": 2, "BFloat16": 2, "Short": 2}
"""Bytes of a value, by the kind of memory; 1 of all others."""


class Claim(NamedTuple):
    """The memory of tensors: the key of its record in an archive, and how many bytes it is said to have."""

    key: str
    nbytes: int


class _Inert:
    """Stands for whatever a pickle names: it takes all arguments and content, and does nothing."""

    bytes_each = 1

    def __new__(cls, *arguments: object, **keywords: object) -> "_Inert":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, one: object) -> None:
        """Do nothing."""

    add = extend = append


class _Bytes(_Inert):
    """Stands for `bytearray`, which makes any number of zeros of a few bytes."""

    def __new__(cls, *arguments: object, **keywords: object) -> "_Bytes":
        if any(isinstance(one, int) for one in arguments):
            raise pickle.UnpicklingError("a bytearray of a stated size")
        return object.__new__(cls)


_KINDS = {f"{kind}Storage": type("_Inert", (_Inert,), {"bytes_each": size}) for kind, size in ITEMS.items()}
_KINDS["bytearray"] = _Bytes
_ZEROS = pickle.BYTEARRAY8[0]
"""An opcode that says how many zeros to make; `torch.load` does not know it."""


class _Claims(pickle._Unpickler):
    """Reads a pickle without making anything that it names, and notes what it claims.

    It is the one written in Python: that in C makes its memo as long as the highest place that a pickle names.
    """

    dispatch: ClassVar[Any] = {key: one for key, one in pickle._Unpickler.dispatch.items() if key != _ZEROS}

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")
        self.found: list[Claim] = []

    def find_class(self, module: str, name: str) -> Any:
        return _KINDS.get(name, _Inert)

    def persistent_load(self, pid: object) -> _Inert:
        match pid:
            case ("storage", kind, str() as key, _, int() as count, *_):
                self.found.append(Claim(key, count * getattr(kind, "bytes_each", 1)))
        return _Inert()


def check_records(archive: zipfile.ZipFile, where: str) -> None:
    """Hold what an archive's tensors claim against the sizes of its records.

    Versions of torch differ in whether they do so themselves.

    Raises:
        TicketError: a record is missing, shorter than is claimed or there twice, or the claims cannot be read.
    """
    sizes: dict[str, int] = {}
    for one in archive.infolist():
        if one.filename in sizes:
            raise TicketError(f"{where}: has '{for_terminal(one.filename)[:200]}' twice: save it again")
        sizes[one.filename] = one.file_size
    for name in [name for name in sizes if name.rpartition("/")[2] == "data.pkl"]:
        with archive.open(name) as file:
            claims = list(_claims(file, 1, where))
        for key, nbytes in claims:
            there = sizes.get(f"{name.removesuffix('data.pkl')}data/{key}")
            if there is None or nbytes > there or nbytes < 0:
                has = "is missing" if there is None else f"has {there} bytes"
                raise TicketError(
                    f"{where}: a tensor needs {nbytes} bytes, and its record '{for_terminal(key)[:100]}' {has}"
                )


def check_stream(path: Path, where: str) -> None:
    """Hold what the tensors of an old file, which is no archive, claim against its size. Raises TicketError."""
    size, held = path.stat().st_size, dict[str, int]()
    with path.open("rb") as file:
        for key, nbytes in _claims(file, LEGACY, where):
            held[key] = max(nbytes, held.get(key, 0))
    if (nbytes := sum(held.values())) > size:
        raise TicketError(f"{where}: its tensors need {nbytes} bytes, and the file has {size}")


def _claims(file: IO[bytes], pickles: int, where: str) -> Iterator[Claim]:
    """Yield the claims of the last of so many pickles; none where those before are damaged, which `torch.load` says."""
    reader, left = _Claims(file), pickles
    try:
        while left:
            reader.load()
            left -= 1
    except Exception as error:  # a damaged pickle raises anything
        if left == 1:
            raise TicketError(f"{where}: cannot be read as a .pth: {for_terminal(error)[:300]}") from None
    yield from reader.found
