"""Publishing files to a model repository on the Hub: all of them in one commit, or none."""

import hashlib
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketzoo.errors import RegistryError
from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.calls import call_hub, client
from ticketzoo.hub.errors import HubConflict, HubMissing, HubRevisionMissing, HubUnreachable
from ticketzoo.hub.folder import HubFolder, is_ticket_file
from ticketzoo.hub.options import HubOptions, without_token
from ticketzoo.hub.remote import RemoteFile, RemoteRepo, ask_about, git_id
from ticketzoo.hub.stamp import is_stamped, stamp_card
from ticketzoo.util.text import for_terminal

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"
MAX_CARD_BYTES = 10 * 2**20
_LARGE = 2**20
_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{30,}\b")

_log = logging.getLogger("ticketzoo")


@dataclass(frozen=True)
class Destination:
    """The repository to publish to, and the way of publishing.

    Attributes:
        repo_id: `owner/name`; a repository that does not exist is made.
        private: whether it is to be private; None for what it is, or what its owner's repositories are by default.
        revision: the branch, made if it does not exist; the main branch by default.
        create_pr: whether to open a pull request instead of committing to the branch.
        message: of the commit.
        token: to use instead of the one of the environment or of `hf auth login`.
        replace_card: whether a README.md that was edited on the Hub is overwritten.
    """

    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    message: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    replace_card: bool = False

    def __str__(self) -> str:
        return f"hub:{self.repo_id}@{for_terminal(self.revision or 'main')}"

    def __getstate__(self) -> dict[str, object]:
        """Return the fields, without a token that is text."""
        return without_token(vars(self))


@dataclass(frozen=True)
class Published:
    """The outcome of publishing.

    Attributes:
        url: of the commit, or of the pull request.
        commit: the branch's, with the files in it.
        changed: whether a commit was made; nothing is when the repository has the same files already.
        card_kept: whether the README.md on the Hub was left as it is, because it was edited there.
    """

    url: str
    commit: str
    changed: bool
    card_kept: bool


def publish(files: Callable[[str], Mapping[str, Path | bytes]], to: Destination) -> Published:
    """Make the repository hold files, in one commit on top of what it holds now, and no other files of a ticket.

    Files of other sorts stay, and so does a README.md that was edited on the Hub. An answer that is lost on the way is
    asked for again, not the commit repeated. A repository that was renamed is published to by its name now; if nothing
    but that name has changed, there is no commit.

    Args:
        files: gives them for the repository of a name, by path; a README.md among them is stamped with its digest, by
            which an edited one is told apart later.
        to: the repository.

    Raises:
        HubConflict: somebody else pushed in the meantime.
        RegistryError: a file holds a token, the repository is public but `to.private` asks otherwise, the user may not
            write there, the Hub refuses a file, or cannot be reached.
    """
    asked = to.repo_id
    before = _stamped(files(asked))
    for name, content in before.items():
        _refuse_tokens(name, content, to)
    api = client(to.token)
    state = first = _state_or_new(api, to)
    contents = before
    if state.repo_id != asked:
        _log.warning("hub:%s: the repository is called %s now", asked, state.repo_id)
        to, contents = replace(to, repo_id=state.repo_id), _stamped(files(state.repo_id))
    limits = hub_limits.in_force()
    waits, until = list(limits.waits), time.monotonic() + limits.time_for(_size(contents))
    while True:
        kept = _is_edited(to, state) if CARD in contents and not to.replace_card else False
        changes = _changes(contents, state, kept)
        if not changes or not _changes(before, state, kept):
            made = state.commit != first.commit
            return Published(_commit_url(api, to, state.commit), state.commit, made, kept)
        if state.commit != first.commit:
            raise HubConflict(f"{to}: someone else has pushed in the meantime: look at it, then push again")
        try:
            return _commit(api, to, state, changes, kept)
        except HubConflict:
            state = _state(to)
            if state.commit == first.commit:
                raise
        except HubUnreachable as error:
            if to.create_pr:
                advice = "it may exist nevertheless: look at the repository before asking again"
                raise HubUnreachable(f"{error}; the pull request's answer is lost, {advice}") from None
            pause = max(waits.pop(0), error.seconds) if waits else math.inf
            if time.monotonic() + pause > until:
                raise
            time.sleep(pause)
            state = _state(to)


