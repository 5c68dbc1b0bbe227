"""Limits of what is asked of the Hub: how long a call may take, and how much its answers may hold."""

import math
import os
from dataclasses import dataclass

from ticketzoo.errors import RegistryError
from ticketzoo.util.text import for_terminal

VARIABLE = "TICKETZOO_HUB_TIMEOUT"


@dataclass(frozen=True)
class HubLimits:
    """Limits of a call to the Hub.

    Attributes:
        seconds: that it may take, repetitions included, beyond what its files need.
        slowest: bytes a second at which files arrive or leave, at least.
        answer_bytes: of an answer that is no file.
        waits: seconds before each repetition of a call that failed for a passing reason.
        longest_wait: seconds that are waited, in all, because the server asks for it.
        grace: seconds for the client to remove what it has half written, once a call is given up.
    """

    seconds: float = 60.0
    slowest: float = 50_000.0
    answer_bytes: int = 16 * 2**20
    waits: tuple[float, ...] = (1.0, 2.0, 4.0)
    longest_wait: float = 60.0
    grace: float = 2.0

    def time_for(self, size: int) -> float:
        """Return the seconds that a call may take which moves files of `size` bytes."""
        return self.seconds + size / self.slowest


def in_force() -> HubLimits:
    """Return the limits of a call that begins now: the defaults, or `TICKETZOO_HUB_TIMEOUT` seconds.

    Raises:
        RegistryError: the variable is not a number of seconds.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return HubLimits()
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise RegistryError(f"{VARIABLE}={for_terminal(given)[:40]}: write a number of seconds, such as 60")
    return HubLimits(seconds=seconds)
