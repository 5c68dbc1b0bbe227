"""Numbers as people read them."""

import math
from collections.abc import Iterable


def show_sparsity(sparsity: float) -> str:
    """A sparsity with three decimals, more where the density needs them: 0.99876 is 0.9988."""
    return f"{sparsity:.{max(3, 1 - math.floor(math.log10(1 - sparsity)))}f}"


def show_numbers(numbers: Iterable[int]) -> str:
    """Whole numbers in order, runs of three and more shortened: "1 to 4, 6, 7"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def show_duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds below an hour: "3 h 12 min", "4 min 5 s", "40 s"."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s" if minutes else f"{left} s"


def show_bytes(count: float) -> str:
    """Bytes in decimal units, two digits at least: "640 B", "1.3 kB", "41 MB", "5.6 GB"."""
    unit = min(4, int(math.log10(max(count, 1)) / 3))
    value = count / 1000**unit
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 10 else f"{value:.0f} {_UNITS[unit]}"


_UNITS = ("B", "kB", "MB", "GB", "TB")
