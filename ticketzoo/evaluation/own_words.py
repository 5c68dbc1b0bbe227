"""Claims in lines of a card that are somebody's own: labels and measured numbers that the ticket does not give."""

import re
from collections.abc import Iterable, Iterator

from ticketzoo.evaluation.backing import NUMBER, numbers_in
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.util.text import for_terminal

LABEL = re.compile(
    r"\b(winning|matches untrained|works untrained)\b|\b(matching)(?=\W*(at|up to|on|ticket|dense)\b|\*\*)",
    re.IGNORECASE,
)
"""A label of a verdict, in words of somebody's own."""

MEASURED = re.compile(r"\b(accuracy|sparsity|perplexity|F1|loss|dense|seeds?)\b", re.IGNORECASE)
SHARE = re.compile(r"\d\s*(%|percent\b|(percentage )?points?\b)", re.IGNORECASE)
"""Words by which a number in somebody's own words is one of measurements."""


def claims(own: Iterable[str], missing: Iterable[str], expected: str, config: TicketConfig) -> Iterator[str]:
    """Yield a phrase for each line of a card's own that gives a label or a number which the ticket does not."""
    instead = {_shape(line): line for line in missing}
    numbers, levels = set(numbers_in(expected)), config.verdict.levels if config.verdict else []
    labels = {config.verdict.label if config.verdict else "", *(level.label for level in levels)}
    for line in own:
        says = f"line '{for_terminal(line)[:200]}'"
        given = instead.get(_shape(line))
        claimed = {(found[1] or found[2]).lower() for found in LABEL.finditer(line)}
        if given is not None and numbers_in(line) != numbers_in(given):
            yield f"{says}, and the ticket gives '{for_terminal(given)[:200]}'"
        elif claimed - labels:
            yield f"{says}, and no level is {min(claimed - labels)}"
        elif SHARE.search(line) or MEASURED.search(line):
            unknown = [one for one in numbers_in(line) if one not in numbers and (SHARE.search(line) or "." in one)]
            if unknown:
                yield f"{says}, and no row gives {unknown[0]}"


def _shape(line: str) -> str:
    """Return what two lines share that say other numbers of one thing: the name of a fact, or all words."""
    fact = re.match(r"- \*\*[^*]{1,80}\*\*:", line)
    return fact[0] if fact else NUMBER.sub("0", line)
