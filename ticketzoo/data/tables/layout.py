"""The files of a folder of tables that belong to each split: by exact names of the first level, by nothing else."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ticketzoo.data.folders import split_named
from ticketzoo.data.tables.files import KINDS, PACKED, suffix_of
from ticketzoo.data.walk import walk
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

TRAIN = "train"
_OF_HUB = re.compile(r"(.+)-\d{5}-of-\d{5}")
_NUMBERED = re.compile(r"(.*[^\d])[-_. ]?\d+")
_PARTS_OF_MNLI = ("_matched", "_mismatched")
_RARER_FIRST = ("text", "json", "arrow", "csv", "parquet")


@dataclass
class Layout:
    """The files of each split, sorted by path; `left_out` are files that seem to be data and are not read."""

    splits: dict[str, list[Path]]
    left_out: list[str] = field(default_factory=list)


def resolve_tables(root: Path) -> Layout:
    """Return the files of each split of a folder.

    A split is a file of the first level (`train.csv`, `Test.jsonl.gz`, `validation-00000-of-00002.parquet`), or all
    tables in a folder of it (`train/`). A folder `data/` that holds all tables counts as the first level. Where nothing
    has the name of a split, all tables are "train", unless their names are alike but for one word (`imdb_train.csv`,
    `imdb_test.csv`). What `datasets` saved by `save_to_disk` has the splits that it was saved with.

    Raises:
        DataError: there are no tables, or it is not clear which split a file belongs to.
    """
    if saved := _saved_to_disk(root):
        return Layout(saved)
    names = walk(root).files
    tables = [name for name in names if suffix_of(root / name)]
    if not tables:
        kinds = ", ".join(KINDS)
        raise DataError(f"{root} holds no tables (files named *{kinds.replace(', ', ', *')}), but {_listed(names)}")
    top = "data/" if all(name.startswith("data/") for name in tables) else ""
    splits = _named_like_splits([name[len(top) :] for name in tables])
    _check_clear(root, splits)
    splits = splits or _of_other_names(root, [name[len(top) :] for name in tables])
    used = {top + name for of_split in splits.values() for name in of_split}
    left_out = [name for name in names if name not in used and _seems_data(name)]
    return Layout({split: [root / top / name for name in splits[split]] for split in splits}, left_out)


def _named_like_splits(names: list[str]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for name in names:
        first, slash, _ = name.partition("/")
        split = split_named(first) if slash else _split_of(_stem(first))
        if split:
            splits.setdefault(split, []).append(name)
    return splits


def _split_of(stem: str) -> str | None:
    """Return the split that a file of this name, without suffixes, holds; None for one that has no split's name."""
    if of_hub := _OF_HUB.fullmatch(stem):
        return split_named(of_hub[1]) or of_hub[1]
    for part in _PARTS_OF_MNLI:
        if stem.endswith(part) and (split := split_named(stem.removesuffix(part))):
            return split + part
    numbered = _NUMBERED.fullmatch(stem)
    return split_named(stem) or (split_named(numbered[1]) if numbered else None)


def _of_other_names(root: Path, names: list[str]) -> dict[str, list[str]]:
    """Return the splits of files of which none is named like a split."""
    counts = Counter(KINDS[suffix_of(root / name)] for name in names)
    kind = max(counts, key=lambda kind: (kind != "text", counts[kind], _RARER_FIRST.index(kind)))
    names = [name for name in names if KINDS[suffix_of(root / name)] == kind]
    words = {name: [word for word in re.split(r"[-_. /]+", _stem(name)) if word] for name in names}
    found = {name: [split for word in words[name] if (split := split_named(word))] for name in names}
    if len(names) == 1 or not any(found.values()):
        return {TRAIN: names}
    rest = {tuple(word for word in words[name] if not split_named(word)) for name in names}
    splits = [found[name][0] for name in names if len(found[name]) == 1]
    if len(rest) == 1 and len(set(splits)) == len(names) and TRAIN in splits:
        return {split: [name] for split, name in zip(splits, names, strict=True)}
    advice = "name them train.csv, test.csv, .. or put them into folders train/, test/"
    raise DataError(f"{root}: it is not clear which of {_listed(names)} to train and to test on: {advice}")


def _check_clear(root: Path, splits: dict[str, list[str]]) -> None:
    """Raise DataError where a split is there twice, as `train.csv` and `train.tsv`, or in files of several kinds."""
    for split, names in splits.items():
        if len({_source(name) for name in names}) > 1:
            raise DataError(f"{root}: split {split!r} is there more than once, {_listed(names)}: leave one of them")
        if len({KINDS[suffix_of(Path(name))] for name in names}) > 1:
            raise DataError(f"{root}: split {split!r} has files of several kinds, {_listed(names)}: leave one kind")


def _source(name: str) -> str:
    """Return what a file is a part of: a folder, the numbered files of a split, or itself."""
    first, slash, _ = name.partition("/")
    numbered = not slash and split_named(_stem(first)) is None
    return f"{first}/" if slash else "" if numbered else first


def _seems_data(name: str) -> bool:
    return any(suffix.lower() in KINDS for suffix in Path(name).suffixes) and not name.lower().endswith(".txt")


def _stem(name: str) -> str:
    """Return a name without the suffixes of what the file holds and how it is packed."""
    path = Path(name)
    if path.suffix.lower() in PACKED:
        path = path.with_suffix("")
    return str(path.with_suffix(""))


def _saved_to_disk(root: Path) -> dict[str, list[Path]]:
    """Return the files that `save_to_disk` of a data set, or of a dict of them, left in a folder; else nothing."""
    try:
        if (root / "state.json").is_file():
            return {TRAIN: _of_state(root)}
        if (root / "dataset_dict.json").is_file():
            names = json.loads((root / "dataset_dict.json").read_bytes())["splits"]
            return {str(name): _of_state(root / str(name)) for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{root} was saved by save_to_disk, but is not whole: {error}") from error
    return {}


def _of_state(folder: Path) -> list[Path]:
    files = json.loads((folder / "state.json").read_bytes())["_data_files"]
    return [folder / Path(file["filename"]).name for file in files]


def _listed(names: Iterable[str]) -> str:
    return show_names(list(names), 5) or "nothing"
