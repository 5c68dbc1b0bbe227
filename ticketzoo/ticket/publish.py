"""Saving a ticket in a folder and publishing it on the Hub, whole, with its card and plots."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from torch import nn

from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.hub.push import CARD, MAX_CARD_BYTES, Destination, Published, publish
from ticketzoo.hub.references import hub_reference
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.recipe.local import without_local_paths
from ticketzoo.ticket.card import render_card
from ticketzoo.ticket.card_metadata import tags
from ticketzoo.ticket.config import RECIPE_FILE, TicketConfig
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.eval_results import eval_results_file
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, file_entries
from ticketzoo.ticket.repack import encoded_as
from ticketzoo.ticket.stored import Stored
from ticketzoo.ticket.write import save
from ticketzoo.util.arguments import checked
from ticketzoo.util.text import for_terminal

MAX_PLOT_BYTES = 10 * 2**20
_log = logging.getLogger("ticketzoo")
_PLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}\.png")


class Publishable(Contents):
    """A ticket that can be saved and published."""

    @checked
    def save_pretrained(
        self, folder: str | Path, *, extras: Mapping[str, bytes] | None = None, encoding: str | None = None
    ) -> Path:
        """Write the whole ticket, every level and replicate, into `folder`, completely or not at all.

        An existing ticket there is replaced; files that are no part of a ticket stay. Returns the folder.

        Args:
            folder: to write; its parents are made.
            extras: more files to write along with it, such as `README.md` and plots, by plain file name.
            encoding: of the masks: `bits`, or `range`, which takes the fewest bytes and makes the ticket one of
                format 2. Default: what they have, which is `bits` for a ticket that was made here.

        Raises:
            TicketError: it holds something else, or cannot be written; an unknown encoding.
        """
        config, stored = self.config, self._stored
        if encoding is not None:
            config, stored = encoded_as(config, stored, encoding)
        return save(config, stored, Path(folder), extras or {})

    @checked
    def export(self, out: str | Path, to: str = "state-dict") -> nn.Module | None:
        """Write this level for other tools, as a safetensors file or a folder with one; its folder is made.

        Args:
            out: the file or folder, which may not exist.
            to: `state-dict`, the rewind weights with pruned ones 0.0, or with a delta applied; `trained`, the trained
                ones likewise; `torch-prune`, with masks as `torch.nn.utils.prune` has them; `masks` alone;
                `transformers`, a folder for `from_pretrained`; of a delta `shira`, an adapter's folder for peft, and
                `patch`, indices and new values; `small`, the smaller dense network that whole filters leave, and
                `small-trained`, that of the trained weights.

        Returns:
            of `small` and `small-trained` the smaller network, in evaluation mode; else None.

        Raises:
            TicketError: an unknown form, a file that exists or cannot be written, no trained weights, or masks that do
                not remove whole filters.
        """
        from ticketzoo.ticket.export import export_ticket

        small = export_ticket(self, to, out)  # type: ignore[arg-type]
        return small.network if small else None

    @checked
    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        commit_message: str | None = None,
        token: str | bool | None = None,
        card: str | None = None,
        replace_card: bool = False,
    ) -> Published:
        """Publish the whole ticket, every level and replicate, with its card and plots, in one commit.

        The same ticket pushed again makes no new commit. A README.md that was edited on the Hub stays.

        Returns what became of it: `url` and `commit`, whether that is new (`changed`), and `card_kept`.

        Args:
            repo_id: `owner/name`; a repository that does not exist is made.
            private: whether it is to be private. Publishing to a public one with `private=True` is refused. None: what
                it is, or what new repositories of its owner are by default.
            revision: the branch, made if it does not exist; the main branch by default.
            create_pr: whether to open a pull request instead.
            commit_message: in one line.
            token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`.
            card: text of README.md. Default: the one in the ticket's folder, or else what ticket.json says.
            replace_card: whether to overwrite a README.md that was edited on the Hub.

        Raises:
            RegistryError: a repository that cannot be made, read or written, somebody else's push in the meantime,
                an access token in a file; TicketError for a damaged ticket.
        """
        to = Destination(repo_id, private, revision, create_pr, commit_message, token, replace_card)
        return push(self.config, self._stored, to, card)


def push(config: TicketConfig, stored: Stored, to: Destination, card: str | None) -> Published:
    """Publish a ticket. `card` is the text of README.md; else the one in its folder, else what ticket.json says."""
    from huggingface_hub import ModelCard

    reference = hub_reference(to.repo_id)
    if reference.revision:
        raise RegistryError(f"{to.repo_id!r} is not a Hub id: write owner/name, and the branch as revision")
    to = replace(to, repo_id=reference.repo_id)
    with _on_disk(config, stored) as files:
        contents: dict[str, Path | bytes] = {CONFIG_FILE: files.folder / CONFIG_FILE}
        for name, entry in file_entries(files.config()).items():
            contents[name] = files.checked(name, entry)
        beside = extra_files(files)
        text = card if card is not None else beside.pop(CARD, b"").decode() or render_card(config, None)

        def files_for(repo_id: str) -> dict[str, Path | bytes]:
            card = text
            for name in (config.name, to.repo_id):
                card = card.replace(f"load_ticket({json.dumps(name)}", f"load_ticket({json.dumps(repo_id)}")
            card = _findable(card, config)
            return {**contents, **beside, **eval_results_file(config, ModelCard(card).data), CARD: card.encode()}

        _warn(config, stored.read_document(RECIPE_FILE), to)
        return publish(files_for, to)


def _warn(config: TicketConfig, recipe: bytes | None, to: Destination) -> None:
    """Warn, before anything is published, of a licence that is not stated and of paths of this machine."""
    if config.license is None:
        _log.warning("%s: no licence is stated, so others may not use it; find it with --set license=mit, say", to)
    try:
        content = parse_yaml((recipe or b"").decode())
    except ValueError:
        return
    if content != without_local_paths(content):
        _log.warning("%s: recipe.yaml and the card name folders of this machine; found anew they name none", to)


def _findable(card: str, config: TicketConfig) -> str:
    """Return the card with the tags that search needs, also where someone else has written it."""
    from huggingface_hub import ModelCard

    try:
        parsed = ModelCard(card)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        problem = for_terminal(error)[:300]
        raise TicketError(f"'{config.name}': {CARD}: its metadata cannot be read: {problem}") from None
    data: Any = parsed.data
    has = data.tags if isinstance(data.tags, list) else []
    needed = tags(config)
    if data.library_name == "ticketzoo" and set(needed) <= set(has):
        return card
    data.library_name, data.tags = "ticketzoo", list(dict.fromkeys([*has, *needed]))
    return str(parsed)


def extra_files(files: Files) -> dict[str, bytes]:
    """Return the card and the plots beside a ticket, by name."""
    if files.hub is None:
        found = [path for path in sorted(files.folder.iterdir()) if path.is_file() and not path.is_symlink()]
        return {path.name: path.read_bytes() for path in found if path.name == CARD or _PLOT.fullmatch(path.name)}
    limits = {name: MAX_PLOT_BYTES for name in files.hub.names() if _PLOT.fullmatch(name)}
    limits |= {CARD: MAX_CARD_BYTES} if files.hub.has(CARD) else {}
    return {name: files.hub.path(name, at_most=limit).read_bytes() for name, limit in limits.items()}


@contextmanager
def _on_disk(config: TicketConfig, stored: Stored) -> Iterator[Files]:
    """Give the files of a ticket, written for the time of the block if it was in memory only."""
    if stored.files is not None:
        yield stored.files
        return
    with TemporaryDirectory() as folder:
        yield Files(save(config, stored, Path(folder, "ticket"), {}))
