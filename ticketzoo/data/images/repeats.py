"""Images of a folder that are there more than once: an error across splits, counted within one."""

from collections.abc import Sequence
from pathlib import Path

from ticketzoo.data.contents import repeated
from ticketzoo.data.folders import Layout
from ticketzoo.data.images.read import upright
from ticketzoo.data.remarks import Remarks
from ticketzoo.errors import DataError


def check_repeats(layout: Layout, splits: Sequence[str], described: str, remarks: Remarks) -> None:
    """Raise DataError if an image of the first of `splits` is in another of them too; remark on others repeated.

    Images are compared as files. Those of one color are alike without being copies, and are only counted; those that
    cannot be read are not looked at.
    """
    of_split = {file: split for split in splits for file in layout.files(split)}
    colors = [(group, _has_colors(group[0])) for group in repeated(of_split)]
    groups = [(group, several) for group, several in colors if several is not None]
    for split in splits[1:]:
        shared = [one for one in groups if {splits[0], split} <= {of_split[file] for file in one[0]}]
        copies = [file for group, _ in shared for file in group if of_split[file] == split]
        shown = next((group for group, several in shared if several), None)
        if shown is not None:
            one, other = (next(file for file in shown if of_split[file] == which) for which in (splits[0], split))
            raise DataError(
                f"{len(copies):,} of the {len(layout.files(split)):,} images of split {split!r} of {described} are in "
                f"split {splits[0]!r} too, such as {_name(layout, other)} and {_name(layout, one)}: leave each in one"
            )
        if copies:
            remarks.add(
                f"{len(copies):,} images of {split}, of one color each, are in {splits[0]} too",
                _name(layout, copies[0]),
            )
    for split in splits:
        within = [[file for file in group if of_split[file] == split] for group, _ in groups]
        _remark_within(layout, split, [group for group in within if len(group) > 1], remarks)


def _remark_within(layout: Layout, split: str, groups: list[list[Path]], remarks: Remarks) -> None:
    """Count the copies in one split, and those that contradict each other."""
    if not groups:
        return
    of_class = {file: name for name, files in layout.splits[split].items() for file in files}
    mixed = sum(len({of_class[file] for file in group}) > 1 for group in groups)
    words = f"{sum(len(group) - 1 for group in groups):,} images of {split} are copies of others in it"
    example = " and ".join(_name(layout, file) for file in groups[0][:2])
    remarks.add(words + (f"; {mixed:,} contents are in several classes" if mixed else ""), example)


def _name(layout: Layout, file: Path) -> str:
    return str(file.relative_to(layout.root))


def _has_colors(file: Path) -> bool | None:
    """Tell whether an image has two colors or more; None if it cannot be read."""
    try:
        extremes = upright(file.read_bytes()).getextrema()
    except Exception:  # whatever Pillow raises: reading the data says so, or leaves it out
        return None
    bands = extremes if isinstance(extremes[0], tuple) else (extremes,)
    return any(low != high for low, high in bands)
