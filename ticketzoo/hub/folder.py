"""A repository on the Hub at one commit: its files, each fetched into the client's cache when it is asked for."""

import logging
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from ticketzoo.errors import RegistryError
from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.cache import COMMIT, find_cached, find_commit, make_way, not_cached
from ticketzoo.hub.calls import call_hub, client, is_offline
from ticketzoo.hub.errors import HubUnreachable
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.remote import RemoteFile, ask_about, is_intact
from ticketzoo.util.text import for_terminal

CONFIG_FILE = "ticket.json"
_TICKET_FILE = re.compile(
    r"ticket\.json|recipe\.yaml|results\.jsonl|seed-\d{1,19}/(masks|rewind|values)\.safetensors|extra/[\w.-]{1,122}",
    re.ASCII,
)
_REVISION = re.compile(r"(?!.*\.\.)[\w][\w./+-]{0,199}", re.ASCII)
_log = logging.getLogger("ticketzoo")


class HubFolder:
    """The files of one commit of one model repository. `open_hub` makes it.

    Attributes:
        repo_id: `owner/name`.
        commit: all files are of this one.
        options: how to fetch.
    """

    def __init__(
        self, repo_id: str, commit: str, options: HubOptions, listing: dict[str, RemoteFile] | None = None
    ) -> None:
        self.repo_id = repo_id
        self.commit = commit
        self.options = options
        self._forced: set[str] = set()
        if listing is not None:
            self.listing = listing

    def __str__(self) -> str:
        return f"hub:{self.repo_id}@{self.commit}"

    @cached_property
    def listing(self) -> dict[str, RemoteFile]:
        """Every file of the commit, by path. Raises RegistryError."""
        return ask_about(self.repo_id, self.commit, self.options.token).files

    def names(self) -> list[str]:
        """Return the paths of all files, or without a network of those in the cache.

        Raises:
            RegistryError: the files cannot be listed.
        """
        if not self.is_offline():
            try:
                return list(self.listing)
            except HubUnreachable as error:
                _log.warning("%s; using what is in the cache", error)
        config = find_cached(self.repo_id, CONFIG_FILE, self.commit, self.options)
        folder = config.parent if config else Path()
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()] if config else []

    def has(self, name: str) -> bool:
        """Tell whether the commit has the file `name`.

        Raises:
            RegistryError: that has to be asked and cannot be.
        """
        if find_cached(self.repo_id, name, self.commit, self.options):
            return True
        return not self.is_offline() and name in self.listing

    def path(self, name: str, *, size: int | None = None, at_most: int | None = None) -> Path:
        """Return the path of the file `name` in the cache; fetch it if it is not there.

        What arrives is compared with the id that the Hub states for it and, if wrong, fetched once more. What the cache
        has is compared with that id too, unless `size` is given: then the caller has a digest of its own to check.

        Args:
            name: path in the repository.
            size: how many bytes it must have.
            at_most: how many it may have.

        Raises:
            RegistryError: it is missing, of another size, damaged, or cannot be fetched.
        """
        forced = self.options.force_download and name not in self._forced
        cached = None if forced else find_cached(self.repo_id, name, self.commit, self.options)
        if cached and (size is not None or self._is_as_stored(cached, name)):
            return cached
        try:
            return self.fetch(name, size=size, at_most=at_most, force=forced or cached is not None)
        except RegistryError as error:
            if cached is None:
                raise
            remedy = "; when connected, load it with force_download=True" if self.is_offline() else ""
            raise RegistryError(f"{self}: {name}: the copy in the cache is damaged{remedy} ({error})") from None

    def fetch(self, name: str, *, size: int | None = None, at_most: int | None = None, force: bool = True) -> Path:
        """Fetch a file as `path` does, but even if the cache has it, unless `force` is False."""
        where = f"{self}: {name}"
        if self.is_offline():
            raise not_cached(self.repo_id, name, self.commit, self.options, where)
        if "listing" not in vars(self):
            self.listing = ask_about(self.repo_id, self.commit, self.options.token, where).files
        remote = self.listing.get(name)
        if remote is None:
            raise RegistryError(f"{where}: the repository has no such file: ask its owner to push the ticket again")
        if size is not None and remote.size != size:
            pointer = name.endswith(".safetensors") and remote.sha256 is None and remote.size < size
            advice = "; it may be a Git LFS pointer: ask its owner to push the ticket again" if pointer else ""
            raise RegistryError(f"{where}: has {remote.size} bytes there, but {size} are declared: not fetched{advice}")
        if at_most is not None and remote.size > at_most:
            raise RegistryError(f"{where}: has {remote.size} bytes, more than the {at_most} it may have: not fetched")
        self._forced.add(name)
        for again in (False, True):
            path = self._download(name, self.commit, force or again, remote)
            if is_intact(path, remote):
                return path
        advice = "try another network, or ask its owner to push the ticket again"
        raise RegistryError(f"{where}: arrived damaged twice, its digest is not what the Hub states: {advice}")

    def remember(self, revision: str) -> None:
        """Let the cache know that `revision` means this commit, so that it can be named without a network."""
        if revision == self.commit or self.is_offline():
            return
        if find_commit(self.repo_id, revision, CONFIG_FILE, self.options) != self.commit:
            self._download(CONFIG_FILE, revision, False, None)

    def is_offline(self) -> bool:
        """Tell whether nothing but the cache may be used."""
        return self.options.local_files_only or is_offline()

    def _is_as_stored(self, path: Path, name: str) -> bool:
        """Tell whether a cached file has the id that the Hub stated when it was fetched, as far as that is known."""
        listed = vars(self).get("listing", {}).get(name)
        target = path.resolve()
        blob = target.name if target.parent.name == "blobs" else ""
        size = path.stat().st_size
        if listed is not None:
            return is_intact(path, listed)
        if re.fullmatch(r"[0-9a-f]{64}", blob):
            return is_intact(path, RemoteFile(size, None, blob))
        return not COMMIT.fullmatch(blob) or is_intact(path, RemoteFile(size, blob, None))

    def _download(self, name: str, revision: str, force: bool, remote: RemoteFile | None) -> Path:
        api, options = client(self.options.token), self.options
        make_way(self.repo_id, name, revision, remote, options)
        path = call_hub(
            lambda: api.hf_hub_download(
                self.repo_id, name, revision=revision, cache_dir=options.cache_dir, force_download=force
            ),
            f"{self}: {name}",
            token=options.token,
            at_most=remote.size if remote else hub_limits.in_force().answer_bytes,
        )
        return Path(path)


