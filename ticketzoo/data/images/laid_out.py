"""A user's own images in words: splits and classes, what is not used, and what a user may not have meant."""

from collections.abc import Mapping, Sequence

from ticketzoo.data.images.classes import Part
from ticketzoo.data.images.config import ImageDataset
from ticketzoo.data.images.folder import FolderSource
from ticketzoo.data.images.format import ImageFormat
from ticketzoo.data.images.read import glance
from ticketzoo.data.images.source import ImageSource
from ticketzoo.data.remarks import Remarks, alike_words, numbering_words, split_words
from ticketzoo.data.splits import evenly_spread
from ticketzoo.errors import DataError
from ticketzoo.util.text import show_names

_LOOKED_AT = 1000
"""Images of each split whose sizes and colors are looked at."""


def remark_on_splits(
    remarks: Remarks,
    dataset: ImageDataset,
    source: ImageSource,
    used: Sequence[str],
    available: Sequence[Part],
    names: Sequence[str],
) -> None:
    """Add what there is to say of the splits of a folder of the user's.

    Args:
        remarks: on its layout.
        dataset: the recipe's section.
        source: the data.
        used: the splits that are trained and tested on.
        available: their images, of the classes kept.
        names: of the classes kept.
    """
    layout = source.layout if isinstance(source, FolderSource) else None
    for split, part in zip(used, available, strict=True):
        counts = part.labels.bincount(minlength=len(names)).tolist()
        folder = layout.folders.get(split, "") if layout else ""
        remarks.facts.append(split_words(split, "image", list(zip(names, counts, strict=True)), folder))
    for split in source.splits:
        if split not in used:
            test_on = f"; to test on it, set task.dataset.test_split to {split}" if len(used) == 1 else ""
            held_out = "; validation images are drawn from train" if split == "validation" else test_on
            remarks.add(f"split {split} is not used{held_out}")
    if len(used) == 2 and used[1] != "test" and dataset.test_split is None:
        remarks.add(f"no split test: {used[1]} is tested on")


def remark_on_names(remarks: Remarks, dataset: ImageDataset, names: Sequence[str]) -> None:
    """Add what labels that are not 0, 1, .. are taken for, unless asked for, and names that are almost the same."""
    if dataset.classes is None and (numbering := numbering_words(names)):
        remarks.facts.append(numbering)
    if alike := alike_words(names):
        remarks.add(alike)


def remark_on_parts(
    remarks: Remarks,
    used: Sequence[str],
    available: Sequence[Part],
    parts: Mapping[str, Part],
    sizes: Mapping[str, int],
    names: Sequence[str],
) -> None:
    """Add what has been drawn, and the classes of which that has left nothing to train on, or nothing to test on.

    Args:
        remarks: on the data.
        used: the names of the splits, that to train on first.
        available: their images.
        parts: those drawn of them.
        sizes: how many of "train", "validation" and "test" could be read.
        names: of the classes.
    """
    if len(parts["train"].rows) < len(available[0].rows):
        trained, validated, tested = (f"{sizes[name]:,}" for name in ("train", "validation", "test"))
        remarks.facts.append(f"{trained} images to train on, {validated} to validate on, {tested} to test on")
    if len(used) == 1:
        remarks.add(f"no split to test on: {sizes['test']:,} images of {used[0]} are drawn for it")
    there = set(available[0].labels.tolist())
    for split, purpose in (("train", "train"), ("test", "test")):
        if parts[split].table is available[0].table and (lost := sorted(there - set(parts[split].labels.tolist()))):
            shown = show_names([names[label] for label in lost], 5)
            remarks.add(f"drawing left no image to {purpose} on of the classes {shown}")


def remark_on_forms(remarks: Remarks, available: Sequence[Part], image_format: ImageFormat) -> None:
    """Add that images are of several sizes, some grey and some in color, of several frames and so on.

    And what has become of them: for images that could be read.
    """
    seen = []
    for part in available:
        rows = part.rows[evenly_spread(len(part.rows), _LOOKED_AT)]
        seen += [glance(stored) for stored in part.table.encoded(rows.tolist()) if not isinstance(stored, DataError)]
    forms = [form for form in seen if form is not None]
    grey = sum(form.channels == 1 for form in forms)
    if 0 < grey < len(forms):
        made = "grey" if image_format.channels == 1 else "color"
        among = f"of {len(forms):,} images looked at, {grey:,} are grey and {len(forms) - grey:,} in color"
        remarks.add(f"{among}: all are read in {made}")
    for words in dict.fromkeys(words for form in forms for words in form.lost):
        count = sum(words in form.lost for form in forms)
        remarks.add(f"of {len(forms):,} images looked at, {count:,} {words}")
    sizes = sorted({(form.width, form.height) for form in forms}, key=lambda size: (size[0] * size[1], size))
    if len(sizes) > 1:
        least, most = (f"{width}x{height}" for width, height in (sizes[0], sizes[-1]))
        among = f"{len(forms):,} images looked at have {len(sizes):,} sizes, from {least} to {most} pixels"
        remarks.add(f"{among}: all are made {image_format.width}x{image_format.height}")
