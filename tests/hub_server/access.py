"""Who may do what: the checks every handler starts with."""

from dataclasses import dataclass
from urllib.parse import urlencode

from .messages import Refusal, Request, bad_request, repo_not_found
from .store import Caller, Repo, Store

KINDS = {"models": "model", "datasets": "dataset", "datasets/": "dataset", "": "model"}  # as they come in paths


@dataclass
class Call:
    """One request being answered."""

    request: Request
    store: Store
    caller: Caller
    endpoint: str
    files_url: str
    page_size: int
    tree_page_size: int

    def repo(self, kind: str, repo_id: str) -> Repo:
        """The repository, if it exists and the caller may know that it does."""
        kind = KINDS.get(kind, kind)
        if now := self.store.renamed.get((kind, repo_id.lower())):
            path = self.request.raw_path.replace(repo_id, now, 1)
            query = urlencode(self.request.query, doseq=True)
            raise Refusal(307, f"Moved to {now}", headers={"Location": f"{self.endpoint}{path}?{query}"})
        repo = self.store.get(kind, repo_id)
        if repo is None or (repo.private and not self.store.owns(self.caller.name, repo.namespace)):
            raise repo_not_found() if self.caller.name else self.unauthenticated(hides_a_repo=True)
        return repo

    def readable_repo(self, kind: str, repo_id: str) -> Repo:
        """The repository, if the caller may read its files; a gated one's metadata is public, its files are not."""
        repo = self.repo(kind, repo_id)
        if not repo.gated or self.store.owns(self.caller.name, repo.namespace) or self.caller.name in repo.granted:
            return repo
        told = f"Access to {repo.kind} {repo.id} is restricted"
        if self.caller.name is None:
            advice = "You must have access to it and be authenticated to access it. Please log in."
            raise Refusal(401, f"{told}. {advice}", "GatedRepo")
        advice = f"Visit {self.endpoint}/{repo.url_path} to ask for access."
        raise Refusal(403, f"{told} and you are not in the authorized list. {advice}", "GatedRepo")

    def writable_repo(self, kind: str, repo_id: str, by_pull_request: bool = False) -> Repo:
        """The repository, if the caller may commit to it, or propose changes to it."""
        repo = self.readable_repo(kind, repo_id)
        self.require_login()
        if self.caller.role != "write":
            raise Refusal(403, "Forbidden: you must use a write token to upload to a repository.")
        if not by_pull_request and not self.store.owns(self.caller.name, repo.namespace):
            raise Refusal(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request.")
        return repo

    def require_login(self) -> str:
        if self.caller.name is None:
            raise self.unauthenticated()
        return self.caller.name

    def unauthenticated(self, hides_a_repo: bool = False) -> Refusal:
        """A 401. The Hub gives no error code with it: the client tells a hidden repository by the `https://` address,
        which a local server does not have, so here the code stands in for it."""
        headers = {"WWW-Authenticate": 'Bearer realm="Authentication required", charset="UTF-8"'}
        return Refusal(401, "Invalid username or password.", "RepoNotFound" if hides_a_repo else None, headers)


def identify(store: Store, request: Request) -> Caller:
    """Return who the token belongs to. A token that is nobody's is refused even where none is needed, as on the Hub."""
    header = request.headers.get("Authorization")
    if header is None:
        return Caller()
    scheme, _, token = header.partition(" ")
    caller = store.tokens.get(token)
    if scheme != "Bearer" or caller is None:
        raise Refusal(401, "Invalid credentials in Authorization header")
    return caller


def checked_path(path: object) -> str:
    """A path in a repository: relative, with no segment that leads elsewhere on any system."""
    if not isinstance(path, str):
        raise bad_request('"path" must be a string')
    parts = path.split("/")
    if any(part in ("", ".", "..", ".git") for part in parts) or any(c == "\\" or ord(c) < 32 for c in path):
        raise Refusal(422, f"Invalid path: {path!r}")
    return path
