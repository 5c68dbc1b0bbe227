"""Claims in lines of a card that are somebody's own: labels and measured numbers that the ticket does not give."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from ticketzoo.evaluation.backing import NUMBER, numbers_in
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.util.text import for_terminal

LABEL = re.compile(
    r"\b(winning|filters matter|matches untrained|works untrained)\b|"
    r"\b(matching)(?=\W*(at|up to|on|ticket|dense)\b|\*\*)",
    re.IGNORECASE,
)
"""A label of a verdict, in words of somebody's own."""

MEASURED = re.compile(r"\b(accuracy|sparsity|perplexity|F1|loss|dense|seeds?)\b", re.IGNORECASE)
SHARE = re.compile(r"\d\s*(%|percent\b|(percentage )?points?\b)", re.IGNORECASE)
"""Words by which a number in somebody's own words is one of measurements."""

DIGEST, LICENCE = re.compile(r"\b[0-9a-f]{32,}\b"), "- **licence of the ticket**:"
"""Facts that are not in words, and which another may not stand for."""

ONE = re.compile(r"\b(\d+\.\d+) to \1\b")
"""A range that is one number, as cards of 0.1.0 have it of a ticket of one level."""

RESULT = re.compile(r"\b(accuracy|sparsity|perplexity|F1)\b", re.IGNORECASE)
"""Those of them that stand for nothing else where text has no place for results: there any number with them counts."""


def speaks_of_results(text: str) -> bool:
    """Return True for a text that gives a label or a measured number, although it is a name or the like."""
    words, numbers = _plain(text), numbers_in(_plain(text))
    if LABEL.search(words) or SHARE.search(words) or (numbers and RESULT.search(words)):
        return True
    return bool(MEASURED.search(words)) and any("." in one for one in numbers)


def claims(own: Iterable[str], missing: Iterable[str], expected: str, config: TicketConfig) -> Iterator[str]:
    """Yield a phrase for each line of a card's own that gives a label or a number which the ticket does not."""
    instead = {_shape(line): line for line in missing}
    numbers, levels = set(numbers_in(expected)), config.verdict.levels if config.verdict else []
    labels = {config.verdict.label if config.verdict else "", *(level.label for level in levels)}
    for line in own:
        words = _plain(line)
        says = f"line '{for_terminal(line)[:200]}'"
        given = instead.get(_shape(line))
        claimed = {(found[1] or found[2]).lower() for found in LABEL.finditer(words)}
        if given is not None and (numbers_in(ONE.sub(r"\1", line)) != numbers_in(given) or _other_fact(line, given)):
            yield f"{says}, and the ticket gives '{for_terminal(given)[:200]}'"
        elif claimed - labels:
            yield f"{says}, and no level is {min(claimed - labels)}"
        elif SHARE.search(words) or MEASURED.search(words):
            unknown = [one for one in numbers_in(words) if one not in numbers and (SHARE.search(words) or "." in one)]
            if unknown:
                yield f"{says}, and no row gives {unknown[0]}"


def _other_fact(line: str, given: str) -> bool:
    """Return True for a digest or a licence that is another one."""
    return bool(DIGEST.search(given) or LICENCE in given) and line.rstrip() != given.rstrip()


def _plain(text: str) -> str:
    """Return a text with usual letters for those that only look like them, and its words apart."""
    return unicodedata.normalize("NFKC", text).replace("_", " ")


def _shape(line: str) -> str:
    """Return what two lines share that say other numbers of one thing: the name of a fact, or all words."""
    fact = re.match(r"- \*\*[^*]{1,80}\*\*:", line)
    return fact[0] if fact else NUMBER.sub("0", line)