def open_hub(
    repo_id: str, revision: str | None, options: HubOptions, *, known_by: Sequence[str] = (CONFIG_FILE,)
) -> HubFolder:
    """Return the repository at the commit that `revision` (a branch, tag or commit; default the main branch) means now.

    Without a connection, it is the commit that it meant when it was last fetched. A commit that is in the cache is
    taken from there without asking. `known_by` are files of which the repository must have one.

    Raises:
        RegistryError: there is no such repository, revision or file, it may not be read, or cannot be reached.
    """
    wanted = revision or "main"
    if not _REVISION.fullmatch(wanted):
        raise RegistryError(f"hub:{repo_id}: {for_terminal(wanted)!r} cannot be a branch, tag or commit")
    offline = options.local_files_only or is_offline()
    commits = (find_commit(repo_id, wanted, name, options) for name in known_by)
    cached = next((commit for commit in commits if commit), None)
    if cached and (offline or (COMMIT.fullmatch(wanted) and not options.force_download)):
        return HubFolder(repo_id, cached, options)
    where = f"hub:{repo_id}@{for_terminal(wanted)}"
    if offline:
        raise not_cached(repo_id, known_by[0], wanted, options, where)
    try:
        remote = ask_about(repo_id, wanted, options.token)
    except HubUnreachable as error:
        if not cached or options.force_download:
            raise
        _log.warning("%s; using commit %s from the cache", error, cached)
        return HubFolder(repo_id, cached, options)
    hub = HubFolder(repo_id, remote.commit, options, remote.files)
    if not any(name in hub.listing for name in known_by):
        raise RegistryError(f"{hub}: the repository has no {' or '.join(known_by)}: it is not what was asked for")
    return hub


def is_ticket_file(name: str) -> bool:
    """Tell whether a ticket's format gives a meaning to a file of this path in a repository."""
    return _TICKET_FILE.fullmatch(name) is not None
