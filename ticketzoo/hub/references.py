"""References to tickets: a folder, a name in the registry, or a Hub id; never one for another."""

import re
from dataclasses import dataclass
from pathlib import Path

from ticketzoo.errors import RegistryError
from ticketzoo.util.text import for_terminal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

_ADDRESS = re.compile(
    r"(hub:)?(https?://[^/]+/|hf://|git@[^:/]+:|(www\.)?(huggingface\.co|hf\.co)/)(?!datasets/|spaces/)", re.IGNORECASE
)
_PAGE = re.compile(
    r"(models/)?(?P<repo>[^/@]+/[^/@]+)((/(tree|blob|resolve|raw|commit)/(?P<page>[^/]+))?(/.*)?|@(?P<stated>.+))"
)


@dataclass(frozen=True)
class FolderReference:
    """A ticket in the folder `path`."""

    path: Path


@dataclass(frozen=True)
class NameReference:
    """A ticket called `name` in the registry."""

    name: str


@dataclass(frozen=True)
class HubReference:
    """A ticket in the Hub repository `repo_id`, at `revision` (a branch, tag or commit) or its main branch."""

    repo_id: str
    revision: str | None


Reference = FolderReference | NameReference | HubReference


def parse_reference(text: str | Path) -> Reference:
    """Read a reference; a Path is a folder.

    `./x`, `../x`, `/x`, `~/x`, `.` and paths of three or more parts, before any `@`, are folders;
    `hub:owner/name[@revision]` and `owner/name[@revision]` are Hub ids; a single word is a name in the registry.

    Raises:
        RegistryError: it is none of these, or `owner/name` is also a folder here.
    """
    if isinstance(text, Path):
        return FolderReference(text.expanduser())
    if not isinstance(text, str):
        raise RegistryError(f"a ticket is a text or a Path, not {type(text).__name__}")
    _refuse_address(text)
    if text.startswith("hub:"):
        return _hub_reference(text.removeprefix("hub:"), text)
    slashes = text.partition("@")[0].count("/")
    if text.startswith(("/", "~", "./", "../")) or text in (".", "..") or slashes > 1 or "\\" in text:
        return FolderReference(Path(text).expanduser())
    if "/" in text:
        if Path(text).is_dir():
            raise RegistryError(f"{text!r} is a folder here and could be a Hub id; write ./{text} or hub:{text}")
        return _hub_reference(text, text)
    if not NAME.fullmatch(text):
        raise RegistryError(
            f"{text!r} is not a ticket reference: give a name, a folder (./folder) or a Hub id (hub:owner/name)"
        )
    return NameReference(text)


def folder_reference(path: Path) -> str:
    """Return the text that means a folder, whatever else has its name: as it is if absolute, else from `./` on."""
    text = str(path)
    return text if path.is_absolute() or text.startswith(("~", "../")) or text in (".", "..") else f"./{text}"


def hub_reference(text: str) -> HubReference:
    """Read `owner/name[@revision]`, with or without `hub:` before it.

    Raises:
        RegistryError: anything else.
    """
    _refuse_address(text)
    return _hub_reference(text.removeprefix("hub:"), text)


def _refuse_address(text: str) -> None:
    """Raise RegistryError, with the reference that is meant, for an address as a browser shows it."""
    address = _ADDRESS.match(text)
    if address is None or Path(text).is_dir():
        return
    path = re.split(r"[?#]", text[address.end() :])[0].strip("/").removesuffix(".git")
    meant = _PAGE.fullmatch(path)
    reference = f"hub:{meant['repo']}" if meant else "hub:owner/name"
    if meant and (revision := meant["page"] or meant["stated"]):
        reference += f"@{revision}"
    what = f"{for_terminal(text)[:300]!r} is an address, not a reference"
    raise RegistryError(f"{what}: write {for_terminal(reference)[:300]}")


def _hub_reference(repo: str, text: str) -> HubReference:
    repo_id, at, revision = repo.partition("@")
    parts = repo_id.split("/")
    if len(parts) != 2 or not all(NAME.fullmatch(part) for part in parts) or (at and not revision):
        raise RegistryError(f"{text!r} is not a Hub id: write hub:owner/name or hub:owner/name@revision")
    return HubReference(repo_id, revision or None)
