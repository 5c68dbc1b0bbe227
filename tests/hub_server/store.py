"""What the server holds: users, repositories and their git history, all in memory.

Object ids are real git ids, so an ETag, a `blob_id` or an LFS pointer is what the Hub would give for the same bytes.
Commit ids differ from run to run, so that a client's cache cannot hide a download that should have happened.
"""

import datetime
import fnmatch
import hashlib
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from .messages import revision_not_found

_LFS_SUFFIXES = (
    "7z arrow bin bz2 ckpt ftz gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar "
    "safetensors tar tflite tgz wasm xz zip zst"
)
LFS_PATTERNS = [f"*.{suffix}" for suffix in _LFS_SUFFIXES.split()] + ["saved_model/**/*", "*.tar.*", "*tfevents*"]
GIT_ATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS).encode()
LARGE = 10 * 2**20  # bytes from which a file must be LFS


def moment(date: datetime.datetime) -> str:
    """A time as the Hub's JSON has it."""
    return date.strftime("%Y-%m-%dT%H:%M:%S.") + f"{date.microsecond // 1000:03d}Z"


def git_id(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


class File:
    """A file's bytes, and the ids git and the Hub know them by."""

    def __init__(self, content: bytes, lfs: bool = False) -> None:
        self.content, self.lfs, self.size = content, lfs, len(content)
        self.sha256 = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n"
        self.pointer_size = len(pointer)
        self.blob_id = git_id("blob", pointer.encode() if lfs else content)

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: "Commit | None"
    files: Mapping[str, File]
    title: str
    description: str
    author: str
    date: datetime.datetime

    def history(self) -> "list[Commit]":
        """This commit and those before it, newest first."""
        commits = [self]
        while commits[-1].parent:
            commits.append(commits[-1].parent)
        return commits

    def last_change(self, path: str) -> "Commit":
        """The commit that gave the file or folder at `path` its present content."""
        commit = self
        while commit.parent and _ids(commit.files, path) == _ids(commit.parent.files, path):
            commit = commit.parent
        return commit


def _ids(files: Mapping[str, File], path: str) -> dict[str, str]:
    return {name: file.blob_id for name, file in files.items() if name == path or name.startswith(path + "/")}


def tree_ids(files: Mapping[str, File]) -> dict[str, str]:
    """The git tree id of every folder, by path; the root's is under ""."""
    folders: dict[str, dict[str, tuple[str, str]]] = {"": {}}
    for path, file in files.items():
        *parents, name = path.split("/")
        for depth in range(1, len(parents) + 1):
            folders.setdefault("/".join(parents[:depth]), {})
        folders["/".join(parents)][name] = ("100644", file.blob_id)
    ids: dict[str, str] = {}
    for folder in sorted(folders, key=lambda path: -path.count("/") if path else 1):
        entries = sorted(folders[folder].items(), key=lambda e: e[0] + "/" * (e[1][0] == "40000"))
        ids[folder] = git_id("tree", b"".join(f"{m} {n}\0".encode() + bytes.fromhex(i) for n, (m, i) in entries))
        if folder:
            parent, _, name = folder.rpartition("/")
            folders[parent][name] = ("40000", ids[folder])
    return ids


def lfs_by_attributes(attributes: bytes, path: str) -> bool:
    """Tell whether `.gitattributes` sends the path to LFS; the last matching line decides."""
    lfs = False
    for line in attributes.decode().splitlines():
        pattern, *settings = line.split() or [""]
        target = path if "/" in pattern else path.rpartition("/")[2]
        if pattern and not pattern.startswith("#") and fnmatch.fnmatchcase(target, pattern.replace("**/", "*")):
            lfs = "filter=lfs" in settings
    return lfs


def is_binary(sample: bytes) -> bool:
    """Tell whether a file's first bytes (512 of them at most) are anything but text."""
    try:
        sample[:512].decode()
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data" or b"\0" in sample[:512]
    return b"\0" in sample[:512]


@dataclass
class Discussion:
    number: int
    title: str
    author: str
    created: datetime.datetime
    is_pull_request: bool
    status: str  # open, draft, closed, merged
    description: str = ""
    base: str = "refs/heads/main"
    start: Commit | None = None  # what the pull request started from
    merged: str | None = None


@dataclass
class Repo:
    kind: str  # model or dataset
    id: str
    private: bool
    created: datetime.datetime
    store: "Store"
    gated: str | bool = False  # False, "auto" or "manual"
    granted: set[str] = field(default_factory=set)
    refs: dict[str, Commit] = field(default_factory=dict)  # refs/heads/main, refs/tags/v1, refs/pr/1
    discussions: dict[int, Discussion] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)  # LFS objects, by sha256
    downloads: int = 0
    likes: int = 0

    @property
    def namespace(self) -> str:
        return self.id.partition("/")[0]

    @property
    def url_path(self) -> str:
        return self.id if self.kind == "model" else f"{self.kind}s/{self.id}"

    def writable_ref(self, revision: str) -> str:
        """The full name of the branch or pull request called `revision`; a tag or a commit cannot be written to."""
        for ref in (f"refs/heads/{revision}", revision):
            if ref in self.refs and not ref.startswith("refs/tags/"):
                return ref
        raise revision_not_found(revision)

    def find(self, revision: str = "main") -> Commit:
        """The commit a branch, tag, pull request or (shortened) commit id stands for."""
        for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if ref in self.refs:
                return self.refs[ref]
        if re.fullmatch("[0-9a-f]{7,40}", revision):
            for head in self.refs.values():
                for commit in head.history():
                    if commit.oid.startswith(revision):
                        return commit
        raise revision_not_found(revision)

    def commits(self, revision: str = "main") -> list[Commit]:
        return self.find(revision).history()

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return {path: file.content for path, file in self.find(revision).files.items()}

    def commit(
        self,
        ref: str,
        files: Mapping[str, File],
        title: str,
        description: str = "",
        author: str = "system",
        parent: Commit | None = None,
    ) -> Commit:
        """Add a commit with these files on top of the ref (or of `parent`) and move the ref to it."""
        parent = parent or self.refs.get(ref)
        date = self.store.now()
        lines = [f"tree {tree_ids(files)['']}", f"parent {parent.oid if parent else ''}", f"author {author} {date}"]
        oid = git_id("commit", "\n".join([*lines, self.store.nonce, title, description]).encode())
        self.refs[ref] = Commit(oid, parent, dict(sorted(files.items())), title, description, author, date)
        return self.refs[ref]

    def write(
        self,
        changes: Mapping[str, bytes | None],
        message: str = "Edited on the Hub",
        branch: str = "main",
        author: str = "someone",
    ) -> Commit:
        """Commit as somebody else would, without the client: bytes replace a file, None deletes it."""
        with self.store.lock:
            head = self.find(branch)
            files = {path: file for path, file in head.files.items() if path not in changes}
            attributes = head.files[".gitattributes"].content
            for path, content in changes.items():
                if content is not None:
                    lfs = bool(content) and (lfs_by_attributes(attributes, path) or is_binary(content))
                    files[path] = File(content, lfs)
                    if lfs:
                        self.uploads[files[path].sha256] = content
            return self.commit(self.writable_ref(branch), files, message, author=author)


