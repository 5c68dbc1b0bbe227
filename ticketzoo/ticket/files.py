"""Sources of a ticket's files: a folder, or a repository on the Hub that gives each when it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.hub.folder import HubFolder, open_hub
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.references import FolderReference, HubReference, NameReference, parse_reference
from ticketzoo.ticket.config import (
    MAX_CONFIG_BYTES,
    FileEntry,
    TicketConfig,
)
from ticketzoo.ticket.folder import CONFIG_FILE, check_file, check_size, read_config
from ticketzoo.util.text import for_terminal


@dataclass(frozen=True)
class Files:
    """The files of one ticket.

    Attributes:
        folder: where they are; on the Hub, where those that were fetched are.
        hub: the repository they are fetched from, if any.
        hub_options: how to fetch, also the base weights that the ticket refers to.
    """

    folder: Path
    hub: HubFolder | None = None
    hub_options: HubOptions = HubOptions()  # noqa: RUF009

    def where(self, name: str) -> str:
        """Return the file `name` in messages."""
        return f"{self.hub}: {name}" if self.hub else str(self.folder / name)

    def config(self, mask_sha256: str | None = None) -> TicketConfig:
        """Return the content of ticket.json, checked.

        Args:
            mask_sha256: digest that the masks must have; None for any.

        Raises:
            TicketError: it says what it may not say, or another digest.
        """
        try:
            config = read_config(self.folder)
        except TicketError as error:
            if self.hub is None:
                raise
            problem = str(error).removeprefix(f"{self.folder / CONFIG_FILE}: ")
            raise TicketError(f"{self.where(CONFIG_FILE)}: {problem}") from None
        if mask_sha256 is not None and config.mask_sha256 != mask_sha256:
            found = f"its masks have digest {config.mask_sha256}, not {for_terminal(mask_sha256)} as was asked for"
            raise TicketError(f"{self.where(CONFIG_FILE)}: {found}: it is not that ticket, or was changed since")
        return config

    def require(self, entries: Mapping[str, FileEntry]) -> None:
        """Have these files here, as long as stated.

        Raises:
            TicketError: or from the Hub RegistryError.
        """
        for name, entry in entries.items():
            if self.hub is not None:
                self.hub.path(name, size=entry.bytes)
            else:
                check_size(self.folder / name, entry)

    def checked(self, name: str, entry: FileEntry) -> Path:
        """Return the path of a file whose size and sha256 are as stated.

        A damaged one in the Hub's cache is fetched again, once.

        Raises:
            TicketError: or from the Hub RegistryError.
        """
        self.require({name: entry})
        try:
            return check_file(self.folder, name, entry)
        except TicketError as error:
            if self.hub is None:
                raise
            self._fetch_again(name, error, entry.bytes)
        try:
            return check_file(self.folder, name, entry)
        except TicketError:
            advice = "what the repository holds is damaged or altered: ask its owner to push the ticket again"
            raise RegistryError(f"{self.where(name)}: not the file that ticket.json declares: {advice}") from None

    def _fetch_again(self, name: str, damage: TicketError, size: int) -> None:
        assert self.hub is not None
        try:
            self.hub.fetch(name, size=size)
        except RegistryError as error:
            what = f"the copy in the cache is damaged ({damage}), and fetching it again failed"
            remedy = "; when connected, load it with force_download=True" if self.hub.is_offline() else ""
            raise RegistryError(f"{self.where(name)}: {what}: {error}{remedy}") from None


def hub_files(repo_id: str, revision: str | None, options: HubOptions) -> Files:
    """Return the ticket in a repository on the Hub, at one commit; only its ticket.json is fetched now.

    Raises:
        RegistryError: see `open_hub` and `HubFolder.path`.
    """
    hub = open_hub(repo_id, revision, options)
    path = hub.path(CONFIG_FILE, at_most=MAX_CONFIG_BYTES)
    hub.remember(revision or "main")
    return Files(path.parent, hub, options)


def ticket_files_of(repo_id_or_folder: str | Path, revision: str | None, options: HubOptions) -> Files:
    """Return the files of the ticket that a Path, or a text that means a folder or a Hub id, leads to.

    Raises:
        RegistryError: a text that is neither, two revisions, and what cannot be fetched.
    """
    if isinstance(repo_id_or_folder, Path):
        return Files(repo_id_or_folder.expanduser().absolute(), None, options)
    match parse_reference(repo_id_or_folder):
        case HubReference(repo_id, stated):
            if stated and revision and stated != revision:
                raise RegistryError(f"hub:{repo_id}: two revisions are asked for, {stated!r} and {revision!r}")
            return hub_files(repo_id, stated or revision, options)
        case FolderReference(path):
            return Files(path.absolute(), None, options)
        case NameReference(name):
            return Files(Path(name).absolute(), None, options)
