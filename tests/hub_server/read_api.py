"""Looking: one repository, its files and history, and the list of all."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

from .access import Call
from .card import metadata_of, tags_of
from .messages import Refusal, Reply, Router, bad_request, entry_not_found, repo_not_found
from .store import Commit, Repo, moment, tree_ids

router = Router()

_EXPANDABLE = (
    "author baseModels cardData childrenModelCount config createdAt disabled downloads downloadsAllTime evalResults "
    "gated gguf inference inferenceProviderMapping lastModified library_name likes mask_token model-index pipeline_tag "
    "private resourceGroup safetensors sha siblings spaces tags transformersInfo trendingScore usedStorage widgetData"
)
EXPANDABLE = _EXPANDABLE.split()  # what `expand` may name; what this server knows nothing of is left out
_LISTED = "id modelId private createdAt downloads likes trendingScore tags pipeline_tag library_name"
LISTED = _LISTED.split()
LISTED_IN_FULL = [*LISTED, "author", "gated", "lastModified", "sha", "siblings"]
SORTS = ("createdAt", "downloads", "lastModified", "likes", "trendingScore")
LIST_PARAMETERS = {
    "filter", "author", "search", "sort", "direction", "limit", "full", "cardData", "config", "expand", "pipeline_tag",
    "gated", "cursor",
}  # fmt: skip


def describe(repo: Repo, commit: Commit, blobs: bool = False) -> dict[str, Any]:
    """Everything the server tells about a repository at a commit."""
    readme = commit.files["README.md"].content.decode(errors="replace") if "README.md" in commit.files else ""
    metadata = metadata_of(readme)
    about = {
        "_id": commit.history()[-1].oid[:24],
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.namespace,
        "sha": commit.oid,
        "lastModified": moment(commit.date),
        "createdAt": moment(repo.created),
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": repo.downloads,
        "downloadsAllTime": repo.downloads,
        "likes": repo.likes,
        "trendingScore": 0,
        "tags": tags_of(metadata, readme, commit.files),
        "siblings": [_sibling(path, commit, blobs) for path in commit.files],
        "spaces": [],
        "usedStorage": sum(file.size for file in commit.files.values()),
    }
    for name in ("library_name", "pipeline_tag", "model-index"):
        if name in metadata:
            about[name] = metadata[name]
    return about | {"cardData": metadata} if metadata else about


def _sibling(path: str, commit: Commit, blobs: bool) -> dict[str, Any]:
    file = commit.files[path]
    if not blobs:
        return {"rfilename": path}
    lfs = {"lfs": {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}} if file.lfs else {}
    return {"rfilename": path, "blobId": file.blob_id, "size": file.size, **lfs}


def _expansion(call: Call) -> list[str]:
    names = call.request.query.get("expand", [])
    for name in names:
        if name not in EXPANDABLE:
            raise bad_request(f'"expand" must be one of [{", ".join(EXPANDABLE)}]')
    return names


@router("GET", "/api/{kind}/{repo}")
@router("GET", "/api/{kind}/{repo}/revision/{rev}")
def info(call: Call, kind: str, repo: str, rev: str = "main") -> Reply:
    found = call.repo(kind, repo)
    about = describe(found, found.find(rev), call.request.flag("blobs"))
    expand = _expansion(call)
    return Reply.json({k: v for k, v in about.items() if not expand or k in ("_id", "id", *expand)})


@router("GET", "/api/{kind}/{name}")
@router("GET", "/api/{kind}/{name}/revision/{rev}")
@router("GET HEAD", "/{name}/resolve/{rev}/{path}")
def without_namespace(call: Call, **_: str) -> Reply:
    """Ids without a namespace name the Hub's oldest repositories; this server has none of them."""
    raise repo_not_found() if call.caller.name else call.unauthenticated(hides_a_repo=True)


@router("GET", "/api/models")
def list_models(call: Call) -> Reply:
    request = call.request
    if unknown := set(request.query) - LIST_PARAMETERS:
        raise NotImplementedError(f"list models by {sorted(unknown)}")
    expand, sort = _expansion(call), request.one("sort") or "trendingScore"
    if sort not in SORTS:
        raise bad_request(f'"sort" must be one of [{", ".join(SORTS)}]')
    repos = [repo for (kind, _), repo in call.store.repos.items() if kind == "model" and _visible(call, repo)]
    rows = [about for repo in repos if _wanted(call, about := describe(repo, repo.find()))]
    rows.sort(key=lambda about: (about[sort], about["lastModified"]), reverse=request.one("direction") != "1")
    full = request.flag("full") or ("filter" in request.query and "full" not in request.query)
    names = ["id", *expand] if expand else LISTED_IN_FULL if full else LISTED
    if request.flag("cardData"):
        names = [*names, "cardData"]
    size = min(request.number("limit", call.page_size), call.page_size)
    return _page(call, rows, size, lambda about: {k: about[k] for k in names if k in about})