@dataclass(frozen=True)
class Caller:
    """The sender of a request: `name` is None without a token."""

    name: str | None = None
    role: str = ""  # read or write


class Store:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.nonce = secrets.token_hex(8)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.organisations: dict[str, set[str]] = {}  # name: members
        self.tokens: dict[str, Caller] = {}
        self.renamed: dict[tuple[str, str], str] = {}  # kind and old id: the present id
        self._last = datetime.datetime.fromtimestamp(0, datetime.UTC)

    def now(self) -> datetime.datetime:
        """The time, to the millisecond as the Hub gives it, never the same twice."""
        now = datetime.datetime.now(datetime.UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last = max(now, self._last + datetime.timedelta(milliseconds=1))
        return self._last

    def token(self, user: str, role: str = "write") -> str:
        """The user's token of that role, the same one each time; the user comes into being with the first."""
        for token, caller in self.tokens.items():
            if caller == Caller(user, role):
                return token
        token = "hf_" + secrets.token_hex(17)
        self.tokens[token] = Caller(user, role)
        return token

    def owns(self, name: str | None, namespace: str) -> bool:
        return name is not None and (name == namespace or name in self.organisations.get(namespace, ()))

    def create(self, repo_id: str, kind: str = "model", private: bool = False) -> Repo:
        repo = Repo(kind, repo_id, private, self.now(), self)
        repo.commit("refs/heads/main", {".gitattributes": File(GIT_ATTRIBUTES)}, "initial commit")
        self.repos[kind, repo_id.lower()] = repo
        return repo

    def rename(self, old: str, new: str, kind: str = "model") -> Repo:
        """Give a repository another id; requests for the old one are then answered with a redirect."""
        repo = self.repos.pop((kind, old.lower()))
        repo.id = new
        self.repos[kind, new.lower()] = repo
        self.renamed[kind, old.lower()] = new
        return repo

    def get(self, kind: str, repo_id: str) -> Repo | None:
        return self.repos.get((kind, repo_id.lower()))
