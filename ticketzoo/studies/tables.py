"""Tables of studies: means over seeds, with half the width of their intervals."""

from collections.abc import Callable, Collection, Mapping, Sequence

from ticketzoo.evaluation.statistics import summarise
from ticketzoo.evaluation.tables import Table

Cells = Mapping[str, Collection[float]]
"""The numbers of a line, one a seed, by column; a column without numbers is left empty."""


def table_of(
    caption: str,
    heading: str,
    lines: Mapping[str, Cells],
    shown: Callable[[str, float], str],
) -> tuple[Table, ...]:
    """Return the table with a line for each of `lines`; none where there are none.

    Args:
        caption: of what the numbers are; over how many seeds is added.
        heading: of the first column, which holds the names of the lines.
        lines: numbers by name of the line, and by column.
        shown: gives the text of a number of a column.
    """
    columns = list(dict.fromkeys(column for cells in lines.values() for column in cells))
    most = max((len(values) for cells in lines.values() for values in cells.values()), default=0)
    if not most:
        return ()
    rows = [
        (name, *(_cell(list(cells.get(column, ())), column, shown) for column in columns))
        for name, cells in lines.items()
    ]
    seeds = f"mean over {most} seeds ± half-width of its 95% interval" if most > 1 else "one seed, so no interval"
    return (Table(f"{caption}: {seeds}.", (heading, *columns), "l" + "r" * len(columns), tuple(rows)),)


def _cell(values: Sequence[float], column: str, shown: Callable[[str, float], str]) -> str:
    if not values:
        return ""
    summary = summarise(values)
    half = summary.half_width
    return shown(column, summary.mean) + ("" if half is None else f" ± {shown(column, half)}")
