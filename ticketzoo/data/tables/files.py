"""Files as tables of one split: by suffix, unpacked, in the encoding that is declared, and known by their content."""

import hashlib
import lzma
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.data.inside import read_file
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.table_files import COMPRESSED, suffix_of
from ticketzoo.data.tables.csv_file import read_csv, read_lines
from ticketzoo.data.tables.encoding import decoded
from ticketzoo.data.tables.json_file import read_json
from ticketzoo.data.tables.places import Places, RowsOfFile
from ticketzoo.errors import DataError
from ticketzoo.util.text import one_line, show_names

if TYPE_CHECKING:
    from datasets import Dataset

KINDS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".txt": "text",
    ".zip": "zip",
}
"""What a file holds, by the suffix of its name in lower case; those preferred first."""

_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Reading:
    """The way that files of text are read.

    Attributes:
        encoding: default UTF-8, or what the mark at the start of a file says.
        missing: words in cells of CSV that stand for a missing value.
        separator: what stands between two cells of CSV; default a comma, or a tab in files called .tsv.
        in_recipe: a recipe may say so, as messages advise; False: such files can be read in one way alone.
    """

    encoding: str | None = None
    missing: tuple[str, ...] = ()
    separator: str | None = None
    in_recipe: bool = field(default=True, repr=False)


@dataclass(frozen=True)
class Tables:
    """The splits of a data set.

    Attributes:
        splits: their rows.
        places: where the rows of a split stand in files; of none that is not read from files here.
        remarks: what there is to say of the files.
    """

    splits: "Mapping[str, Dataset]"
    places: Mapping[str, Places] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)


def read_splits(splits: Mapping[str, Sequence[Path]], reading: Reading) -> Tables:
    """Return a data set for each split: the rows of its files, one file after the other.

    The columns of CSV are texts, and `info.builder_name` of the data set is then "csv". Its fingerprint is of the
    contents that were read.

    Args:
        splits: the files of each.
        reading: how files of text are read.

    Raises:
        DataError: a file cannot be read, or is in two splits; the message names the file, and the line if there is one.
    """
    made, places, remarks = {}, {}, Remarks()
    owner = dict[str, tuple[str, Path]]()
    for split, files in splits.items():
        tables, rows, suffixes, digest = [], [], [], hashlib.sha256(repr(reading).encode())
        for file in files:
            content = _content(file)
            of_file = hashlib.sha256(content).hexdigest()
            suffix, content = _unpacked(file, content)
            other, there = owner.setdefault(hashlib.sha256(content).hexdigest(), (split, file))
            if other != split and content:
                raise DataError(f"{file} of split {split!r} has the same content as {there} of split {other!r}")
            if there != file and content:
                remarks.add(f"two files of {split} have the same content, both are read", show_names([there, file]))
            table, lines = _table(file, suffix, content, reading)
            tables.append(table)
            rows.append(RowsOfFile(file, len(table), lines))
            suffixes.append(suffix)
            digest.update(f"{suffix} {of_file}\n".encode())
        if not sum(len(table) for table in tables):
            raise DataError(f"split {split!r} has no rows: {show_names(files, 3)}")
        if empty := [part.file for part in rows if not part.count]:
            remarks.add(f"{len(empty)} of the {len(rows)} files of {split} have no rows", show_names(empty, 3))
        made[split] = as_split(tables, files, suffixes, digest.hexdigest()[:32])
        places[split] = Places(tuple(rows))
    return Tables(made, places, remarks)


def read_table(file: Path, reading: Reading) -> tuple[Any, Sequence[int] | None]:
    """Return the rows of a file as a pyarrow table, and the line of each if it has lines.

    Raises:
        DataError: it cannot be read; the message names it, and the line if there is one.
    """
    return _table(file, *_unpacked(file, _content(file)), reading)


