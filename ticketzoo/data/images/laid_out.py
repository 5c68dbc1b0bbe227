"""A user's own images in words: splits and classes, what is not used, and what a user may not have meant."""

from collections.abc import Sequence

from ticketzoo.data.images.classes import Part
from ticketzoo.data.images.config import ImageDataset
from ticketzoo.data.images.folder import FolderSource
from ticketzoo.data.images.format import ImageFormat
from ticketzoo.data.images.read import glance
from ticketzoo.data.images.repeats import check_repeats
from ticketzoo.data.images.source import ImageSource
from ticketzoo.data.remarks import Remarks, split_words
from ticketzoo.data.splits import evenly_spread
from ticketzoo.errors import DataError

_LOOKED_AT = 1000
"""Images of each split whose sizes and colors are looked at."""


def remark_on_splits(
    dataset: ImageDataset, source: ImageSource, used: Sequence[str], available: Sequence[Part], names: Sequence[str]
) -> Remarks:
    """Return what there is to say of the splits of a folder of the user's.

    Args:
        dataset: the recipe's section.
        source: the data.
        used: the splits that are trained and tested on.
        available: their images, of the classes kept.
        names: of the classes kept.

    Raises:
        DataError: an image that is tested on is trained on, too.
    """
    layout = source.layout if isinstance(source, FolderSource) else None
    remarks = Remarks.of_layout(layout) if layout else Remarks()
    for split, part in zip(used, available, strict=True):
        counts = part.labels.bincount(minlength=len(names)).tolist()
        folder = layout.folders.get(split, "") if layout else ""
        remarks.facts.append(split_words(split, "images", list(zip(names, counts, strict=True)), folder))
    for split in source.splits:
        if split not in used:
            held_out = "; validation images are drawn from train" if split == "validation" else ""
            remarks.add(f"split {split} is not used{held_out}")
    if len(used) == 1:
        remarks.add(f"no split to test on: a fifth of {used[0]} is drawn for it")
    elif used[1] != "test" and dataset.test_split is None:
        remarks.add(f"no split test: {used[1]} is tested on")
    if layout:
        check_repeats(layout, used, dataset.path, remarks)
        if len(used) == 1 and any("copies of others" in words for words, _ in remarks.odd):
            remarks.add("copies may be drawn apart: an image that is tested on may be trained on")
    return remarks


def remark_on_forms(remarks: Remarks, available: Sequence[Part], image_format: ImageFormat) -> None:
    """Add that images are of several sizes, or some grey and some in color, and what becomes of them."""
    seen = []
    for part in available:
        rows = part.rows[evenly_spread(len(part.rows), _LOOKED_AT)]
        seen += [glance(stored) for stored in part.table.encoded(rows.tolist()) if not isinstance(stored, DataError)]
    forms = [form for form in seen if form is not None]
    grey = sum(channels == 1 for _, _, channels in forms)
    if 0 < grey < len(forms):
        made = "grey" if image_format.channels == 1 else "color"
        among = f"of {len(forms):,} images looked at, {grey:,} are grey and {len(forms) - grey:,} in color"
        remarks.add(f"{among}: all are read in {made}")
    sizes = sorted({(width, height) for width, height, _ in forms}, key=lambda size: (size[0] * size[1], size))
    if len(sizes) > 1:
        least, most = (f"{width}x{height}" for width, height in (sizes[0], sizes[-1]))
        among = f"{len(forms):,} images looked at have {len(sizes):,} sizes, from {least} to {most} pixels"
        remarks.add(f"{among}: all are made {image_format.width}x{image_format.height}")
