"""A system that refuses what is refused seldom."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(limit: int, of: int) -> Iterator[None]:
    """Limit a resource of this process, such as `resource.RLIMIT_FSIZE`: as on a full disk, writing more fails."""
    soft, hard = resource.getrlimit(of)
    resource.setrlimit(of, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(of, (soft, hard))