def _stamped(files: Mapping[str, Path | bytes]) -> dict[str, Path | bytes]:
    return {**files, CARD: stamp_card(_content(files[CARD]).decode())} if CARD in files else dict(files)


def _size(contents: Mapping[str, Path | bytes]) -> int:
    return sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in contents.values())


def _content(content: Path | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _refuse_tokens(name: str, content: Path | bytes, to: Destination) -> None:
    if name.endswith((".safetensors", ".png")):
        return
    text = _content(content)
    if _TOKEN.search(text) or (isinstance(to.token, str) and to.token.encode() in text):
        raise RegistryError(f"{to}: {name} holds an access token: nothing was published; remove and revoke it")


def _state(to: Destination) -> RemoteRepo:
    """Return the branch as it is: its head and files."""
    found = ask_about(to.repo_id, to.revision or "main", to.token)
    if to.private and not found.private:
        advice = "make it private in its settings first, or push without private"
        raise RegistryError(f"{to}: the repository exists and is public: {advice}; nothing was published")
    return found


def _state_or_new(api: "HfApi", to: Destination) -> RemoteRepo:
    """Return the branch as it is; the repository and the branch are made where they do not exist."""
    try:
        return _state(to)
    except HubRevisionMissing:
        _make_branch(api, to)
    except HubMissing:
        call_hub(
            lambda: api.create_repo(to.repo_id, private=to.private, exist_ok=True), f"{to}: making it", token=to.token
        )
        if to.revision not in (None, "main"):
            _make_branch(api, to)
    return _state(to)


def _make_branch(api: "HfApi", to: Destination) -> None:
    assert to.revision is not None
    branch = to.revision
    call_hub(lambda: api.create_branch(to.repo_id, branch=branch, exist_ok=True), str(to), token=to.token)


def _is_edited(to: Destination, state: RemoteRepo) -> bool:
    """Tell whether the repository has a README.md that somebody edited there."""
    there = state.files.get(CARD)
    if there is None or there.size > MAX_CARD_BYTES:
        return there is not None
    hub = HubFolder(state.repo_id, state.commit, HubOptions(token=to.token), state.files)
    return not is_stamped(hub.path(CARD).read_bytes())


def _changes(contents: Mapping[str, Path | bytes], state: RemoteRepo, keep_card: bool) -> list[Any]:
    """Return the operations that make the branch hold `contents`, and no other files of a ticket."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    wanted = {name: content for name, content in sorted(contents.items()) if not (keep_card and name == CARD)}
    changed = [name for name, content in wanted.items() if not _is_there(content, state.files.get(name))]
    gone = sorted(name for name in state.files if is_ticket_file(name) and name not in contents)
    return [
        *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=contents[name]) for name in changed),
        *(CommitOperationDelete(path_in_repo=name) for name in gone),
    ]


def _is_there(content: Path | bytes, remote: RemoteFile | None) -> bool:
    if remote is None:
        return False
    if remote.sha256 is None:
        return git_id(_content(content)) == remote.blob_id
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest() == remote.sha256
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == remote.sha256


def _commit(api: "HfApi", to: Destination, state: RemoteRepo, changes: Sequence[Any], kept: bool) -> Published:
    files = [change for change in changes if hasattr(change, "upload_info")]
    large = [file for file in files if _is_large(file, state.files.get(file.path_in_repo))]

    def send() -> Any:
        for file in large:  # one by one: several at once go out in threads of the client, which know no call of ours
            api.preupload_lfs_files(to.repo_id, [file], revision=to.revision, create_pr=to.create_pr, free_memory=False)
        return api.create_commit(
            to.repo_id,
            list(changes),
            commit_message=to.message or "Publish ticket",
            revision=to.revision,
            create_pr=to.create_pr,
            parent_commit=state.commit,
        )

    sent = sum(file.upload_info.size for file in files)
    made = call_hub(send, str(to), token=to.token, repeat=False, sent=sent)
    return Published(for_terminal(made.pr_url or made.commit_url), for_terminal(made.oid), True, kept)


def _is_large(file: Any, there: RemoteFile | None) -> bool:
    """Tell whether the Hub will want a file beforehand; the others are sent in the commit."""
    binary = file.path_in_repo.endswith((".safetensors", ".png"))
    return binary or file.upload_info.size >= _LARGE or (there is not None and there.sha256 is not None)


def _commit_url(api: "HfApi", to: Destination, commit: str) -> str:
    return f"{api.endpoint}/{to.repo_id}/commit/{commit}"
