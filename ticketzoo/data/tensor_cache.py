"""Tensors that took long to make, remembered on disk so that the next process need not make them again."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ticketzoo.util.files import write_tensors


def tokens(key: Any, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors that `make` makes from exactly `key`, a JSON value: from the cache, or new and left there."""
    file = cache_file("tokens", key)
    found = read_cached(file)
    if found is None:
        found = make()
        write_cached(file, found)
    return found


def cache_file(kind: str, key: Any) -> Path:
    """Return the file that remembers tensors of `kind` ("images", "tokens") made from exactly `key`, a JSON value.

    It is in the folder the environment names in TICKETZOO_CACHE, by default `~/.cache/ticketzoo`; all may be deleted.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    folder = Path(os.environ.get("TICKETZOO_CACHE") or "~/.cache/ticketzoo").expanduser()
    return folder / kind / f"{digest}.safetensors"


def read_cached(file: Path) -> dict[str, Tensor] | None:
    """Return the tensors in `file`, or None if there are none or they are not what was written."""
    try:
        with safe_open(file, framework="pt") as stored:
            digest = (stored.metadata() or {}).get("sha256")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (it is no mapping)
    except (OSError, SafetensorError):
        return None
    return tensors if _sha256(tensors) == digest else None


def write_cached(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Leave the tensors for the next process; a full disk or read-only folder just means there will be no cache."""
    with suppress(OSError, SafetensorError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            made = Path(folder) / file.name
            write_tensors(made, dict(tensors), {"sha256": _sha256(tensors)})
            made.replace(file)


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()
