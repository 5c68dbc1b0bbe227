"""Caches that go when a benchmark's data do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_caches(folder: str) -> Iterator[None]:
    """Have ticketzoo, and `datasets` if it is not imported yet, keep their caches in `folder` during the block."""
    caches = {"TICKETZOO_CACHE": f"{folder}/ticketzoo", "HF_DATASETS_CACHE": f"{folder}/datasets"}
    before = {name: os.environ.get(name) for name in caches}
    os.environ |= caches
    try:
        yield
    finally:
        os.environ |= {name: value for name, value in before.items() if value is not None}
        for name in caches:
            if before[name] is None:
                del os.environ[name]
