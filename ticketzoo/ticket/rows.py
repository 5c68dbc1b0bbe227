"""Rows of results.jsonl, typed and bounded: they may come from a stranger."""

import io
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeGuard

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from ticketzoo.errors import TicketError
from ticketzoo.tasks.metrics import ACCURACY, metric_called
from ticketzoo.ticket.parts import MAX_WEIGHTS, Count, Level, Part, Seed, Sparsity, Text
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal

Row: TypeAlias = dict[str, Any]
"""One line of results.jsonl: the columns of `MeasuredRow`, and what a later version may add."""

MAX_RESULTS_BYTES, MAX_ROWS, MAX_ROW_BYTES = 32 * 2**20, 200_000, 8 * 2**10
"""Bounds of results.jsonl: of the file, its rows, and each of them."""

LARGEST = 1e150
"""Numbers beyond this have squares, and so a spread, that float64 cannot hold."""

DEFAULT_METRIC = f"test_{ACCURACY.name}"
"""The metric by which arms are compared on a target none of whose rows says otherwise."""

KEY = ("ticket", "target", "level", "arm", "seed", "draw", "metric", "at")
"""The columns that tell one measurement from another."""


def is_finite(value: object) -> TypeGuard[int | float]:
    """Return True for a number that can be averaged."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _number(value: object) -> object:
    if value is None or is_finite(value) or (isinstance(value, float) and not math.isfinite(value)):
        return value
    raise ValueError(f"{shown(value)} is no finite number")


def shown(value: object) -> str:
    """Return a value from outside in a few characters."""
    text = f"a number of {value.bit_length()} bits" if isinstance(value, int) and abs(value) > LARGEST else repr(value)
    return for_terminal(text)[:100]


class MeasuredRow(Part):
    """The columns of a row and their bounds.

    Attributes:
        at: "final" for the end of training, "best" for the step of minimum validation loss.
        step: updates after which it was measured.
        metric: a split and a name, such as `test_accuracy`.
        value: the number; a fraction, never in percent. None where there is none, but for the metric that decides.
        decides: True for the metric by which arms are compared on the target, unless that is the test accuracy.
        higher_is_better: False for a deciding metric of which less is better.
        examples: test examples that the deciding metric is measured on; None where that was not recorded.
        trained: False where nothing was trained. Older rows lack it and have the recipe's iterations as their step.
        data: fingerprint of the target's data, as `source.fingerprint` of ticket.json; None likewise.
    """

    ticket: Text
    level: Level
    sparsity: Sparsity
    arm: Text
    target: Text
    seed: Seed
    draw: Count
    at: Literal["final", "best"]
    step: Count
    metric: Annotated[str, StringConstraints(pattern=r"^(test|validation|train)_", max_length=200)]
    value: Annotated[Any, BeforeValidator(_number)]
    decides: bool = False
    higher_is_better: bool = True
    examples: Annotated[int, Field(ge=1, le=MAX_WEIGHTS)] | None = None
    data: Text | None = None
    trained: bool = True

    @model_validator(mode="after")
    def _is_within_bounds(self) -> "MeasuredRow":
        if wrong := beyond_bounds(self.metric, self.value):
            raise ValueError(wrong)
        return self


def beyond_bounds(metric: object, value: object) -> str:
    """Return a phrase for a value that the metric cannot have, such as an accuracy of 1.5; else nothing.

    NaN and infinities, of a training that diverged, are left alone: they stand for no number.
    """
    if not isinstance(metric, str) or not is_finite(value):
        return ""
    known = metric_called(metric.partition("_")[2])
    if known.can_be(value):
        return ""
    low, high = known.bounds
    return f"value: {shown(value)} cannot be: {for_terminal(metric)[:100]} is from {low:g} to {high:g}"


def check_rows(rows: Iterable[Mapping[str, Any]], where: str = "results: row") -> list[Mapping[str, Any]]:
    """Return `rows` as a list. Raises TicketError, naming the row by its number, for one that is no `MeasuredRow`."""
    checked = list(rows)
    for number, row in enumerate(checked, 1):
        check_row(row, f"{where} {number}")
    return checked


def read_rows(content: bytes, where: str) -> list[Row]:
    """Return the rows in the content of results.jsonl, of one ticket.

    A row may lack columns; `check_rows` refuses it where something is computed of it.

    Raises:
        TicketError: more or longer rows than a ticket may have, a column that a `MeasuredRow` cannot have, a row that
            is there twice or contradicts another, is about another ticket, or has no finite number of the metric that
            decides.
    """
    rows: list[Row] = []
    for number, line in enumerate(io.BytesIO(content), 1):
        here = f"{where} line {number}"
        if number > MAX_ROWS:
            raise TicketError(f"{where}: more than {MAX_ROWS:,} rows, too many for a ticket")
        if len(line) > MAX_ROW_BYTES:
            raise TicketError(f"{here}: {len(line):,} bytes, more than the {MAX_ROW_BYTES:,} of a row")
        row = parse_json(line, here)
        if not isinstance(row, dict):
            raise TicketError(f"{here}: must be a JSON object")
        check_row(row, here, complete=False)
        rows.append(row)
    _check_together(rows, f"{where} line")
    return rows


def _check_together(rows: list[Row], where: str) -> None:
    """Raise TicketError where rows of one ticket repeat or contradict each other."""
    complete = [(number, row) for number, row in enumerate(rows, 1) if is_complete(row)]
    deciding = deciding_metrics(row for _, row in complete)
    first: dict[tuple[Any, ...], int] = {}
    for number, row in complete:
        here, target, (one, of_first) = f"{where} {number}", row["target"], complete[0]
        if row["ticket"] != of_first["ticket"]:
            both = f"{shown(row['ticket'])}, and row {one} about {shown(of_first['ticket'])}"
            raise TicketError(f"{here}: ticket: is about {both}: keep the rows of one ticket")
        if row.get("decides") and row["metric"] != deciding[target]:
            both = f"{shown(row['metric'])}, and another row by {shown(deciding[target])}"
            raise TicketError(f"{here}: decides: target {shown(target)} is compared by {both}: correct them")
        if row["metric"] == deciding[target] and not is_finite(row["value"]):
            raise TicketError(f"{here}: value: {shown(row['value'])} is no finite number, of the metric that decides")
        before = first.setdefault(tuple(row[column] for column in KEY), number)
        if before != number:
            raise TicketError(f"{here}: was measured already in row {before}: remove the repeated row")


def is_complete(row: Mapping[str, Any]) -> bool:
    """Tell whether a row has every column that it must have for something to be computed of it."""
    return row.keys() >= REQUIRED


def deciding_metrics(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return by target the metric by which arms are compared there, such as `test_accuracy`."""
    targets: dict[str, str] = {}
    for row in rows:
        if row.get("decides"):
            targets[row["target"]] = row["metric"]
        else:
            targets.setdefault(row["target"], DEFAULT_METRIC)
    return targets


def check_row(row: Mapping[str, Any], where: str, *, complete: bool = True) -> None:
    """Raise TicketError, in a message that begins with `where`, for a row that is no `MeasuredRow`.

    Args:
        row: any JSON object.
        where: the row, in messages.
        complete: whether a column that is not there is an error, too.
    """
    try:
        MeasuredRow.model_validate(dict(row))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        first = next((one for one in wrong if complete or one["type"] != "missing"), None)
        if first is None:
            return
        key = for_terminal(".".join(map(str, first["loc"])))[:100]
        problem = for_terminal(first["msg"].removeprefix("Value error, "))[:300]
        raise TicketError(f"{where}: {key}{': ' * bool(key)}{problem}; measure it again") from None


REQUIRED = {name for name, field in MeasuredRow.model_fields.items() if field.is_required()}
