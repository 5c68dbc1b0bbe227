"""Weights to train from that are not in the ticket: those of a model on the Hub, at one commit, or a copy of it here.

A model's tensors are read from safetensors files alone, never from pickles, and mapped to parameters by their names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ticketzoo.errors import ModelError, RegistryError, TicketError
from ticketzoo.hub.folder import open_hub
from ticketzoo.hub.model_files import FolderFiles, ModelFiles
from ticketzoo.hub.options import HubOptions
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.gguf import folder_of
from ticketzoo.models.pretrained import CONFIG_FILE, read_config
from ticketzoo.ticket.rewinds import BaseRewind
from ticketzoo.ticket.tensor_file import open_tensors
from ticketzoo.util.strict_json import parse_json
from ticketzoo.util.text import for_terminal

if TYPE_CHECKING:
    from ticketzoo.ticket.contents import Contents

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_MAX_INDEX_BYTES = 64 * 2**20
_SHARD = re.compile(r"\w[\w.-]*\.safetensors", re.ASCII)


@dataclass(frozen=True)
class BaseWeights:
    """Every tensor of a model on the Hub.

    Attributes:
        repo_id: `owner/name`.
        revision: the commit, in full.
        state: tensors by name, in their stored dtypes, on the CPU.
        settings: content of its config.json, where that was looked for and is there.
    """

    repo_id: str
    revision: str
    state: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @cached_property
    def sha256(self) -> str:
        """Digest of the names, dtypes, shapes and values of all tensors."""
        return state_sha256(self.state)

    @property
    def stated(self) -> dict[str, str]:
        """The base weights as ticket.json states them."""
        return {"kind": "base", "repo_id": self.repo_id, "revision": self.revision, "sha256": self.sha256}

    @classmethod
    def from_hub(
        cls,
        repo_id: str,
        revision: str | None = None,
        *,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
    ) -> "BaseWeights":
        """Fetch a model's safetensors, at the commit that `revision` (default: the main branch) means now.

        Raises:
            RegistryError: it cannot be fetched or has no safetensors, TicketError where they are damaged, ModelError
                where they hold NaN.
        """
        options = HubOptions(Path(cache_dir) if cache_dir else None, token, local_files_only, force_download)
        hub = open_hub(repo_id, revision, options, known_by=(WHOLE, INDEX))
        return cls(hub.repo_id, hub.commit, read_weights(hub), settings=_settings(hub))

    @classmethod
    def from_folder(cls, folder: str | Path, repo_id: str, revision: str) -> "BaseWeights":
        """Read a copy, in `folder`, of the safetensors of the Hub model `repo_id` at the commit `revision`, in full.

        In place of a folder there may be a copy of one of its GGUF files, which counts as it is converted here.

        That it is a copy cannot be seen here; it is found out when a ticket made with it is loaded from the Hub.

        Raises:
            RegistryError: the folder has no safetensors.
            TicketError: they are damaged.
            ModelError: they hold NaN.
        """
        files = FolderFiles(folder_of(Path(folder).expanduser()))
        return cls(repo_id, revision, read_weights(files), settings=_settings(files))


def base_weights(rewind: BaseRewind, options: HubOptions, folder: Path | None = None) -> BaseWeights:
    """Return the weights that a ticket rewinds to, checked against its digest; damaged ones are fetched again, once.

    They come from the Hub, or from the copy in `folder`.

    Raises:
        RegistryError: they cannot be fetched.
        TicketError: they are not those the ticket was made with.
    """
    if folder is not None:
        found = BaseWeights.from_folder(folder, rewind.repo_id, rewind.revision)
        if found.sha256 != rewind.sha256:
            problem = f"their digest is {found.sha256}, but ticket.json says {rewind.sha256}"
            raise TicketError(f"base weights in {folder}: {problem}: they are no copy of {_named(rewind)}")
        return found
    try:
        found = _fetch(rewind.repo_id, rewind.revision, options)
        problem = f"their digest is {found.sha256}, but ticket.json says {rewind.sha256}"
        if found.sha256 == rewind.sha256:
            return found
    except TicketError as error:
        problem = str(error)
    again = HubOptions(options.cache_dir, options.token, options.local_files_only, force_download=True)
    try:
        found = _fetch(rewind.repo_id, rewind.revision, again)
    except RegistryError as error:
        raise RegistryError(f"base weights {_named(rewind)}: {problem}; fetching them again failed: {error}") from None
    if found.sha256 == rewind.sha256:
        return found
    why = "the ticket was made with other weights, or with a different choice of that repository's files"
    raise TicketError(f"base weights {_named(rewind)}: {problem}, fetched again: {why}; ask the ticket's owner")


def _named(rewind: BaseRewind) -> str:
    return f"hub:{rewind.repo_id}@{rewind.revision}"


def _fetch(repo_id: str, revision: str | None, options: HubOptions) -> BaseWeights:
    hub = open_hub(repo_id, revision, options, known_by=(WHOLE, INDEX))
    return BaseWeights(hub.repo_id, hub.commit, read_weights(hub))


def _settings(files: ModelFiles) -> dict[str, Any]:
    return read_config(files) if files.has(CONFIG_FILE) else {}


def read_weights(files: ModelFiles) -> dict[str, Tensor]:
    """Return every tensor of a model, in one safetensors file or in several with an index, by the name it has there.

    Raises:
        RegistryError: there is none.
        TicketError: they are damaged.
        ModelError: a tensor holds NaN.
    """
    if files.has(WHOLE):
        return _read(files, WHOLE, None)
    if not files.has(INDEX):
        raise RegistryError(f"{files}: has neither {WHOLE} nor {INDEX}: base weights are read from safetensors alone")
    state: dict[str, Tensor] = {}
    for shard, names in _shards(files).items():
        state |= _read(files, shard, names)
    return state


def _shards(files: ModelFiles) -> dict[str, list[str]]:
    """Return the names of the tensors in each file, as the index says."""
    where = f"{files}: {INDEX}"
    content = parse_json(files.path(INDEX, at_most=_MAX_INDEX_BYTES).read_bytes(), where)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise TicketError(f"{where}: has no weight_map")
    shards: dict[str, list[str]] = {}
    for name, shard in places.items():
        if not isinstance(shard, str) or not _SHARD.fullmatch(shard):
            raise TicketError(f"{where}: '{for_terminal(shard)[:200]}' is not the name of a safetensors file beside it")
        shards.setdefault(shard, []).append(name)
    return shards


def _read(files: ModelFiles, name: str, wanted: list[str] | None) -> dict[str, Tensor]:
    where = f"{files}: {name}"
    with open_tensors(files.path(name), where, "pt") as file:
        names = list(file.keys())
        if missing := set(wanted or names) - set(names):
            absent = for_terminal(min(missing))[:200]
            raise TicketError(f"{where}: has no tensor '{absent}', which {INDEX} places there")
        tensors = {key: file.get_tensor(key) for key in wanted or names}
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and (bad := int(tensor.isnan().sum())):
            what = f"'{for_terminal(key)[:200]}' holds NaN in {bad} of {tensor.numel()} values"
            raise ModelError(f"{where}: {what}: nothing can be trained from it; take another model, or another commit")
    return tensors


def shared_base(ticket: "Contents") -> Mapping[str, Tensor] | None:
    """Return `ticket.base_state` itself instead of a copy, for those who leave it unchanged."""
    return ticket._stored.read_base() if ticket._stored.read_base else None
