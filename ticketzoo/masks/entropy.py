"""The entropy of bit strings, in whole numbers, so that what is chosen by it is the same on every machine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FRACTION = 16


def cost(ones: NDArray[Any], totals: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bits that strings of `totals` bits, below 2^40, with so many `ones` take at their own densities."""
    entropy = _times_log(totals) - _times_log(ones) - _times_log(totals - ones)
    return entropy >> _FRACTION


def _times_log(numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Return n log2 n times 2^16, 0 for n = 0."""
    numbers = np.maximum(numbers, 1).astype(np.int64)
    whole = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1  # exact below 2^53
    high = numbers >> np.maximum(whole - 31, 0) << np.maximum(31 - whole, 0)
    mantissa, log = high.astype(np.uint64), whole
    for _ in range(_FRACTION):  # by squaring: 2^31 <= mantissa < 2^32 stands for 1 to 2
        mantissa = mantissa * mantissa >> np.uint64(31)
        more = mantissa >> np.uint64(32)
        mantissa >>= more
        log = 2 * log + more.astype(np.int64)
    return numbers * log