def _visible(call: Call, repo: Repo) -> bool:
    return not repo.private or call.store.owns(call.caller.name, repo.namespace)


def _wanted(call: Call, about: dict[str, Any]) -> bool:
    request = call.request
    gated = request.one("gated")
    return (
        all(tag in about["tags"] for tag in request.query.get("filter", []))
        and request.one("author") in (None, about["author"])
        and (request.one("search") or "").lower() in about["id"].lower()
        and request.one("pipeline_tag") in (None, about.get("pipeline_tag"))
        and (gated is None or (gated.lower() in ("true", "1")) == bool(about["gated"]))
    )


def _page(call: Call, rows: list[Any], size: int, row: Callable[[Any], Any]) -> Reply:
    """The rows from the request's cursor on; where more follow, a `Link` to them."""
    cursor = call.request.one("cursor")
    try:
        start = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    except ValueError:
        raise bad_request("Invalid cursor") from None
    headers = {}
    if start + size < len(rows):
        following = base64.urlsafe_b64encode(str(start + size).encode()).decode()
        query = urlencode(call.request.query | {"cursor": [following]}, doseq=True)
        headers["Link"] = f'<{call.endpoint}{call.request.raw_path}?{query}>; rel="next"'
    return Reply.json([row(item) for item in rows[start : start + size]], headers=headers)


def _entry(commit: Commit, path: str, trees: dict[str, str], expand: bool) -> dict[str, Any]:
    if path in commit.files:
        file = commit.files[path]
        entry: dict[str, Any] = {"type": "file", "oid": file.blob_id, "size": file.size, "path": path}
        if file.lfs:
            entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    else:
        entry = {"type": "directory", "oid": trees[path], "size": 0, "path": path}
    if expand:
        change = commit.last_change(path)
        entry["lastCommit"] = {"id": change.oid, "title": change.title, "date": moment(change.date)}
    return entry


@router("GET", "/api/{kind}/{repo}/tree/{rev}")
@router("GET", "/api/{kind}/{repo}/tree/{rev}/{path}")
def tree(call: Call, kind: str, repo: str, rev: str, path: str = "") -> Reply:
    commit = call.repo(kind, repo).find(rev)
    trees = tree_ids(commit.files)
    if path.strip("/") not in trees:
        raise entry_not_found(f"{path} does not exist on {rev}", commit.oid)
    under = f"{path.strip('/')}/" if path.strip("/") else ""
    expand, recursive = call.request.flag("expand"), call.request.flag("recursive")
    paths = [name for name in sorted({*trees, *commit.files} - {""}) if name.startswith(under)]
    shown = [name for name in paths if recursive or "/" not in name[len(under) :]]
    most = 50 if expand else 1000
    size = call.request.number("limit", min(most, call.tree_page_size))
    if size > most:
        raise bad_request("Invalid limit for index tree pagination")
    return _page(call, shown, size, lambda name: _entry(commit, name, trees, expand))


@router("POST", "/api/{kind}/{repo}/paths-info/{rev}")
def paths_info(call: Call, kind: str, repo: str, rev: str) -> Reply:
    commit = call.repo(kind, repo).find(rev)
    call.request.require_type("application/x-www-form-urlencoded")
    form = parse_qs(call.request.body.decode())
    if len(form.get("paths", [])) > 1000:
        raise Refusal(413, "too many parameters")
    trees, expand = tree_ids(commit.files), form.get("expand") in (["true"], ["True"])
    paths = [path.rstrip("/") for path in form.get("paths", [])]
    there = [path for path in paths if path in commit.files or path in trees]
    return Reply.json([_entry(commit, path, trees, expand) for path in there])


@router("GET", "/api/{kind}/{repo}/refs")
def refs(call: Call, kind: str, repo: str) -> Reply:
    found = call.repo(kind, repo)

    def under(prefix: str) -> list[dict[str, str]]:
        heads = [(ref, commit) for ref, commit in found.refs.items() if ref.startswith(prefix)]
        return [{"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit.oid} for ref, commit in heads]

    answer = {"branches": under("refs/heads/"), "tags": under("refs/tags/"), "converts": []}
    return Reply.json(answer | ({"pullRequests": under("refs/pr/")} if call.request.flag("include_prs") else {}))


@router("GET", "/api/{kind}/{repo}/commits/{rev}")
def commits(call: Call, kind: str, repo: str, rev: str) -> Reply:
    def row(commit: Commit) -> dict[str, Any]:
        about = {"id": commit.oid, "title": commit.title, "message": commit.description, "date": moment(commit.date)}
        return {**about, "authors": [{"user": commit.author}]}

    return _page(call, call.repo(kind, repo).commits(rev), call.page_size, row)
