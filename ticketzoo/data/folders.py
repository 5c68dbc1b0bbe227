"""A user's folder as it is laid out: which of its files belong to which split, and to which class of it.

Splits are what the first level of the folder calls so (`train/`, `Test/`, `valid_set/`, ...; of tables `train.csv`). No
name below that, of a class or of a file, ever decides a split, and no name is a pattern. What is not used is listed.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ticketzoo.data.walk import EMPTY, Found, walk
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLIT_WORDS = {
    TRAIN: ("train", "training"),
    VALIDATION: ("val", "valid", "validation", "validate", "validating", "dev", "development"),
    TEST: ("test", "testing", "eval", "evaluation", "evaluate", "evaluating"),
}
"""Words, in lower case, by which a file or folder is a split."""
_KINDS = ("", "set", "sets", "split", "data", "dataset", "folder", "images", "imgs", "pictures", "texts", "files")
_SPLITS = {word + kind: split for split, words in SPLIT_WORDS.items() for word in words for kind in _KINDS}
IMAGES = (
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm"),
    *(".pcx", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
"""Suffixes of images."""
_ORDINARY = re.compile(r"(README|LICEN[CS]E|CITATION|CHANGELOG)[^/]*$|\.git[^/]*$|\.(DS_Store|cache)$", re.I)
"""Files that belong to no data, of which nothing is said."""
NO_CLASS = ""
"""The class of files that lie in no class folder."""
_NO_SPLIT = "in folders that are no split"
NAMES = f"names of splits, in upper or lower case, are {'; '.join(', '.join(words) for words in SPLIT_WORDS.values())}"
"""For messages: what a split may be called."""


@dataclass
class Layout:
    """The splits and classes of a folder.

    Attributes:
        root: the folder.
        splits: split ("train", "validation", "test") -> class -> files, sorted by path; the class is NO_CLASS of files
            that lie in no class folder. Names of classes are in unicode's composed form (NFC).
        left_out: reason -> files that were not used, relative to the folder.
        remarks: further things to say about the layout, a sentence each.
        folders: split -> the folder that is it, relative to `root` and ending in `/`; none of a split that is `root`.
    """

    root: Path
    splits: dict[str, dict[str, list[Path]]]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """The names of the classes of all splits, sorted."""
        return sorted({name for classes in self.splits.values() for name in classes} - {NO_CLASS})

    def files(self, split: str) -> list[Path]:
        """Return the files of a split, of whatever class, sorted by path."""
        return sorted((file for files in self.splits[split].values() for file in files), key=str)

    def leave_out(self, reason: str, files: Iterable[str]) -> None:
        """Note files as not used."""
        if files := list(files):
            self.left_out[reason] = sorted(self.left_out.get(reason, []) + files)

    def left_out_words(self) -> tuple[str, str] | None:
        """Return in one sentence how much was left out for which reasons, and examples; None if nothing was."""
        reasons = [reason for reason in self.left_out if reason != _NO_SPLIT]  # of those a remark tells
        told = {reason: [f for f in self.left_out[reason] if not _ORDINARY.match(f)] for reason in reasons}
        told = {reason: files for reason, files in told.items() if files}
        words = "; ".join(f"{reason}: {len(files):,}" for reason, files in told.items())
        return (f"left out: {words}", show_names([files[0] for files in told.values()], 5)) if told else None


def split_named(name: str) -> str | None:
    """Return the split ("train", "validation" or "test") that a folder of the first level is by its name, if one."""
    return _SPLITS.get(re.sub(r"[-_. ]", "", unicodedata.normalize("NFKC", name).casefold()))


def resolve_folder(
    root: Path,
    accepts: Callable[[Path], bool],
    what: str,
    *,
    with_classes: bool = True,
    found: Found | None = None,
) -> Layout:
    """Return the splits and class folders of `root`, of the files that `accepts` takes.

    A class is a folder right in a split's folder, with all that is below it; without splits, a folder of the first
    level, and all are "train". A folder `data/` that holds everything counts as the first level.

    Args:
        root: a folder.
        accepts: tells by path whether a file is data.
        what: the kind of the files, in plural, for messages: "images".
        with_classes: False: folders mean nothing but splits, and all files are of NO_CLASS.
        found: what is below `root`, where that is known already.

    Raises:
        DataError: the layout can be read in more than one way, a folder beside the training split may have been meant
            to be tested on, links go in a circle, or a folder cannot be read.
    """
    found = walk(root) if found is None else found
    taken = [name for name in found.files if accepts(root / name)]
    layout = Layout(root, {}, dict(found.left_out))
    layout.leave_out(f"files that are no {what}", sorted(set(found.files) - set(taken)))
    top = "data/" if taken and all(name.startswith("data/") for name in taken) else ""
    _divide(layout, top, [name[len(top) :] for name in taken], what, with_classes)
    for name in _unused_splits(root / top, {name[len(top) :].split("/")[0] for name in taken}):
        layout.remarks.append(f"{name}/ holds no {what}")
        layout.left_out[EMPTY] = [folder for folder in layout.left_out.get(EMPTY, []) if folder != f"{top}{name}/"]
    return layout


def _divide(layout: Layout, top: str, names: list[str], what: str, with_classes: bool) -> None:
    """Fill in the splits of `names`, paths below the first level, which is the folder `top`."""
    folders: dict[str, list[str]] = {}
    for name in names:
        first, _, rest = name.partition("/")
        folders.setdefault(first if rest else "", []).append(rest or first)
    loose = folders.pop("", [])
    named = {folder: split for folder in folders if (split := split_named(folder))}
    deep = {folder for folder in named if any("/" in rest for rest in folders[folder])}
    others = sorted(set(folders) - set(named))
    root = layout.root / top
    if named and (deep or not others or not with_classes):
        _check_splits(root, named, deep, others)
        _check_others(root, named, folders, others, with_classes)
        for folder in sorted(named, key=lambda folder: (TRAIN, VALIDATION, TEST).index(named[folder])):
            files = folders[folder]
            layout.folders[named[folder]] = f"{top}{folder}/"
            layout.splits[named[folder]] = _of_split(layout, f"{top}{folder}/", files, with_classes)
        for folder in others:
            layout.leave_out(_NO_SPLIT, [f"{top}{folder}/{rest}" for rest in folders[folder]])
        if others:
            count = sum(len(folders[folder]) for folder in others)
            layout.remarks.append(f"not used: {_folders(others)} ({what}: {count:,}), no split by name")
        layout.leave_out(f"{what} in no split", [top + name for name in loose])
    elif names:
        if len(folders) == 1 and (with_classes or not loose):
            _check_one_folder(root, *folders.popitem(), with_classes)
        elif with_classes and folders:
            _check_classes(root, folders)
            if as_class := sorted(folder for folder in named if named[folder] == TRAIN):
                layout.remarks.append(f"{_folders(as_class)} is taken for a class: a split has a folder for each class")
        layout.splits[TRAIN] = _of_split(layout, top, names, with_classes)


def _of_split(layout: Layout, folder: str, names: list[str], with_classes: bool) -> dict[str, list[Path]]:
    """Return class -> files of the split whose folder this is; files beside class folders are left out."""
    classes: dict[str, list[Path]] = {}
    for name in names:
        first, _, rest = name.partition("/")
        if rest and with_classes and any(unicodedata.category(char) in ("Cc", "Cs") for char in first):
            raise DataError(f"{layout.root / folder} has a folder {first!a}, no name that can be shown: rename it")
        label = unicodedata.normalize("NFC", first) if rest and with_classes else NO_CLASS
        classes.setdefault(label, []).append(layout.root / (folder + name))
    if len(classes) > 1 and (loose := classes.pop(NO_CLASS, None)):
        layout.leave_out("in no class folder", [folder + file.name for file in loose])
    return dict(sorted(classes.items()))


def _check_splits(root: Path, named: dict[str, str], deep: set[str], others: list[str]) -> None:
    """Raise DataError for two folders of one split, or none to train on beside folders that may have been meant."""
    for split in dict.fromkeys(named.values()):
        if len(same := sorted(folder for folder in named if named[folder] == split)) > 1:
            raise DataError(f"{root} has several folders of the split {split!r}, {_folders(same)}: leave one of them")
    if others and TRAIN not in named.values():
        raise DataError(
            f"{root} has {_folders(sorted(deep))}, but no train/ beside it, only {_folders(others)}: "
            "name what to train on train/; if all are classes, put them into a folder train/"
        )


def _check_others(
    root: Path, named: dict[str, str], folders: dict[str, list[str]], others: list[str], with_classes: bool
) -> None:
    """Raise DataError if there is nothing to test on but a folder of no split's name that is laid out like a split."""
    if TEST in named.values():
        return

    def inside(folder: str) -> set[str]:
        names = {rest.split("/")[0] for rest in folders[folder] if "/" in rest or not with_classes}
        return {unicodedata.normalize("NFC", name) for name in names}

    for folder in others:
        alike = [split for split in named if inside(split) & inside(folder)]
        if alike:
            raise DataError(
                f"{root} has no test/, but {_folders([folder])} is laid out like {_folders(alike[:1])}: call it test/ "
                f"if it is to be tested on, or else move it out of the folder; {NAMES}"
            )


