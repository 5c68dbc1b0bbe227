"""The client's cache: which files it has, and what stands in the way of those it is to get."""

import re
import stat
from pathlib import Path

from ticketzoo.errors import RegistryError
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.remote import RemoteFile, is_intact
from ticketzoo.util.text import for_terminal

COMMIT = re.compile(r"[0-9a-f]{40}")
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFREG: "a file"}


def find_cached(repo_id: str, name: str, revision: str, options: HubOptions) -> Path | None:
    """Return the path of a file in the cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo_id, name, cache_dir=options.cache_dir, revision=revision)
    return Path(found) if isinstance(found, str) else None


def find_commit(repo_id: str, revision: str, name: str, options: HubOptions) -> str | None:
    """Return the commit at which the cache has the file `name` of `revision`, or None."""
    path = find_cached(repo_id, name, revision, options)
    commit = path.parents[name.count("/")].name if path else ""
    return commit if COMMIT.fullmatch(commit) else None


def not_cached(repo_id: str, name: str, revision: str, options: HubOptions, where: str) -> RegistryError:
    """Return the error for a file that the cache should have, and no network is allowed."""
    folder = _folder(repo_id, options)
    ref = folder / "refs" / revision
    commit = ref.read_text(errors="replace").strip() if ref.is_file() else revision
    places = [ref, *([folder / "snapshots" / commit / name] if COMMIT.fullmatch(commit) else [])]
    for place in places:
        if (found := _kind(place)) not in (None, "a file"):
            advice = "remove it, and load it once with a connection"
            return RegistryError(f"{where}: {_shown(place)} is {found}, not a file of the cache: {advice}")
    return RegistryError(f"{where}: not in the cache, and no network is allowed: load it once with a connection")


def make_way(repo_id: str, name: str, revision: str, remote: RemoteFile | None, options: HubOptions) -> None:
    """Remove what stands where the client is to write a file or folder and is none, and a damaged file that it keeps.

    Where the cache has no symbolic links, the client never replaces a file that is there.

    Raises:
        RegistryError: a folder with something in it, or a file, stands there. It may be somebody's, and stays.
    """
    folder = _folder(repo_id, options)
    if not COMMIT.fullmatch(revision):
        _clear(folder / "refs" / revision, folder)
        return
    place = folder / "snapshots" / revision / name
    _clear(place, folder)
    if remote is None:
        return
    if blob := remote.sha256 or remote.blob_id:
        _clear(folder / "blobs" / blob, folder)
    if place.is_file() and not place.is_symlink() and not is_intact(place, remote):
        place.unlink()


def _folder(repo_id: str, options: HubOptions) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    cache = Path(options.cache_dir or constants.HF_HUB_CACHE).expanduser()
    return cache / repo_folder_name(repo_id=repo_id, repo_type="model")


def _clear(place: Path, folder: Path) -> None:
    """Clear the way to a file below the cache's `folder` of a repository."""
    above = [parent for parent in reversed(place.parents) if parent.is_relative_to(folder)]
    for path, wanted in (*((parent, "a folder") for parent in above), (place, "a file")):
        found = _kind(path)
        if found in (None, wanted):
            continue
        try:
            path.rmdir() if found == "a folder" and not path.is_symlink() else _unlink(path, found)
        except OSError:
            what = f"{_shown(path)} is {found}, where the cache is to have {wanted}"
            raise RegistryError(f"{what}: move it away, then load again") from None


def _unlink(path: Path, found: str) -> None:
    if found == "a file" and not path.is_symlink():
        raise FileExistsError
    path.unlink()


def _kind(path: Path) -> str | None:
    """Return what stands at a path, links followed; None for nothing."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "a device")
    except OSError:
        return None


def _shown(path: Path) -> str:
    return for_terminal(path)[-400:]
