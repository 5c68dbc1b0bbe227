"""How SQuAD scores an answer: exact match and F1 over words (Rajpurkar et al. 2016, section 6.1)."""

import re
import string
from collections import Counter
from collections.abc import Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise_answer(text: str) -> str:
    """The words of `text` in lower case with single spaces between them, without punctuation and articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, right: str) -> float:
    """1 where the two are the same once normalised, else 0."""
    return float(normalise_answer(answer) == normalise_answer(right))


def word_f1(answer: str, right: str) -> float:
    """Harmonic mean of the shares of words that one has in common with the other, each counted as often as it occurs.

    Where one has no words, 1 if the other has none either, as SQuAD 2.0 scores it.
    """
    ours, theirs = normalise_answer(answer).split(), normalise_answer(right).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (Counter(ours) & Counter(theirs)).total() / (len(ours) + len(theirs))


def squad_scores(answers: Sequence[str], right: Sequence[Sequence[str]]) -> dict[str, float]:
    """Means over questions of `exact_match` and `f1` (fractions), each the best over the question's right answers.

    A question with no right answer, or none but articles and punctuation, is answered rightly by an empty text alone.
    """
    exact = f1 = 0.0
    for answer, choices in zip(answers, right, strict=True):
        real = [choice for choice in choices if normalise_answer(choice)] or [""]
        exact += max(exact_match(answer, choice) for choice in real)
        f1 += max(word_f1(answer, choice) for choice in real)
    return {"exact_match": exact / len(answers), "f1": f1 / len(answers)}