def _check_classes(root: Path, folders: dict[str, list[str]]) -> None:
    """Raise DataError if folders of the first level hold folders of the same names: are they splits or classes?"""
    inside: dict[str, str] = {}
    for folder, names in folders.items():
        for name in {name.split("/")[0] for name in names if "/" in name}:
            if (other := inside.setdefault(unicodedata.normalize("NFC", name), folder)) != folder:
                raise DataError(
                    f"{root} has {name}/ both in {other}/ and in {folder}/: if these are splits, name them train/ and "
                    "test/; if they are classes, put them into a folder train/"
                )


def _check_one_folder(root: Path, only: str, names: list[str], with_classes: bool) -> None:
    """Raise DataError if splits or classes are further down, where each folder above holds just one."""
    inner = [only]
    while len(below := {name.split("/")[0] for name in names}) == 1 and all("/" in name for name in names):
        if split_named(first := below.pop()):
            break
        inner, names = [*inner, first], [name.partition("/")[2] for name in names]
    folders = sorted({name.split("/")[0] for name in names if "/" in name})
    if any(map(split_named, folders)) or (with_classes and len(folders) > 1):
        where = "/".join(inner)
        levels = "one level" if len(inner) == 1 else f"{len(inner)} levels"
        raise DataError(f"{root} holds {_folders(folders)} {levels} down, in {where}/: give {root / where}")


def _unused_splits(root: Path, used: set[str]) -> list[str]:
    names = [entry.name for entry in root.iterdir() if entry.name not in used and entry.is_dir()]
    return sorted(name for name in names if split_named(name))


def _folders(names: list[str]) -> str:
    return show_names([f"{name}/" for name in names], 5)
