"""Load a ticket by name, folder or Hub id. A registry is a folder: one ticket a subfolder, found by name."""

import difflib
import os
from pathlib import Path

from ticketzoo.errors import RegistryError
from ticketzoo.hub.folder import fetch_whole
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.references import FolderReference, HubReference, NameReference, parse_reference
from ticketzoo.ticket.ticket import Ticket


def load_ticket(  # noqa: PLR0913 - every way to load, by keyword
    reference: str,
    *,
    level: int | None = None,
    sparsity: float | None = None,
    seed: int | None = None,
    registry: str | Path | None = None,
    masks_only: bool = False,
    mask_sha256: str | None = None,
    base: str | Path | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    force_download: bool = False,
) -> Ticket:
    """Load a ticket by a name in the registry, a folder (`./folder`) or a Hub id (`owner/name`, `hub:owner/name@v1`).

    Args:
        reference: the ticket.
        level: a packaged level. Default: the sparsest that the verdict calls winning or matching on its source, or
            else the sparsest of all.
        sparsity: instead of a level, the packaged one nearest to this fraction removed, in [0, 1).
        seed: of a replicate; the first by default.
        registry: folder in which names are looked up. Default: `$TICKETZOO_REGISTRY`, else `registry/` in the current
            folder, else the one that comes with the source.
        masks_only: whether to do without rewind weights: they are not fetched and need not be there.
        mask_sha256: digest that the ticket's masks must have, as `ticketzoo info` shows it.
        base: folder with a copy of the model that the ticket rewinds to, read instead of the Hub's. It must have the
            digest that the ticket states.
        revision: branch, tag or commit on the Hub; the main branch by default.
        cache_dir: where the Hub's client keeps what it fetched; `HF_HUB_CACHE` by default.
        local_files_only: whether to use nothing but that cache.
        token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`. False for none.
        force_download: whether to fetch again what is in the cache.

    Raises:
        RegistryError: there is no such ticket, or it cannot be fetched.
        TicketError: it is damaged or of an unknown format, has other masks than `mask_sha256`, or has no such level,
            sparsity or seed.
    """
    on_hub = isinstance(parse_reference(reference), HubReference)
    return Ticket.from_pretrained(
        reference if on_hub else ticket_folder(reference, Path(registry) if registry else None),
        level=level,
        sparsity=sparsity,
        seed=seed,
        masks_only=masks_only,
        mask_sha256=mask_sha256,
        base=base,
        revision=revision,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        token=token,
        force_download=force_download,
    )


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
