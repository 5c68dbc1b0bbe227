"""A folder of tables as splits: found by their names or by the folder's card, and read as they are."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.data.tables.files import Reading, read_splits, suffix_of
from ticketzoo.data.tables.layout import resolve_tables
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

if TYPE_CHECKING:
    from datasets import DatasetDict

_log = logging.getLogger("ticketzoo")


def load_tables(root: Path, name: str | None, reading: Reading) -> "DatasetDict":
    """Return the splits of a folder of tables.

    Which files they are its card says (`configs` in README.md, as on the Hub), or their names (see `resolve_tables`).

    Args:
        root: the folder.
        name: one of the data sets that the card names, or of the folders in it.
        reading: how files of text are read.

    Raises:
        DataError: there are none, or one cannot be read.
    """
    from datasets import DatasetDict

    splits = _by_card(root, name)
    if splits is None:
        inside = root / name if name else root
        if not inside.is_dir():
            hint = f"(its name, {name!r}, is as in the recipe: unset it for a folder without)"
            raise DataError(f"could not load the folder {root}: it has no data set {name!r} {hint}")
        layout = resolve_tables(inside)
        splits = layout.splits
        if layout.left_out:
            used = f"splits are {', '.join(splits)}"
            _log.warning("%s: %s not read: %s", inside, show_names(layout.left_out, 3), used)
    return DatasetDict(read_splits(splits, reading))


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
    base = root / (configs[chosen].get("data_dir") or "")
    splits = {str(one["split"]): _matching(base, one["path"]) for one in listed}
    for split, files in splits.items():
        if not files or not all(suffix_of(file) for file in files):
            raise DataError(f"{root}/README.md: the files of split {split!r} of {chosen!r} are not here, or no tables")
    return splits


def _matching(base: Path, patterns: str | list[str]) -> list[Path]:
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if outside := [pattern for pattern in patterns if ".." in Path(pattern).parts or Path(pattern).is_absolute()]:
        raise DataError(f"{base}: its card names files outside, {outside[0]!r}: name files in the folder")
    return sorted({file for pattern in patterns for file in base.glob(pattern) if file.is_file()})
