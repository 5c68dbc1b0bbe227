"""A folder of tables as splits: found by their names or by the folder's card, and read as they are."""

from pathlib import Path
from typing import Any

from ticketzoo.data.folders import TRAIN
from ticketzoo.data.inside import refuse_outside, saved_to_disk
from ticketzoo.data.remarks import Remarks
from ticketzoo.data.table_files import check_tested, joined_words, resolve_tables, suffix_of
from ticketzoo.data.tables.files import KINDS, Reading, Tables, read_splits
from ticketzoo.errors import DataError
from ticketzoo.util.text import counted, show_names


def load_tables(root: Path, name: str | None, reading: Reading) -> Tables:
    """Return the splits of a folder of tables.

    Which files they are its card says (`configs` in README.md, as on the Hub), or their names say (see
    `resolve_tables`). What `datasets` saved by `save_to_disk` has the splits that it was saved with.

    Args:
        root: the folder.
        name: one of the data sets that the card names, or of the folders in it.
        reading: how files of text are read.

    Raises:
        DataError: there are none, or one cannot be read.
    """
    splits, remarks = saved_to_disk(root) or _by_card(root, name), Remarks()
    if splits is None:
        inside = root / name if name else root
        if not inside.is_dir():
            hint = f"(its name, {name!r}, is as in the recipe: unset it for a folder without)"
            raise DataError(f"could not load the folder {root}: it has no data set {name!r} {hint}")
        splits, remarks = _by_names(inside)
    tables = read_splits(splits, reading)
    tables.remarks.facts += joined_words(splits)
    tables.remarks.odd += remarks.odd
    return tables


def _by_names(folder: Path) -> tuple[dict[str, list[Path]], Remarks]:
    """Return the files of each split, as their names say (of splits those of every kind that is read), and remarks."""
    _, layout = resolve_tables(folder, dict.fromkeys(KINDS, "table"))
    if list(layout.splits) == [TRAIN]:
        _, layout = resolve_tables(folder, KINDS)
    if not layout.splits:
        found = show_names([path.name for path in sorted(folder.iterdir())], 5) or "nothing"
        raise DataError(f"{folder} holds no tables (*{', *'.join(KINDS)}), but {found}")
    unknown = [name for name in layout.left_out.get("in no split", []) if not name.lower().endswith(".txt")]
    check_tested(folder, layout, unknown)
    remarks = Remarks(odd=[(words, "") for words in layout.remarks])
    tables = [name for names in layout.left_out.values() for name in names if KINDS.keys() & set(_suffixes(name))]
    if tables := sorted(name for name in tables if not name.lower().endswith(".txt")):
        remarks.add(f"not read, as in no split: {counted(len(tables), 'file')}", show_names(tables, 3))
    return {split: layout.files(split) for split in layout.splits}, remarks


def _suffixes(name: str) -> list[str]:
    return [suffix.lower() for suffix in Path(name).suffixes]


def has_names(root: Path) -> bool:
    """Tell whether the data sets in a folder go by names; a copy of just one of them has none."""
    return any(name != "default" for name in _configs(root)) if root.is_dir() else False


def _configs(root: Path) -> dict[str, dict[str, Any]]:
    """Return the data sets that the folder's card lists, by name."""
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData, metadata_load

    card = root / "README.md"
    if not card.is_file():
        return {}
    try:
        return dict(MetadataConfigs.from_dataset_card_data(DatasetCardData(**(metadata_load(card) or {}))))
    except Exception:  # a README that is no card: yaml and huggingface_hub raise many types
        return {}


def _by_card(root: Path, name: str | None) -> dict[str, list[Path]] | None:
    """Return the files of each split as the folder's card says; None where it does not."""
    configs = {key: config for key, config in _configs(root).items() if config.get("data_files")}
    if not configs or (name and name not in configs and (root / name).is_dir()):
        return None
    chosen = name or next((key for key, config in configs.items() if config.get("default")), None)
    chosen = chosen or ("default" if "default" in configs else next(iter(configs)) if len(configs) == 1 else None)
    if chosen not in configs:
        asked = f"has no data set {name!r}" if name else "has several data sets: say which with name"
        raise DataError(f"{root} {asked}; its names: {show_names(list(configs))}")
    given = configs[chosen]["data_files"]
    listed = given if isinstance(given, list) and isinstance(given[0], dict) else [{"split": "train", "path": given}]
    below = configs[chosen].get("data_dir") or ""
    refuse_outside(root, [below])
    splits = {str(one["split"]): _matching(root / below, one["path"]) for one in listed}
    for split, files in splits.items():
        if not files or not all(suffix_of(file.name) in KINDS for file in files):
            raise DataError(f"{root}/README.md: the files of split {split!r} of {chosen!r} are not here, or no tables")
    return splits


def _matching(base: Path, patterns: str | list[str]) -> list[Path]:
    patterns = [patterns] if isinstance(patterns, str) else patterns
    refuse_outside(base, patterns)
    try:
        return sorted({file for pattern in patterns for file in base.glob(pattern) if file.is_file()})
    except ValueError as error:
        raise DataError(f"{base}: its card names files by {patterns}: {error}") from None