def as_split(tables: Sequence[Any], files: Sequence[Path], suffixes: Sequence[str], fingerprint: str) -> "Dataset":
    """Return the rows of all files of a split, pyarrow tables, as one data set.

    Raises:
        DataError: they have different columns, or values that do not go together.
    """
    from datasets import Dataset, DatasetInfo
    from datasets.table import InMemoryTable

    info = DatasetInfo(builder_name="csv" if any(KINDS[suffix] == "csv" for suffix in suffixes) else None)
    joined = InMemoryTable(_joined(tables, files))
    try:
        return Dataset(joined, info=info, fingerprint=fingerprint)
    except (ValueError, NotImplementedError) as error:  # a type that `datasets` does not know
        raise DataError(f"{show_names(files, 3)}: {one_line(error).rstrip('.')}: leave that column out") from error


def _content(file: Path) -> bytes:
    try:
        content = read_file(file)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    if content.startswith(b"version https://git-lfs"):
        raise DataError(f"{file} is a pointer of Git LFS, not the file: fetch it with git lfs pull")
    return content


def _table(file: Path, suffix: str, content: bytes, reading: Reading) -> tuple[Any, Sequence[int] | None]:
    """Return the rows of a file as a pyarrow table, and the line of each if it has lines."""
    import pyarrow as pa
    from pyarrow import parquet

    where, kind = str(file), KINDS[suffix]
    try:
        match kind:
            case "parquet":
                return _plain(parquet.ParquetFile(pa.BufferReader(content)).read(), where), None
            case "arrow":
                return _plain(_arrow(content), where), None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where} is no {kind} file that can be read: {one_line(error)}") from error
    text = decoded(content, where, reading.encoding, in_recipe=reading.in_recipe)
    match kind:
        case "csv":
            delimiter = reading.separator or _DELIMITERS[suffix]
            missing, in_recipe = reading.missing, reading.in_recipe
            return read_csv(text, where, delimiter=delimiter, missing=missing, in_recipe=in_recipe)
        case "json":
            return read_json(text, where)
    return read_lines(text)


def _plain(table: Any, where: str) -> Any:
    """Return a table with each value in its place, not in a dictionary (as those of categories in pandas are).

    Raises:
        DataError: two columns have one name.
        pyarrow.ArrowInvalid: values are not what the table says, such as texts that are no UTF-8.
    """
    import pyarrow as pa

    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{where}: two columns are called {twice[0]!r}: rename one")
    table.validate(full=True)
    for place, kind in enumerate(table.schema.types):
        if pa.types.is_dictionary(kind):
            table = table.set_column(place, names[place], table.column(place).cast(kind.value_type))
    return table


def _arrow(content: bytes) -> Any:
    import pyarrow as pa

    opened = pa.ipc.open_file if content.startswith(b"ARROW1") else pa.ipc.open_stream
    return opened(pa.BufferReader(content)).read_all()


def _unpacked(file: Path, content: bytes) -> tuple[str, bytes]:
    """Return the suffix that says what a file holds, and that: of a packed file, or of the one file in an archive."""
    import pyarrow as pa

    packed = file.suffix.lower()
    try:
        if packed == ".xz":
            return suffix_of(file.name), lzma.decompress(content)
        if packed in COMPRESSED:
            return suffix_of(file.name), pa.CompressedInputStream(pa.BufferReader(content), _CODECS[packed]).read()
        if packed == ".zip":
            with zipfile.ZipFile(BytesIO(content)) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
                if len(names) == 1 and KINDS.get(suffix_of(names[0]), "zip") != "zip":
                    return suffix_of(names[0]), archive.read(names[0])
            raise DataError(f"{file} holds {show_names(names, 3) or 'nothing'}, and not one table: unpack it")
    except (OSError, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{file} cannot be unpacked: {one_line(error)}") from error
    return suffix_of(file.name), content


def _joined(tables: Sequence[Any], files: Sequence[Path]) -> Any:
    """Return the rows of all files of a split as one table."""
    import pyarrow as pa

    names = tables[0].column_names
    for file, table in zip(files, tables, strict=True):
        if set(table.column_names) != set(names):
            have = ", ".join(table.column_names)
            raise DataError(f"the columns of {file} are {have}, but {', '.join(names)} in {files[0]}")
    try:
        return pa.concat_tables([table.select(names) for table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        where = f"the columns of {files[0]} and the other files of its split"
        raise DataError(f"{where} hold values of other kinds: {one_line(error)}") from error
