"""The table files of a user's folder (CSV, JSON lines, parquet, ...), by the splits that their names say."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ticketzoo.data.folders import NAMES, NO_CLASS, SPLIT_WORDS, TEST, TRAIN, VALIDATION, Layout, split_named
from ticketzoo.data.walk import walk
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4")
_OF_HUB = re.compile(r"(.+?)-(\d{5})-of-(\d{5}).*")
_PARTS_OF_MNLI = ("_matched", "_mismatched")
_NUMBERED = re.compile(r"(.+?)[-_. ]?(?:part|shard)?[-_. ]?\d+", re.I)
_ADVICE = "name them train.csv, test.csv, .. or put them into folders train/, test/"


def resolve_tables(root: Path, kinds: Mapping[str, str]) -> tuple[str | None, Layout]:
    """Return the kind of the tables in `root` (None: there are none), and their files by split, in class NO_CLASS.

    A split is a file of the first level that is called so, `train.csv`, or parts of one, `train_1.csv` or
    `train-00000-of-00002.parquet`, or a folder called so, with all that is in it. Where nothing is, the files that have
    one name but for a word between separators are splits by that word, `imdb_train.csv` and `imdb_test.csv`, and
    otherwise all files are "train"; that several are is a remark of the layout. A folder `data/` that holds everything
    counts as the first level.

    Args:
        root: a folder.
        kinds: suffix -> kind, those preferred first: of several kinds the one with the most files is read.

    Raises:
        DataError: two files or folders are called the same split, names have words of splits, also within other
            words as in `mytest`, and it is not clear what they say, links go in a circle, or a folder cannot be read.
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
    if not split_of and len(used) > 1:
        layout.remarks.append(f"no name says a split: all {len(used):,} files are read as train")
    splits: dict[str, list[str]] = {}
    for name in used:
        splits.setdefault(split_of.get(name, TRAIN), []).append(name)
    for split in sorted(splits, key=_rank):
        if split_of:
            layout.remarks += _check_one(root, split, [name[len(top) :] for name in splits[split]])
        layout.splits[split] = {NO_CLASS: [root / name for name in splits[split]]}
    return kind, layout


def check_tested(folder: Path, layout: Layout, unknown: Sequence[str]) -> None:
    """Raise DataError where no split is to be tested on, but one of the `unknown` tables may have been meant."""
    if unknown and TEST not in layout.splits:
        advice = "call it test if it is to be tested on, or else move it out of the folder"
        raise DataError(f"{folder} has no split test, but {unknown[0]}, no split by name: {advice}; {NAMES}")


def joined_words(splits: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return a sentence for each split that is read from several files."""
    return [f"{split} is read from {len(files):,} files" for split, files in splits.items() if len(files) > 1]


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
    if len(names) < 2:
        return {}
    if any(found.values()):
        rest = {(name.rpartition("/")[0], *(word for word in words[name] if not split_named(word))) for name in names}
        splits = [of_name[0] for of_name in found.values() if len(of_name) == 1]
        if len(rest) == 1 and len(set(splits)) == len(names) and TRAIN in splits:
            return dict(zip(names, splits, strict=True))
        unclear = names
    else:
        unclear = _alike_but_for_a_split([name[len(top) :] for name in names])
    if unclear:
        listed = show_names([name.removeprefix(top) for name in unclear], 5)
        raise DataError(f"{root}: it is not clear which of {listed} to train and to test on: {_ADVICE}")
    return {}


def _alike_but_for_a_split(names: list[str]) -> list[str]:
    """Return files or folders of one name but for a split's word anywhere in it, as mytrain.csv and mytest.csv are.

    Letters of a name decide no split, but files called so are hardly one.
    """
    units = dict.fromkeys(
        part
        for name in names
        for part in (*(f"{folder}/" for folder in PurePosixPath(name).parts[:-1]), PurePosixPath(name).name)
    )
    alike: dict[tuple[str, str], dict[str, str]] = {}
    for unit in units:
        for around, split in _splits_within(unit.removesuffix("/") if unit.endswith("/") else _stem(unit)):
            alike.setdefault(around, {}).setdefault(split, unit)
    return next((sorted(by_split.values()) for by_split in alike.values() if len(by_split) > 1), [])


def _splits_within(name: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what stands before and after each word of a split in a name, and that split."""
    folded = name.casefold()
    for split, words in SPLIT_WORDS.items():
        for found in re.finditer("|".join(sorted(words, key=len, reverse=True)), folded):
            yield (folded[: found.start()], folded[found.end() :]), split


def _check_one(root: Path, split: str, names: list[str]) -> list[str]:
    """Return what is odd about the files of one split, of which numbered ones are parts.

    Raises:
        DataError: two files or folders are called the same split.
    """
    wholes = {name.partition("/")[0] for name in names}
    parts = {name for name in wholes if name in names and split_named(_stem(name)) is None}
    shards = [shard for name in parts if (shard := _OF_HUB.fullmatch(_stem(name)))]
    if len(wholes - parts) > 1 or (wholes - parts and shards):
        raise DataError(f"{root} has the split {split!r} several times, {show_names(sorted(wholes), 5)}: leave one")
    odd = []
    if wholes - parts and parts:
        odd.append(f"{split} is read from a file of that name and from numbered ones: leave out what is a copy")
    if shards and len(shards) < (stated := max(int(shard[3]) for shard in shards)):
        odd.append(f"only {len(shards):,} of the {stated:,} parts of {split} are here")
    return odd


def _rank(split: str) -> tuple[int, str]:
    known = (TRAIN, VALIDATION, TEST)
    return (known.index(split) if split in known else len(known), split)
