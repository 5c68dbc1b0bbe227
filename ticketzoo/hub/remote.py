"""The Hub's statements about a repository's files: names, sizes and ids, and whether a local copy agrees."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticketzoo.hub import calls as hub_calls
from ticketzoo.hub.calls import call_hub, client
from ticketzoo.util.text import for_terminal


@dataclass(frozen=True)
class RemoteFile:
    """The Hub's statements about a file: its bytes, its git id, and if it is stored outside git its sha256."""

    size: int
    blob_id: str | None
    sha256: str | None


def ask_about(repo_id: str, revision: str, token: str | bool | None, where: str | None = None) -> Any:
    """Return the Hub's `ModelInfo`, with sizes and ids of all files.

    Raises:
        RegistryError: the Hub cannot be asked; the message names `where`.
    """
    api = client(token)
    return call_hub(
        lambda: api.model_info(repo_id, revision=revision, files_metadata=True, timeout=hub_calls.TIMEOUT),
        where or f"hub:{repo_id}@{for_terminal(revision)}",
        token=token,
    )


def read_listing(info: Any) -> dict[str, RemoteFile]:
    """Return the files in a `ModelInfo`, by path."""
    files = {}
    for sibling in info.siblings or []:
        lfs = sibling.lfs
        files[sibling.rfilename] = RemoteFile(sibling.size or 0, sibling.blob_id, lfs.sha256 if lfs else None)
    return files


def git_id(content: bytes) -> str:
    """Return the id that git gives to a file of this content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def is_intact(path: Path, remote: RemoteFile) -> bool:
    """Tell whether the file has the size and id that the Hub states."""
    if path.stat().st_size != remote.size:
        return False
    if remote.sha256:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == remote.sha256
    return remote.blob_id is None or git_id(path.read_bytes()) == remote.blob_id
