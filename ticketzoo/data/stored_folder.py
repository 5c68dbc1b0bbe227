"""A local folder of tables, read by `datasets` from exact lists of files; folders that it has written itself."""

import hashlib
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ticketzoo.data.contents import content_key
from ticketzoo.data.folders import TRAIN, Layout
from ticketzoo.data.inside import saved_to_disk
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.table_files import check_tested, joined_words, resolve_tables
from ticketzoo.data.walk import walk
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import DatasetDict
    from datasets.data_files import DataFilesDict


KINDS = {
    f".{suffix}": kind
    for kind, suffixes in {
        "parquet": ("parquet", "geoparquet", "gpq"),
        "arrow": ("arrow",),
        "json": ("jsonl", "ndjson", "json"),
        "csv": ("csv",),
        "tsv": ("tsv",),
        "text": ("txt",),
        "webdataset": ("tar",),
        "hdf5": ("h5", "hdf5"),
        "xml": ("xml",),
        "zip": ("zip",),
    }.items()
    for suffix in suffixes
}
"""Suffix -> kind of table, those preferred first."""
_BUILDERS: dict[str, tuple[str, dict[str, Any]]] = {"tsv": ("csv", {"sep": "\t"})}
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_OF_HUB = ("dataset_infos.json", ".huggingface.yaml")
_PATTERN = re.compile(r"[*?\[\]]")


def load_folder(folder: Path, name: str | None = None) -> "DatasetDict":
    """Return the splits of a local folder; their fingerprints are of the files' contents.

    Raises:
        DataError: it holds no tables, or can be read in more than one way.
        Exception: whatever `datasets` raises for what cannot be read.
    """
    from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

    if saved_to_disk(folder) is not None:
        key = _key_of_all(folder)
        saved = load_from_disk(folder)
        stored = DatasetDict({TRAIN: saved}) if isinstance(saved, Dataset) else saved
    elif name is not None or of_hub(folder):
        if _PATTERN.search(str(folder.resolve())):
            raise DataError(f"{folder}: rename it, `datasets` takes *, ?, [ and ] in its path for a pattern")
        key = _key_of_all(folder)
        stored = load_dataset(str(folder), name, cache_dir=_cache_dir(key))
    else:
        builder, options, layout = _by_builder(folder)
        files = {split: layout.files(split) for split in layout.splits}
        remarks = Remarks.of_layout(layout)
        remarks.facts += joined_words(files) if builder != "imagefolder" else []
        remarks.log(str(folder))
        every = [file for part in files.values() for file in part]
        if builder == "parquet":
            _check_parquet(folder, every)
        key = content_key(folder, every)
        stored = load_dataset(builder, data_files=_exactly(files, key), **options)
    for split, table in stored.items():
        table._fingerprint = hashlib.sha256(f"{key} {name} {split}".encode()).hexdigest()[:16]
    return stored


def of_hub(folder: Path) -> bool:
    """Tell whether a folder says itself how `datasets` is to read it, as copies of Hub data sets do."""
    if any((folder / file).is_file() for file in _OF_HUB):
        return True
    card = folder / "README.md"
    if not card.is_file():
        return False
    parts = card.read_text(encoding="utf-8", errors="replace").split("---", 2)
    return len(parts) == 3 and not parts[0].strip() and bool(re.search(r"^(configs|dataset_info):", parts[1], re.M))


def holds_metadata(folder: Path, names: Iterable[str]) -> bool:
    """Tell whether one of the files `names` is a table that describes the images beside it: `metadata.csv`, .."""
    return any(PurePath(name).name in METADATA and _names_files(folder / name) for name in names)


def _names_files(file: Path) -> bool:
    """Tell whether a table has a column of file names."""
    if file.suffix == ".parquet":
        from pyarrow.parquet import read_schema

        return any(re.search(r"(^|_)file_names?$", column) for column in read_schema(file).names)
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        return bool(re.search(r"(^|[\"',_{ ])file_names?([\"', ]|$)", lines.readline().strip()))


def _by_builder(folder: Path) -> tuple[str, dict[str, Any], Layout]:
    """Return the builder of `datasets` for what is in a folder, its options, and the files by split."""
    kind, layout = resolve_tables(folder, KINDS)
    if kind is None:
        left_out = layout.left_out_words()
        but = f"; {left_out[0]}" if left_out else ""
        raise DataError(f"could not load the folder {folder}: there are no images or tables in it{but}")
    check_tested(folder, layout, layout.left_out.get("in no split", []))
    if kind == "zip":
        _check_archives([file for split in layout.splits for file in layout.files(split)])
        kind = "imagefolder"
    return (*_BUILDERS.get(kind, (kind, {})), layout)


def _check_parquet(folder: Path, files: list[Path]) -> None:
    """Raise DataError that names the file that is no parquet file, or has texts where the first has other values."""
    from pyarrow import ArrowException, types
    from pyarrow.parquet import read_schema

    seen: dict[str, tuple[bool, Path]] = {}
    for file in files:
        try:
            schema = read_schema(file)
        except (ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"could not load the folder {folder}: {file} cannot be read: {reason}") from error
        for column in (column for column in schema if not types.is_null(column.type)):
            is_text = types.is_string(column.type) or types.is_large_string(column.type)
            other, there = seen.setdefault(column.name, (is_text, file))
            if other != is_text:
                here, elsewhere = ("texts", "none") if is_text else ("no texts", "texts")
                kinds = f"holds {here}, and {elsewhere} in {there}"
                raise DataError(f"{file}: column {column.name!r} {kinds}: make them alike")


def _check_archives(archives: list[Path]) -> None:
    """Raise DataError for zip archives without a table that describes their images: folders in them are not read."""
    for archive in archives:
        try:
            with zipfile.ZipFile(archive) as opened:
                names = opened.namelist()
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{archive} cannot be read: {error}") from error
        if not any(PurePath(name).name in METADATA for name in names):
            raise DataError(f"{archive} is an archive: unpack it into the folder")


def _exactly(files: dict[str, list[Path]], key: str) -> "DataFilesDict":
    """Return the files for `datasets` as no patterns; what it remembers of them goes by `key`."""
    from datasets.data_files import DataFilesDict, DataFilesList

    return DataFilesDict(
        {split: DataFilesList([str(file.absolute()) for file in part], [(key,)]) for split, part in files.items()}
    )


def _key_of_all(folder: Path) -> str:
    return content_key(folder, [folder / name for name in walk(folder).files])


def _cache_dir(key: str) -> str:
    import datasets.config

    return str(Path(datasets.config.HF_DATASETS_CACHE) / f"folder-{key[:32]}")
