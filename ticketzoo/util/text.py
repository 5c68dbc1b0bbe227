"""Text from outside (names, data set ids, class names, recipes) made harmless where it is shown."""

import html
import math
import re
from collections.abc import Callable, Iterable, Sequence


def for_terminal(text: object) -> str:
    """Return `text` on one line, with control, bidirectional and other unprintable characters shown as U+FFFD."""
    return _printable(" ".join(str(text).split()))


def one_line(error: Exception) -> str:
    """Return a library's error message without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def shortened(text: str, most: int = 80) -> str:
    """Return a text in one line, cut after `most` characters: "failed: the disk is ..."."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 4].rstrip()} ..."


def for_markdown(text: object) -> str:
    """Return `text` as plain words inside Markdown: no HTML, emphasis, link, code or table cell can come of it."""
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(for_terminal(text), quote=False))
    return escaped.replace("://", ":&#47;&#47;")


def fenced(text: str, language: str) -> str:
    """Return `text` as a Markdown code block, behind a fence longer than any in the text."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(_printable(line.expandtabs(4)) for line in text.rstrip().splitlines())
    return f"{fence}{language}\n{lines}\n{fence}"


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def show_sparsity(sparsity: float) -> str:
    """Return a sparsity with three decimals, more where the density needs them: 0.99876 is 0.9988."""
    return f"{sparsity:.{max(3, 1 - math.floor(math.log10(1 - sparsity)))}f}"


def show_numbers(numbers: Iterable[int]) -> str:
    """Return whole numbers in order, runs of three and more shortened: "1 to 4, 6, 7"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def numbered(what: str, numbers: Iterable[int]) -> str:
    """Return a noun with numbers: "seed 0", "levels 1 to 4, 6"."""
    given = set(numbers)
    return f"{what}{'s' * (len(given) > 1)} {show_numbers(given)}"


def show_names(names: Sequence[object], most: int = 20) -> str:
    """Return names with commas between them, on one line, `most` of them at most: "a, b, ... (40 in all)"."""
    shown = ", ".join(for_terminal(name)[:80] for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown


def show_duration(seconds: float) -> str:
    """Return a duration in the units that matter: "3 h 12 min", "4 min 5 s", "40 s", "2.5 s", "30 ms"."""
    if 0 < seconds < 0.0995:
        return f"{max(1, round(1000 * seconds))} ms"
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {left} s" if minutes else f"{left} s"


def read_duration(text: str) -> float | None:
    """Return the seconds of what `show_duration` writes; None of any other text."""
    form = r"(?:([\d,]{1,20}) h )?(?:(\d{1,2}) min)?(?: ?(\d{1,3}(?:\.\d)?) (s|ms))?"
    found = re.fullmatch(form, text, re.ASCII)
    if not text or not found:
        return None
    hours, minutes, seconds = (float((part or "0").replace(",", "")) for part in found.groups()[:3])
    return 3600 * hours + 60 * minutes + (seconds / 1000 if found[4] == "ms" else seconds)


def counted(number: int, what: str) -> str:
    """Return a number with a noun: "1 seed", "3 seeds", "1,200 rows"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def show_bytes(count: float) -> str:
    """Return bytes in decimal units, two digits at least: "640 B", "1.3 kB", "41 MB", "5.6 GB"."""
    unit = min(4, int(math.log10(max(count, 1)) / 3))
    value = count / 1000**unit
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 10 else f"{value:.0f} {_UNITS[unit]}"


_UNITS = ("B", "kB", "MB", "GB", "TB")


def written_as(pattern: str, words: str) -> Callable[[str], str]:
    """Return what gives a text of at most 96 letters back if all of it is as `pattern` says.

    Anything else is a ValueError that says so in `words`.
    """

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"write {words}, 96 at most")
        return text

    return check
