"""Short names of some classes of a data set."""

from collections.abc import Sequence


def of_classes(name: str, kept: Sequence[int]) -> str:
    """Return the short name of those classes of a data set that are kept, such as `digits-0-4` of five."""
    consecutive = len(kept) > 1 and list(kept) == list(range(kept[0], kept[-1] + 1))
    return f"{name}-{kept[0]}-{kept[-1]}" if consecutive else f"{name}-{'-'.join(map(str, kept))}"
