"""Questions about texts that hold their answers, in the form of SQuAD."""

from dataclasses import dataclass
from typing import Any

from ticketzoo.data.labels import what_there_is
from ticketzoo.data.text.columns import check_columns, text_columns
from ticketzoo.data.text.remarks import remark_on_texts
from ticketzoo.data.text.rows import TextDataset, TextRows, split_rows
from ticketzoo.errors import DataError

_TEXTS, _ANSWERS = ("question", "context"), "answers"
"""Columns of SQuAD."""


@dataclass(frozen=True)
class Answer:
    """A stretch of the context, and the character at which it starts."""

    text: str
    start: int


@dataclass(frozen=True)
class Question:
    """A question, the text to find its answer in, and the right answers; none where there is none to find."""

    text: str
    context: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Questions:
    """The rows of a split, and what they ask."""

    rows: TextRows
    questions: list[Question]


def load_questions(dataset: TextDataset) -> tuple[dict[str, Questions], dict[str, list[str]]]:
    """Return the splits that `dataset` names, whose columns are `question`, `context` and `answers`.

    And what a ticket says of a folder of the user's: `{"laid_out": sentences}`.

    Raises:
        DataError: something is missing, or an answer is not where it is said to be.
    """
    tables = dataset.load()
    table = dataset.train_table(tables)
    text_columns(dataset.path, table, _TEXTS)
    if _ANSWERS not in table.features:
        raise DataError(f"{dataset.path} has no column {_ANSWERS!r}; {what_there_is(table.features)}")
    _check_answers(dataset.path, table)
    rows = split_rows(dataset, tables, _without_answers)
    check_columns(rows, [*_TEXTS, _ANSWERS])
    for part in rows.values():
        _check_answers(part.split, part.table)
    splits = {name: Questions(part, _questions(part)) for name, part in rows.items()}
    for name, split in splits.items():
        if unanswered := sum(not question.answers for question in split.questions):
            tables.remarks.facts.append(
                f"{unanswered:,} of the {len(split.questions):,} questions of {name} have no answer"
            )
    laid_out = remark_on_texts(dataset, rows, _TEXTS, tables.remarks, beside=[_ANSWERS], what="questions")
    return splits, laid_out


def _without_answers(table: Any) -> bool:
    if _ANSWERS not in table.features:
        return True
    return not any(_texts(answers) if isinstance(answers, dict) else answers for answers in table[_ANSWERS])


def _check_answers(where: str, table: Any) -> None:
    if not _are_answers(table.features.arrow_schema.field(_ANSWERS).type):
        raise DataError(f"{where}: column {_ANSWERS!r} must hold the lists `text` and `answer_start` of each row")


def _are_answers(kind: Any) -> bool:
    """Tell whether an arrow type is that of SQuAD's answers; lists may be of nulls, where a split has no answers."""
    from pyarrow import types

    if not types.is_struct(kind) or not {"text", "answer_start"} <= {field.name for field in kind}:
        return False
    texts, starts = kind.field("text").type, kind.field("answer_start").type
    if not all(types.is_list(one) or types.is_large_list(one) for one in (texts, starts)):
        return False
    known = [types.is_string, types.is_large_string, types.is_null]
    return any(test(texts.value_type) for test in known) and any(
        test(starts.value_type) for test in (types.is_integer, types.is_null)
    )


def _texts(answers: Any) -> list[str]:
    return answers["text"] if isinstance(answers, dict) and answers.get("text") else []


def _questions(rows: TextRows) -> list[Question]:
    columns: dict[str, list[Any]] = {name: rows.texts(name) for name in ("question", "context")}
    columns["answers"] = rows.column("answers")
    for name in ("question", "context"):
        empty = [index for index, text in enumerate(columns[name]) if not text or text.isspace()]
        if empty:
            raise DataError(f"{rows.where(empty[0])} has no {name}")
    return [
        Question(text.lstrip(), context, _answers(rows, index, context, answers))
        for index, (text, context, answers) in enumerate(zip(*columns.values(), strict=True))
    ]


def _answers(rows: TextRows, index: int, context: str, answers: Any) -> tuple[Answer, ...]:
    texts, starts = _texts(answers), (answers or {}).get("answer_start") or []
    if len(texts) != len(starts):
        raise DataError(f"{rows.where(index)} has {len(texts)} answers, and {len(starts)} places where they start")
    for text, start in zip(texts, starts, strict=True):
        if text is None or start is None or start < 0 or context[start : start + len(text)] != text:
            raise DataError(
                f"{rows.where(index)}: the answer {_short(text)} is not at character {start} of its context: "
                "fix the data, or leave the row out"
            )
    return tuple(map(Answer, texts, starts))


def _short(text: str | None) -> str:
    return repr(text if text is None or len(text) <= 40 else f"{text[:39]}…")
