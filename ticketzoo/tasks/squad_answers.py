"""From scores of tokens to the texts of answers (Devlin et al. 2019, section 4.2)."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ticketzoo.data.text.squad_windows import NO_ANSWER

N_BEST = 20
"""First and last tokens of highest score that are tried with each other."""
LONGEST_ANSWER = 30
"""Tokens."""


@dataclass(frozen=True)
class Spans:
    """The best span of each of b windows.

    Attributes:
        score: float [b], -inf where there is none. first, last: int64 [b] tokens.
        none: float [b], score of there being no answer.
    """

    score: Tensor
    first: Tensor
    last: Tensor
    none: Tensor


def best_spans(start_logits: Tensor, end_logits: Tensor, in_context: Tensor) -> Spans:
    """Return the span of highest score, the sum of its ends', in each window.

    It lies in the context, does not end before it starts, and has at most `LONGEST_ANSWER` tokens.

    Args:
        start_logits: float [b, t].
        end_logits: float [b, t].
        in_context: bool [b, t].
    """
    tried = min(N_BEST, start_logits.shape[1])
    starts = start_logits.masked_fill(~in_context, -torch.inf).topk(tried)
    ends = end_logits.masked_fill(~in_context, -torch.inf).topk(tried)
    length = ends.indices[:, None, :] - starts.indices[:, :, None]
    score = starts.values[:, :, None] + ends.values[:, None, :]
    score = score.masked_fill((length < 0) | (length >= LONGEST_ANSWER), -torch.inf).flatten(1)
    best = score.argmax(1, keepdim=True)
    return Spans(
        score=score.gather(1, best)[:, 0],
        first=starts.indices.gather(1, best // tried)[:, 0],
        last=ends.indices.gather(1, best % tried)[:, 0],
        none=start_logits[:, NO_ANSWER] + end_logits[:, NO_ANSWER],
    )


class BestAnswers:
    """The best answer to each of `count` questions, over all the windows of their contexts."""

    def __init__(self, count: int) -> None:
        self._score = torch.full((count,), -torch.inf)
        self._none = torch.full((count,), torch.inf)
        self._characters = torch.zeros(count, 2, dtype=torch.int64)

    def add(self, question: Tensor, spans: Spans, first_characters: Tensor, last_characters: Tensor) -> None:
        """Compare the best spans of further windows with those known so far.

        Args:
            question: int64 [b], the number of each window's question.
            spans: of these windows.
            first_characters: int64 [b, t], the place in the context at which each token begins.
            last_characters: int64 [b, t], the place at which it ends.
        """
        begin = first_characters.gather(1, spans.first[:, None])[:, 0].tolist()
        end = last_characters.gather(1, spans.last[:, None])[:, 0].tolist()
        for row, number in enumerate(question.tolist()):
            self._none[number] = torch.minimum(self._none[number], spans.none[row])
            if spans.score[row] > self._score[number]:
                self._score[number] = spans.score[row]
                self._characters[number] = torch.tensor([begin[row], end[row]])

    def texts(self, contexts: Sequence[str], *, may_be_none: bool) -> list[str]:
        """Return the answers, which are stretches of `contexts`, or empty where no window has a span.

        Args:
            contexts: the texts.
            may_be_none: give an empty answer also where "no answer" scores higher than the best span.
        """
        none = self._score == -torch.inf
        if may_be_none:
            none |= self._none > self._score
        return [
            "" if empty else context[begin:end]
            for context, empty, (begin, end) in zip(contexts, none.tolist(), self._characters.tolist(), strict=True)
        ]


_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise_answer(text: str) -> str:
    """Return the words of `text` in lower case with single spaces between them, without punctuation and articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, right: str) -> float:
    """Return 1 if the two are the same once normalized, else 0."""
    return float(normalise_answer(answer) == normalise_answer(right))


def word_f1(answer: str, right: str) -> float:
    """Return the harmonic mean of the shares of words that each has in common with the other, repetitions counted.

    Where one has no words, 1 if the other has none either, as SQuAD 2.0 scores it.
    """
    ours, theirs = normalise_answer(answer).split(), normalise_answer(right).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (Counter(ours) & Counter(theirs)).total() / (len(ours) + len(theirs))


def squad_scores(answers: Sequence[str], right: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return means over questions of `exact_match` and `f1` (fractions), each the best over the right answers.

    A question with no right answer, or none but articles and punctuation, is answered rightly by an empty text alone.
    """
    exact = f1 = 0.0
    for answer, choices in zip(answers, right, strict=True):
        real = [choice for choice in choices if normalise_answer(choice)] or [""]
        exact += max(exact_match(answer, choice) for choice in real)
        f1 += max(word_f1(answer, choice) for choice in real)
    return {"exact_match": exact / len(answers), "f1": f1 / len(answers)}
