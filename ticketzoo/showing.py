"""How things are shown to people: text from outside (names, data set ids, recipes) made harmless, and sparsities."""

import html
import math
import re


def for_terminal(text: object) -> str:
    """`text` on one line, with control, bidirectional and other unprintable characters shown as U+FFFD."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(str(text).split()))


def for_markdown(text: object) -> str:
    """`text` as plain words inside Markdown: no HTML, emphasis, link, code or table cell can come of it."""
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(for_terminal(text)))
    return escaped.replace("://", ":&#47;&#47;")


def fenced(text: str, language: str) -> str:
    """`text` as a Markdown code block, behind a fence longer than any in the text."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(_code(line) for line in text.rstrip().splitlines())
    return f"{fence}{language}\n{lines}\n{fence}"


def show_sparsity(sparsity: float) -> str:
    """A sparsity for people: three decimals, more where the density needs them (0.99876 is 0.9988)."""
    return f"{sparsity:.{max(3, 1 - math.floor(math.log10(1 - sparsity)))}f}"


def _code(line: str) -> str:
    """One line of a code block, its spaces kept and unprintable characters shown as U+FFFD."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line.expandtabs(4))
