"""Accounts and repositories: who am I, create, delete, settings, branches, tags."""

import re

from .access import Call
from .messages import Refusal, Reply, Router, bad_request, revision_not_found
from .store import Repo

router = Router()
NAME = re.compile(r"[A-Za-z0-9_](?!.*(--|\.\.))[\w.-]{0,94}[\w]|[A-Za-z0-9_]", re.ASCII)

REF = re.compile(r"(?!refs/|-)(?!.*(\.\.|//|@\{))[^\s~^:?*\[\\\x00-\x1f]+(?<![/.])")


@router("GET", "/api/whoami-v2")
def whoami(call: Call) -> Reply:
    name = call.require_login()
    orgs = [{"type": "org", "name": org} for org, members in call.store.organisations.items() if name in members]
    token = {"displayName": "test", "role": call.caller.role}
    auth = {"type": "access_token", "accessToken": token}
    return Reply.json({"type": "user", "name": name, "fullname": name.title(), "orgs": orgs, "auth": auth})


@router("GET", "/api/agent-harnesses")
def agent_harnesses(call: Call) -> Reply:
    """Answer what the `hf` command asks first, to name the program it runs under: none is known here."""
    return Reply.json({"standardEnvVars": [], "harnesses": {}})


def _named(call: Call) -> tuple[str, str]:
    """The kind and id of the repository named in the body; without a namespace it is in the caller's own."""
    body, user = call.request.json(), call.require_login()
    kind, name, namespace = body.get("type") or "model", body.get("name"), body.get("organization") or user
    if kind not in ("model", "dataset"):
        raise bad_request('"type" must be one of [model, dataset]')
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.endswith((".git", ".ipynb")):
        raise bad_request(f"Invalid repository name: {name!r}")
    return kind, f"{namespace}/{name}"


def _require_namespace(call: Call, repo_id: str, right: str) -> None:
    namespace = repo_id.partition("/")[0]
    if call.caller.role != "write" or not call.store.owns(call.caller.name, namespace):
        raise Refusal(403, f'You don\'t have the rights to {right} under the namespace "{namespace}"')


def _created(call: Call, repo: Repo) -> dict[str, str]:
    return {"url": f"{call.endpoint}/{repo.url_path}", "name": repo.id, "id": repo.id}


@router("POST", "/api/repos/create")
def create(call: Call) -> Reply:
    kind, repo_id = _named(call)
    _require_namespace(call, repo_id, f"create a {kind}")
    body = call.request.json()
    visibility = body.get("visibility", "private" if body.get("private") else "public")
    if visibility not in ("public", "private"):
        raise bad_request('"visibility" must be one of [public, private]')
    existing = call.store.get(kind, repo_id)
    if existing:
        message = f"You already created this {kind} repo: {existing.id}"
        raise Refusal(409, message, body={"error": message, **_created(call, existing)})
    return Reply.json(_created(call, call.store.create(repo_id, kind, visibility == "private")))


@router("DELETE", "/api/repos/delete")
def delete(call: Call) -> Reply:
    kind, repo_id = _named(call)
    found = call.repo(kind, repo_id)
    _require_namespace(call, repo_id, f"delete a {kind}")
    del call.store.repos[kind, found.id.lower()]
    return Reply.json({})


@router("PUT", "/api/{kind}/{repo}/settings")
def settings(call: Call, kind: str, repo: str) -> Reply:
    found, body = call.writable_repo(kind, repo), call.request.json()
    if body.get("gated", False) not in (False, "auto", "manual"):
        raise bad_request('"gated" must be one of [auto, manual, false]')
    if body.get("visibility", "public") not in ("public", "private"):
        raise bad_request('"visibility" must be one of [public, private]')
    found.gated = body.get("gated", found.gated)
    found.private = body.get("visibility", "private" if found.private else "public") == "private"
    return Reply.json({"gated": found.gated, "private": found.private})


@router("GET", "/api/{kind}/{repo}/auth-check")
def auth_check(call: Call, kind: str, repo: str) -> Reply:
    call.readable_repo(kind, repo)
    return Reply.json({})


@router("GET", "/api/{kind}/{repo}/auth-check/write")
def auth_check_write(call: Call, kind: str, repo: str) -> Reply:
    call.writable_repo(kind, repo)
    return Reply.json({})


def _valid_ref(name: object) -> str:
    """A name that git takes for a branch or tag, and that is no reference of another sort."""
    if not isinstance(name, str) or not REF.fullmatch(name):
        raise bad_request(f"Invalid reference for a branch or tag: {name}")
    return name


@router("POST", "/api/{kind}/{repo}/branch/{ref}")
def create_branch(call: Call, kind: str, repo: str, ref: str) -> Reply:
    found, body = call.writable_repo(kind, repo), call.request.json()
    name = f"refs/heads/{_valid_ref(ref)}"
    if name in found.refs:
        raise Refusal(409, f"Reference {name} already exists")
    found.refs[name] = found.find(body.get("startingPoint", "main"))
    return Reply.json({})


@router("DELETE", "/api/{kind}/{repo}/branch/{ref}")
def delete_branch(call: Call, kind: str, repo: str, ref: str) -> Reply:
    found = call.writable_repo(kind, repo)
    if ref == "main":
        raise Refusal(403, "Cannot delete refs/heads/main")
    if found.refs.pop(f"refs/heads/{ref}", None) is None:
        raise revision_not_found(ref)
    return Reply.json({})


@router("POST", "/api/{kind}/{repo}/tag/{rev}")
def create_tag(call: Call, kind: str, repo: str, rev: str) -> Reply:
    found, body = call.writable_repo(kind, repo), call.request.json()
    commit = found.find(rev)
    name = f"refs/tags/{_valid_ref(body.get('tag'))}"
    if name in found.refs:
        raise Refusal(409, f"Tag reference exists already: {name}")
    found.refs[name] = commit
    return Reply.json({})


@router("DELETE", "/api/{kind}/{repo}/tag/{ref}")
def delete_tag(call: Call, kind: str, repo: str, ref: str) -> Reply:
    found = call.writable_repo(kind, repo)
    if found.refs.pop(f"refs/tags/{ref}", None) is None:
        raise revision_not_found(ref)
    return Reply.json({})
