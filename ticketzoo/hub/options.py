"""Options of fetching from the Hub."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


def without_token(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of options, a token that is text left out: what a pickle of them may hold."""
    return {**fields, **({"token": None} if isinstance(fields["token"], str) else {})}


@dataclass(frozen=True)
class HubOptions:
    """Options of fetching. A token is for this process alone: a pickle has none.

    Attributes:
        cache_dir: of the Hub's client; its own (`HF_HUB_CACHE`) by default.
        token: to use instead of the one of the environment or of `hf auth login`; False for none.
        local_files_only: whether to use nothing but the cache.
        force_download: whether to fetch again what the cache has.
    """

    cache_dir: Path | None = None
    token: str | bool | None = field(default=None, repr=False)
    local_files_only: bool = False
    force_download: bool = False

    def __getstate__(self) -> dict[str, object]:
        """Return the fields, without a token that is text."""
        return without_token(vars(self))

    def __deepcopy__(self, _: object) -> "HubOptions":
        """Return a copy for this process, which keeps the token."""
        return replace(self)

    __copy__ = replace
