"""Texts that are to be tested on and are trained on, too."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ticketzoo.data.text.rows import TextRows

_log = logging.getLogger("ticketzoo")


def tell_overlap(path: str, rows: Mapping[str, TextRows], columns: Sequence[str]) -> None:
    """Warn, with counts, of rows of "validation" and "test" whose texts in `columns` are those of a row of "train"."""
    import pyarrow as pa
    from pyarrow import compute

    train = None
    for split in ("validation", "test"):
        if len(rows[split]):
            train = _texts(rows["train"], columns) if train is None else train
            held_out = _texts(rows[split], columns)
            seen = compute.unique(train.filter(compute.is_in(train, value_set=held_out)))
            count = compute.sum(compute.is_in(held_out, value_set=pa.array(seen))).as_py() or 0
            if count:
                where = f"{count:,} of the {len(held_out):,} texts to {'test' if split == 'test' else 'validate'} on"
                _log.warning("%s: %s are trained on, too", path, where)


def _texts(rows: TextRows, columns: Sequence[str]) -> Any:
    """Return the texts of a row as one, an arrow array; rows without any text are left out."""
    import pyarrow as pa
    from pyarrow import compute

    parts = [rows.arrow(column).cast(pa.large_string()).combine_chunks() for column in columns]
    joined = (
        compute.binary_join_element_wise(*parts, pa.scalar("\0", pa.large_string())) if len(parts) > 1 else parts[0]
    )
    return joined.filter(compute.greater(compute.utf8_length(compute.utf8_trim_whitespace(joined)), 0))
