"""A data set of texts in words: its splits and classes, and texts that are to be tested on and are trained on, too."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ticketzoo.data.remarks import Remarks, split_words
from ticketzoo.data.text.rows import TextDataset, TextRows
from ticketzoo.util.text import counted, show_names


def remark_on_texts(
    dataset: TextDataset,
    rows: Mapping[str, TextRows],
    columns: Sequence[str],
    remarks: Remarks,
    *,
    beside: Sequence[str] = (),
    what: str = "texts",
    labels: Mapping[str, Tensor] | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, list[str]]:
    """Tell of the splits, and return what a ticket says of a folder of the user's: `{"laid_out": sentences}`.

    Args:
        dataset: the recipe's section.
        rows: the splits.
        columns: those of text.
        remarks: what there is to say of the files and labels; gets what there is to say of the texts.
        beside: further columns that are used.
        what: the name of rows, in plural.
        labels: labels of each split, if texts have any.
        names: of the classes, if labels are classes.
    """
    if dataset.is_users:
        classes = labels if labels and names else {}
        sizes = [_size(split, len(part), what, classes.get(split), names or ()) for split, part in rows.items()]
        remarks.facts[:0] = [*sizes, f"columns: {show_names([*columns, *beside])}"]
        if rows["test"].split == rows["train"].split:
            remarks.add(f"no split to test on: {len(rows['test']):,} {what} of train are drawn for it")
        elif not rows["test"].split.startswith("split 'test") and dataset.test_split is None:
            remarks.add(f"no split test: {rows['test'].split.split(' of ')[0]} is tested on")
    _name_untrained(labels or {}, names or (), remarks)
    if labels:
        _count_blank(rows, columns, remarks)
    _count_shared(rows, columns, remarks)
    remarks.log(dataset.path)
    return {"laid_out": remarks.for_card()} if dataset.is_users else {}


def _size(split: str, count: int, what: str, labels: Tensor | None, names: Sequence[str]) -> str:
    one = what.removesuffix("s")
    if labels is None or not count:
        return f"{split}: {counted(count, one)}"
    counts = labels.bincount(minlength=len(names)).tolist()
    return split_words(split, one, [(name[:100], size) for name, size in zip(names, counts, strict=True)])


def _count_blank(rows: Mapping[str, TextRows], columns: Sequence[str], remarks: Remarks) -> None:
    """Add how many rows have a text without a letter."""
    import pyarrow as pa
    from pyarrow import compute

    for split, part in rows.items():
        blank = np.zeros(len(part), dtype=bool)
        for column in columns:
            texts = part.arrow(column).cast(pa.large_string())
            letters = compute.utf8_length(compute.utf8_trim_whitespace(texts))
            blank |= letters.to_numpy(zero_copy_only=False) == 0
        if blank.any():
            where = part.where(int(np.flatnonzero(blank)[0]))
            remarks.add(f"{int(blank.sum()):,} of the {len(part):,} texts of {split} are empty or all spaces", where)


def _name_untrained(labels: Mapping[str, Tensor], names: Sequence[str], remarks: Remarks) -> None:
    """Add the classes that are to be told on a held-out split and are never shown in training."""
    trained = set(labels["train"].tolist()) if names else set()
    for split in ("validation", "test") if names else ():
        if untrained := sorted(set(labels[split].tolist()) - trained):
            shown = show_names([names[label][:100] for label in untrained], 5)
            remarks.add(f"texts of {split} have classes that no text of train has: {shown}")


def _count_shared(rows: Mapping[str, TextRows], columns: Sequence[str], remarks: Remarks) -> None:
    """Add how many rows of "validation" and "test" have the texts, in `columns`, of a row of "train"."""
    import pyarrow as pa
    from pyarrow import compute

    train = None
    for split, purpose in (("validation", "validate"), ("test", "test")):
        if len(rows[split]):
            train = _texts(rows["train"], columns) if train is None else train
            held_out = _texts(rows[split], columns)
            seen = compute.unique(train.filter(compute.is_in(train, value_set=held_out)))
            count = compute.sum(compute.is_in(held_out, value_set=pa.array(seen))).as_py() or 0
            if count:
                remarks.add(f"{count:,} of the {len(held_out):,} texts to {purpose} on are trained on, too")


def _texts(rows: TextRows, columns: Sequence[str]) -> Any:
    """Return the texts of a row as one, an arrow array; rows without any text are left out."""
    import pyarrow as pa
    from pyarrow import compute

    parts = [rows.arrow(column).cast(pa.large_string()).combine_chunks() for column in columns]
    between = pa.scalar("\0", pa.large_string())
    joined = compute.binary_join_element_wise(*parts, between) if len(parts) > 1 else parts[0]
    return joined.filter(compute.greater(compute.utf8_length(compute.utf8_trim_whitespace(joined)), 0))
