"""Files of a pretrained model: in a folder here, or in a repository on the Hub at one commit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ticketzoo.errors import RegistryError


class ModelFiles(Protocol):
    """A place with a model's files; `str` of it names it in messages. `hub.folder.HubFolder` is one."""

    def has(self, name: str) -> bool:
        """Tell whether there is a file `name`."""
        ...

    def path(self, name: str, *, at_most: int | None = None) -> Path:
        """Return the path of the file `name`, of `at_most` that many bytes.

        Raises:
            RegistryError: it is missing or too long.
        """
        ...


@dataclass(frozen=True)
class FolderFiles:
    """The files in a folder that the user names."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def has(self, name: str) -> bool:
        """Tell whether there is a file `name`."""
        return (self.folder / name).is_file()

    def path(self, name: str, *, at_most: int | None = None) -> Path:
        """Return the path of the file `name`.

        Raises:
            RegistryError: it is missing or longer than `at_most` bytes.
        """
        path = self.folder / name
        if not path.is_file():
            raise RegistryError(f"{path}: there is no such file")
        if at_most is not None and path.stat().st_size > at_most:
            raise RegistryError(f"{path}: has {path.stat().st_size} bytes, more than the {at_most} it may have")
        return path
