"""The Hub's statements about a repository, checked: its name, its commit, and the names, sizes and ids of its files."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticketzoo.hub.bounds import NotAHub
from ticketzoo.hub.calls import call_hub, client
from ticketzoo.util.text import for_terminal

REPO_ID = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_GIT_ID, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
_LARGEST = 2**50


@dataclass(frozen=True)
class RemoteFile:
    """The Hub's statements about a file: its bytes, its git id, and if it is stored outside git its sha256."""

    size: int
    blob_id: str | None
    sha256: str | None


@dataclass(frozen=True)
class RemoteRepo:
    """The Hub's statements about a repository at one commit.

    Attributes:
        repo_id: its name now, `owner/name`; another than the one asked for where it was renamed.
        commit: in full.
        private: whether it is.
        files: by path.
    """

    repo_id: str
    commit: str
    private: bool
    files: dict[str, RemoteFile]


def ask_about(repo_id: str, revision: str, token: str | bool | None, where: str | None = None) -> RemoteRepo:
    """Return the Hub's statements about a repository at a branch, tag or commit.

    Raises:
        RegistryError: the Hub cannot be asked, or gives an answer that no Hub gives; the message names `where`.
    """
    api = client(token)
    return call_hub(
        lambda: _read(api.model_info(repo_id, revision=revision, files_metadata=True)),
        where or f"hub:{repo_id}@{for_terminal(revision)}",
        token=token,
    )


def _read(info: Any) -> RemoteRepo:
    """Return the content of a `ModelInfo`. Raises NotAHub."""
    siblings = info.siblings or []
    _require(info.id, "id", lambda value: isinstance(value, str) and REPO_ID.fullmatch(value))
    _require(info.sha, "commit", lambda value: _is_id(value, _GIT_ID))
    _require(info.private, "private", lambda value: isinstance(value, bool))
    _require(siblings, "list of files", lambda value: isinstance(value, list))
    return RemoteRepo(info.id, info.sha, info.private, dict(map(_read_file, siblings)))


def _read_file(sibling: Any) -> tuple[str, RemoteFile]:
    name, lfs = sibling.rfilename, sibling.lfs
    _require(name, "name of a file", lambda value: isinstance(value, str) and value)
    where = f" of {for_terminal(name)[:100]}"
    _require(sibling.size, f"size{where}", lambda value: type(value) is int and 0 <= value < _LARGEST)
    _require(sibling.blob_id, f"id{where}", lambda value: value is None or _is_id(value, _GIT_ID))
    sha256 = lfs.sha256 if lfs else None
    _require(sha256, f"sha256{where}", lambda value: value is None or _is_id(value, _SHA256))
    return name, RemoteFile(sibling.size, sibling.blob_id, sha256)


def _is_id(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _require(value: object, what: str, is_right: Callable[[Any], object]) -> None:
    if not is_right(value):
        raise NotAHub(f"its {what} is {for_terminal(repr(value))[:100]}")


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
