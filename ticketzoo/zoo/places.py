"""Places of tickets. A registry is a folder: one ticket a subfolder, found by name; so is a folder of runs."""

import difflib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.references import FolderReference, HubReference, NameReference, folder_reference, parse_reference
from ticketzoo.ticket.files import hub_files
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries, read_config
from ticketzoo.util.shipped import shipped_registry
from ticketzoo.util.text import show_names

VARIABLE = "TICKETZOO_REGISTRY"
RUNS = Path("runs")
"""The folder in which commands make their runs: the ticket of the run NAME is in `runs/NAME/NAME`."""
SWEEP = "sweep.json"
"""The file of a folder that holds a run for each point of a sweep."""

_log = logging.getLogger("ticketzoo")


def own_registry() -> Path:
    """Return the folder that tickets are added to: `$TICKETZOO_REGISTRY`, else `registry/` in the current folder."""
    return Path(os.environ.get(VARIABLE) or "registry").expanduser()


def registries() -> list[Path]:
    """Return the folders in which names are looked up, the first found first.

    They are `registry/` and `runs/` in the current folder, and the tickets that come with ticketzoo.
    `$TICKETZOO_REGISTRY` takes the place of the first and the last.
    """
    given = VARIABLE in os.environ
    known = [own_registry(), RUNS, *([] if given else [shipped_registry()])]
    there = {folder.resolve(): folder for folder in reversed(known) if folder.is_dir() or (given and folder != RUNS)}
    return list(there.values())[::-1]


def ticket_folders(registry: str | Path) -> list[Path]:
    """Return the folders in `registry` that hold a ticket, by name; also those of runs there, and of sweeps' points.

    Raises:
        RegistryError: there is no such folder.
    """
    registry = Path(registry).expanduser()
    if not registry.is_dir():
        raise RegistryError(f"registry {registry}: no such folder; give one with --registry or {VARIABLE}")
    found = [path.parent for pattern in ("*", "*/*") for path in registry.glob(f"{pattern}/{CONFIG_FILE}")]
    sweeps = [path.parent for path in registry.glob(f"*/{SWEEP}")]
    found += [path.parent for sweep in sweeps for path in sweep.glob(f"*/*/{CONFIG_FILE}")]
    shown = [path for path in found if not any(part.startswith(".") for part in path.relative_to(registry).parts)]
    return sorted(shown, key=lambda path: (path.name, path))


def ticket_folder(reference: str | Path, registry: str | Path | None = None) -> Path:
    """Return the folder of the ticket that `reference` means (see `parse_reference`).

    A ticket on the Hub is fetched whole, from one commit, into the cache of the Hub's client: the files that its
    ticket.json declares, as long as it says.

    Args:
        reference: the ticket.
        registry: folder in which a name is looked up; by default `registries()`.

    Raises:
        RegistryError: there is no such ticket, the message lists near names; or it cannot be fetched.
        TicketError: the ticket.json of one on the Hub says what it may not say.
    """
    match parse_reference(reference):
        case FolderReference(path):
            if not (path / CONFIG_FILE).exists():
                inside = [folder_reference(folder) for folder in (ticket_folders(path) if path.is_dir() else [])]
                find = "find one first (ticketzoo find), or see ticketzoo list"
                remedy = f"say {' or '.join(inside[:3])}" if inside else find
                what = "holds no ticket" if path.is_dir() else "there is no such folder"
                raise RegistryError(f"{path}: {what}; {remedy}")
            return path
        case NameReference(name):
            return _by_name(name, [Path(registry)] if registry else registries())
        case HubReference(repo_id, revision):
            files = hub_files(repo_id, revision, HubOptions())
            for name, entry in file_entries(files.config()).items():
                files.checked(name, entry)
            return files.folder


def in_words(places: Sequence[Path]) -> str:
    """Return the folders as messages name them."""
    return show_names(places) or "registry/, runs/"


def _by_name(name: str, places: Sequence[Path]) -> Path:
    folders = [folder for place in places for folder in ticket_folders(place)]
    if found := [folder for folder in folders if folder.name == name]:
        if line := shared_name([(folder, _masks(folder)) for folder in found]):
            _log.warning("%s", line)
        return found[0]
    names = list(dict.fromkeys(folder.name for folder in folders))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6) or [one for one in names if name.lower() in one][:3]
    if Path(name, CONFIG_FILE).is_file():
        hint = f"the folder of that name is ./{name}"
    elif near:
        hint = f"did you mean {', '.join(near)}?"
    elif names:
        hint = f"there {'is' if len(names) == 1 else 'are'} {show_names(names, 5)}"
        hint += "; ticketzoo list shows all" * (len(names) > 5)
    else:
        hint = "there are no tickets"
    raise RegistryError(f"no ticket {name!r} in {in_words(places)}; {hint}")


def shared_name(found: Sequence[tuple[Path, str | None]]) -> str:
    """Return a line on tickets of one name that have other masks than the first, which the name means; else nothing.

    Args:
        found: folders of tickets of one name, in the order in which names are looked up, and digests of their masks.
    """
    (first, masks), *others = found
    if not (differing := [folder_reference(folder) for folder, other in others if other != masks]):
        return ""
    means = f"{len(differing) + 1} tickets are called {first.name!r}, which means the one in {first}"
    return f"{means}; say {' or '.join(differing)} for the other{'s' * (len(differing) > 1)}"


def _masks(folder: Path) -> str | None:
    try:
        return read_config(folder).mask_sha256
    except TicketError:
        return None
