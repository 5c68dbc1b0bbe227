"""The registry in a folder: one ticket a subfolder, found by name."""

import difflib
import os
from pathlib import Path

from ticketzoo.errors import RegistryError
from ticketzoo.hub.folder import HubOptions, fetch_whole
from ticketzoo.hub.references import FolderReference, HubReference, NameReference, parse_reference


def default_registry() -> Path:
    """Return `$TICKETZOO_REGISTRY`, else `registry/` in the current folder, else the one beside a checkout's source."""
    if given := os.environ.get("TICKETZOO_REGISTRY"):
        return Path(given).expanduser()
    here, source = Path("registry"), Path(__file__).resolve().parents[2] / "registry"
    return source if source.is_dir() and not here.is_dir() else here


def ticket_folders(registry: Path) -> list[Path]:
    """Return the folders in `registry` that hold a ticket, by name.

    Raises:
        RegistryError: there is no such folder.
    """
    if not registry.is_dir():
        raise RegistryError(f"registry {registry}: no such folder; give one with --registry or TICKETZOO_REGISTRY")
    return sorted(path.parent for path in registry.glob("*/ticket.json"))


def ticket_folder(reference: str, registry: Path | None = None) -> Path:
    """Return the folder of the ticket that `reference` means (see `parse_reference`); `registry` has the names.

    A ticket on the Hub is fetched whole, from one commit, into the cache of the Hub's client.

    Raises:
        RegistryError: there is no such ticket, the message lists near names; or it cannot be fetched.
    """
    match parse_reference(reference):
        case FolderReference(path):
            if not (path / "ticket.json").is_file():
                raise RegistryError(f"{path}: holds no ticket; find one first (ticketzoo find), or see ticketzoo list")
            return path
        case NameReference(name):
            return _by_name(name, registry or default_registry())
        case HubReference(repo_id, revision):
            return fetch_whole(repo_id, revision, HubOptions())


def _by_name(name: str, registry: Path) -> Path:
    names = [folder.name for folder in ticket_folders(registry)]
    if name in names:
        return registry / name
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if Path(name, "ticket.json").is_file():
        hint = f"the folder of that name is ./{name}"
    elif near:
        hint = f"did you mean {', '.join(near)}?"
    else:
        hint = f"it has {', '.join(names) or 'no tickets'}"
    raise RegistryError(f"no ticket {name!r} in {registry}; {hint}")
