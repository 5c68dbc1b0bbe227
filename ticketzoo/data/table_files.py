"""The table files of a user's folder (CSV, JSON lines, parquet, ...), by the splits that their names say."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ticketzoo.data.folders import NO_CLASS, TEST, TRAIN, VALIDATION, Layout, split_named
from ticketzoo.data.walk import walk
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4")
_OF_HUB = re.compile(r"(.+?)-\d{5}-of-\d{5}.*")
_PARTS_OF_MNLI = ("_matched", "_mismatched")
_NUMBERED = re.compile(r"(.+?)[-_. ]?\d+")


def resolve_tables(root: Path, kinds: Mapping[str, str]) -> tuple[str | None, Layout]:
    """Return the kind of the tables in `root` (None: there are none), and their files by split, in class NO_CLASS.

    A split is a file of the first level that is called so, `train.csv`, or parts of one, `train_1.csv` or
    `train-00000-of-00002.parquet`, or a folder called so, with all that is in it. Where nothing is, the files that have
    one name but for a word are splits by that word, `imdb_train.csv` and `imdb_test.csv`, and otherwise all files are
    "train". A folder `data/` that holds everything counts as the first level.

    Args:
        root: a folder.
        kinds: suffix -> kind, those preferred first: of several kinds the one with the most files is read.

    Raises:
        DataError: two files or folders are called the same split, names of files have words of splits and it is not
            clear what they say, links go in a circle, or a folder cannot be read.
    """
    found = walk(root)
    layout = Layout(root, {}, dict(found.left_out))
    kind_of = {name: kind for name in found.files if (kind := kinds.get(suffix_of(name))) is not None}
    layout.leave_out("files that are no tables", (name for name in found.files if name not in kind_of))
    top = "data/" if kind_of and all(name.startswith("data/") for name in kind_of) else ""
    split_of = {name: split for name in kind_of if (split := _split_of(name[len(top) :])) is not None}
    counts = Counter(kind_of[name] for name in split_of or kind_of)
    if not counts:
        return None, layout
    order = list(dict.fromkeys(kinds.values()))
    kind = max(counts, key=lambda kind: (counts[kind], -order.index(kind)))
    used = [name for name in split_of or kind_of if kind_of[name] == kind]
    layout.leave_out(f"files that are no {kind}", (name for name in kind_of if kind_of[name] != kind))
    layout.leave_out("in no split", (name for name in kind_of if kind_of[name] == kind and name not in used))
    split_of = split_of or _by_one_word(root, top, used)
    splits: dict[str, list[str]] = {}
    for name in used:
        splits.setdefault(split_of.get(name, TRAIN), []).append(name)
    for split in sorted(splits, key=_rank):
        if split_of:
            _check_one(root, split, [name[len(top) :] for name in splits[split]])
        layout.splits[split] = {NO_CLASS: [root / name for name in splits[split]]}
    return kind, layout


def suffix_of(name: str) -> str:
    """Return the last suffix of a file's name, in lower case; that before it if the last is of compression."""
    suffixes = Path(name.lower()).suffixes
    if len(suffixes) > 1 and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _stem(name: str) -> str:
    whole = Path(name)
    while whole.suffix.lower() in COMPRESSED:
        whole = whole.with_suffix("")
    return whole.stem


def _split_of(name: str) -> str | None:
    """Return the split of a table by its path below the first level."""
    first, _, rest = name.partition("/")
    if rest:
        return split_named(first)
    stem = _stem(first)
    if shard := _OF_HUB.fullmatch(stem):
        return split_named(shard[1]) or shard[1]
    for part in _PARTS_OF_MNLI:
        if stem.endswith(part) and (split := split_named(stem.removesuffix(part))):
            return split + part
    numbered = _NUMBERED.fullmatch(stem)
    return split_named(stem) or (split_named(numbered[1]) if numbered else None)


def _by_one_word(root: Path, top: str, names: list[str]) -> dict[str, str]:
    """Return the splits of files with one name but for the word of a split; none if no name has such a word.

    Raises:
        DataError: names have such words, and it is not clear what they say.
    """
    words = {name: [word for word in re.split(r"[-_. ]+", _stem(name)) if word] for name in names}
    found = {name: [split for word in words[name] if (split := split_named(word))] for name in names}
    if len(names) < 2 or not any(found.values()):
        return {}
    rest = {(name.rpartition("/")[0], *(word for word in words[name] if not split_named(word))) for name in names}
    splits = [of_name[0] for of_name in found.values() if len(of_name) == 1]
    if len(rest) == 1 and len(set(splits)) == len(names) and TRAIN in splits:
        return dict(zip(names, splits, strict=True))
    listed = show_names([name[len(top) :] for name in names], 5)
    advice = "name them train.csv, test.csv, .. or put them into folders train/, test/"
    raise DataError(f"{root}: it is not clear which of {listed} to train and to test on: {advice}")


def _check_one(root: Path, split: str, names: list[str]) -> None:
    """Raise DataError if two files or folders are called the same split: numbered files are parts of one."""
    wholes = {name.partition("/")[0] for name in names}
    parts = {name for name in wholes if name in names and split_named(_stem(name)) is None}
    if len(wholes - parts) > 1 or (wholes - parts and any(_OF_HUB.fullmatch(_stem(name)) for name in parts)):
        raise DataError(f"{root} has the split {split!r} several times, {show_names(sorted(wholes), 5)}: leave one")


def _rank(split: str) -> tuple[int, str]:
    known = (TRAIN, VALIDATION, TEST)
    return (known.index(split) if split in known else len(known), split)
