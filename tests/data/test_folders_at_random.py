"""Random trees: the splits are what the maker of the tree laid out, and nothing is lost without a word."""

import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ticketzoo.data import walk
from ticketzoo.data.folders import resolve_folder, split_named
from ticketzoo.errors import DataError

TRAIN = ("train", "Train", "TRAIN", "trainset", "Train_Set", "training", "train images")
TEST = ("test", "Test", "TESTING", "test-set", "eval", "Evaluation")
VALIDATION = ("val", "VALID", "validation", "dev", "Val Set")
WORDS = (*TRAIN, *TEST, *VALIDATION, "crash_test", "my_train", "2020", "a")
LETTERS = st.text(st.sampled_from("ab[]?*!{}()~#%'\"\\: \u00e9e\u0301._-\u4e2d"), min_size=1, max_size=6)
NAMES = (st.sampled_from(WORDS) | LETTERS).filter(lambda name: name.strip() != "" and name[0] != ".")
JUNK = st.sampled_from(("__MACOSX", "@eaDir", "@EADIR", "$Recycle.Bin", ".git"))
HIDDEN = st.sampled_from((".thumbs", ".net", ".train", "._test"))
FILES = st.dictionaries(
    st.tuples(st.lists(NAMES, max_size=2).map(tuple), NAMES),
    st.booleans(),
    min_size=1,
    max_size=4,
)
"""(folders below the class, stem) -> whether it is an image (or else a note beside the images)."""
CLASSES = st.dictionaries(NAMES, FILES, min_size=1, max_size=4)


def nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@st.composite
def splits(draw: st.DrawFn) -> dict[str, tuple[str, dict[str, dict]]]:
    """Split -> the name of its folder, and its classes."""
    chosen = [("train", TRAIN), *draw(st.sets(st.sampled_from([("test", TEST), ("validation", VALIDATION)])))]
    return {split: (draw(st.sampled_from(words)), draw(CLASSES)) for split, words in chosen}


def write(folder: Path, classes: dict, elsewhere: Path | None) -> dict[str, set[Path]]:
    """Write the files of a split, behind links to `elsewhere` if given, and return its images by class."""
    images: dict[str, set[Path]] = {}
    for number, (name, files) in enumerate(classes.items()):
        at = folder / name
        if elsewhere:
            (elsewhere / folder.name / str(number)).mkdir(parents=True)
            folder.mkdir(parents=True, exist_ok=True)
            at.symlink_to(elsewhere / folder.name / str(number))
        for (below, stem), is_image in files.items():
            file = at.joinpath(*[f"{part}.d" for part in below], stem + (".png" if is_image else ".json"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(file))
            if is_image:
                images.setdefault(nfc(name), set()).add(file)
    return images


def is_png(file: Path) -> bool:
    return file.suffix == ".png"


def everything(root: Path, folder: Path) -> set[str]:
    """The paths of all files below a folder, links followed; of folders of systems, theirs."""
    if folder != root and folder.name.casefold() in walk.JUNK:
        return {str(folder.relative_to(root))}
    inside = sorted(folder.iterdir())
    files = {str(path.relative_to(root)) for path in inside if not path.is_dir()}
    return files.union(*(everything(root, path) for path in inside if path.is_dir()))


def check(root: Path, expected: dict[str, dict[str, set[Path]]]) -> None:
    layout = resolve_folder(root, is_png, "images")
    found = {split: {name: set(files) for name, files in classes.items()} for split, classes in layout.splits.items()}
    assert found == expected
    used = [str(file.relative_to(root)) for split in layout.splits for file in layout.files(split)]
    left_out = [name for reason, names in layout.left_out.items() for name in names if reason != "empty folders"]
    assert len(set(used)) == len(used)  # the splits are disjoint
    assert sorted(used + left_out) == sorted(everything(root, root))


@settings(max_examples=60)
@given(splits(), st.booleans(), st.booleans(), st.lists(NAMES, max_size=2), st.lists(JUNK | HIDDEN, max_size=3))
def test_splits_are_those_of_the_first_level(
    tree: dict, linked: bool, wrapped: bool, strays: list[str], junk: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) / "photos[1]" / "root"
        top = root / "data" if wrapped else root
        elsewhere = Path(made) / "elsewhere" if linked else None
        expected = {split: write(top / folder, classes, elsewhere) for split, (folder, classes) in tree.items()}
        for stray in strays:
            (root / f"{stray}.txt").write_text("a note")
            if expected["train"]:
                (top / tree["train"][0] / f"{stray}.png").write_text("a preview beside the classes")
        for name in junk:
            for folder in (top, top / tree["train"][0]):
                (folder / name / "train").mkdir(parents=True, exist_ok=True)
                (folder / name / "train" / "0.png").write_text("no picture of anyone's")
        check(root, {split: classes for split, classes in expected.items() if classes})


@settings(max_examples=40)
@given(splits(), CLASSES)
def test_no_folder_that_may_be_a_split_is_lost_without_a_word(tree: dict, unknown: dict) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        laid_out = {split: write(root / folder, classes, None) for split, (folder, classes) in tree.items()}
        classes = write(root / "holdout", unknown, None)
        assume(laid_out["train"] and classes)
        alike = any(set(classes) & set(of_split) for of_split in laid_out.values())
        if alike and not laid_out.get("test"):
            with pytest.raises(DataError, match="has no test/, but holdout/ is laid out like"):
                resolve_folder(root, is_png, "images")
            return
        check(root, {split: of_split for split, of_split in laid_out.items() if of_split})
        (said,) = [words for words in resolve_folder(root, is_png, "images").remarks if "holds no" not in words]
        count = sum(map(len, classes.values()))
        assert said == f"not used: holdout/ (images: {count}), no split by name"


@settings(max_examples=40)
@given(st.dictionaries(NAMES, st.sets(NAMES, min_size=1), min_size=1, max_size=4))
def test_without_splits_all_names_of_the_first_level_are_classes(tree: dict[str, set[str]]) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        expected: dict[str, set[Path]] = {}
        for name, stems in {**tree, "no split": {"0"}}.items():
            (root / name).mkdir()
            for stem in stems:
                (root / name / f"{stem}.png").write_text(stem)
                expected.setdefault(nfc(name), set()).add(root / name / f"{stem}.png")
        check(root, {"train": expected})


@given(NAMES)
def test_a_name_is_a_split_for_its_letters_alone(name: str) -> None:
    split = split_named(name)
    assert split_named(name.upper()) == split_named(unicodedata.normalize("NFD", name)) == split
    assert split is None or split_named(f"crash {name}") is None
