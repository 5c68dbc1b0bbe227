"""Text from outside (names, data set ids, class names, recipes) made harmless where it is shown."""

import html
import re


def for_terminal(text: object) -> str:
    """`text` on one line, with control, bidirectional and other unprintable characters shown as U+FFFD."""
    return _printable(" ".join(str(text).split()))


def for_markdown(text: object) -> str:
    """`text` as plain words inside Markdown: no HTML, emphasis, link, code or table cell can come of it."""
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(for_terminal(text), quote=False))
    return escaped.replace("://", ":&#47;&#47;")


def fenced(text: str, language: str) -> str:
    """`text` as a Markdown code block, behind a fence longer than any in the text."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(_printable(line.expandtabs(4)) for line in text.rstrip().splitlines())
    return f"{fence}{language}\n{lines}\n{fence}"


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
