"""Questions and their contexts as token sequences: a window for each stretch of a context that is too long for one."""

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ticketzoo.data import tensor_cache
from ticketzoo.data.progress_bar import with_progress
from ticketzoo.data.text.rows import TextRows
from ticketzoo.data.text.sequences import Sequences, sequences_of
from ticketzoo.data.text.squad import Answer, Question
from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Encoding

NO_ANSWER = 0
"""The token, at the front, that stands for an answer which is not in the window."""
_CACHE_FORMAT = 1
_PART = 500
"""Questions tokenised at a time."""


@dataclass(frozen=True)
class Windows:
    """The windows of a split's questions, n sequences.

    Attributes:
        question: int64 [n], which question each is of.
        answers: int64 [n, 2], its first and last token of the answer, `NO_ANSWER` twice where that is not in the
            window as a whole.
        starts, ends: int32 [tokens], which characters of the context a token is, -1 of those that are not the
            context's.
    """

    sequences: Sequences
    question: Tensor
    answers: Tensor
    starts: Tensor
    ends: Tensor


def make_windows(
    rows: TextRows,
    questions: list[Question],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    stride: int,
    question_length: int,
) -> Windows:
    """Return the windows of `questions`, which are those of `rows`: from the cache, or tokenised now.

    Args:
        rows: where the questions came from.
        questions: what to tokenise.
        tokenizer: the model's.
        max_length: most tokens in a window, special ones included.
        stride: tokens of the context that neighbouring windows share.
        question_length: tokens at which a question is cut off.
    """
    import tokenizers

    settings = [max_length, stride, question_length]
    key = [_CACHE_FORMAT, "question-answering", rows.identity, tokenizer.digest, settings, tokenizers.__version__]
    stored = tensor_cache.tokens(
        key, lambda: _tokenize(rows, questions, tokenizer, max_length, stride, question_length)
    )
    sequences = Sequences(stored["ids"], stored["offsets"], tokenizer.pad, stored.get("segments"))
    return Windows(sequences, stored["question"], stored["answers"], stored["starts"], stored["ends"])


def _tokenize(
    rows: TextRows, questions: list[Question], tokenizer: Tokenizer, max_length: int, stride: int, question_length: int
) -> dict[str, Tensor]:
    ids, segments, of_question, answers, starts, ends = [], [], [], [], array("i"), array("i")
    parts = [range(first, min(first + _PART, len(questions))) for first in range(0, len(questions), _PART)]
    for part in with_progress(parts, len(parts), f"tokenising {rows.split}"):
        cut = _cut([questions[number].text for number in part], tokenizer, question_length)
        pairs = [(text, questions[number].context) for number, text in zip(part, cut, strict=True)]
        for number, whole in zip(part, tokenizer.encode_windows(pairs, max_length, stride), strict=True):
            for window in (whole, *whole.overflowing):
                ids.append(array("i", window.ids))
                segments.append(bytes(window.type_ids))
                of_question.append(number)
                first, last, offsets = _context(window, rows.where(number))
                outside = [-1] * first, [-1] * (len(window.ids) - last - 1)
                starts.extend([*outside[0], *offsets[:, 0].tolist(), *outside[1]])
                ends.extend([*outside[0], *offsets[:, 1].tolist(), *outside[1]])
                answers.append(_answer_tokens(questions[number].answers, first, offsets))
    sequences = sequences_of(ids, tokenizer.pad, segments if tokenizer.has_segments else ())
    made = {
        "ids": sequences.ids,
        "offsets": sequences.offsets,
        "question": torch.tensor(of_question, dtype=torch.int64),
        "answers": torch.tensor(answers, dtype=torch.int64).view(-1, 2),
        "starts": torch.tensor(starts, dtype=torch.int32),
        "ends": torch.tensor(ends, dtype=torch.int32),
    }
    return made if sequences.segments is None else {**made, "segments": sequences.segments}


def _cut(texts: list[str], tokenizer: Tokenizer, length: int) -> list[str]:
    """Return the texts, long ones up to the end of their token `length`, and further while that has more tokens."""
    encodings = tokenizer.encode(texts, special=False, offsets=True)
    kept = list(texts)
    for place, encoding in enumerate(encodings):
        while len(encoding) > length:
            end = encoding.offsets[length - 1][1]
            kept[place] = kept[place][: min(end, len(kept[place]) - 1)]
            (encoding,) = tokenizer.encode([kept[place]], special=False, offsets=True)
    return kept


def _context(window: "Encoding", where: str) -> tuple[int, int, np.ndarray]:
    """Return first and last token of the context in a window, and int [tokens of it, 2], the characters of each."""
    side = window.sequence_ids
    if 1 not in side:
        raise DataError(f"{where} has a context without a word in it")
    first, last = side.index(1), len(side) - 1 - side[::-1].index(1)
    return first, last, np.array(window.offsets[first : last + 1])


def _answer_tokens(answers: tuple[Answer, ...], first: int, offsets: np.ndarray) -> tuple[int, int]:
    """Return the first and last token of the first answer in a window whose context begins at token `first`."""
    if not answers or not answers[0].text:
        return NO_ANSWER, NO_ANSWER
    begin, end = answers[0].start, answers[0].start + len(answers[0].text)
    if begin < offsets[0, 0] or end > offsets[-1, 1]:
        return NO_ANSWER, NO_ANSWER
    start = int(np.searchsorted(offsets[:, 1], begin, side="right"))
    stop = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    return (first + start, first + stop) if start <= stop else (NO_ANSWER, NO_ANSWER)


def check_windows(max_length: int, stride: int, question_length: int, tokenizer: Tokenizer) -> None:
    """Raise DataError when a window beside the longest question has no more room than two windows share."""
    room = max_length - question_length - tokenizer.around_pair
    if stride >= room:
        raise DataError(
            f"stride: windows of {max_length} tokens leave {room} to the context beside a question of "
            f"{question_length}; make stride less than that, or raise max_length"
        )
