"""Pushing: how each file is to be sent, the bytes of the large ones, the commit that takes them all."""

import base64
import binascii
import fnmatch
import json
import re
from dataclasses import dataclass
from typing import Any

from .access import Call, checked_path
from .card import validate
from .files import signed
from .messages import Refusal, Reply, Router, bad_request, entry_not_found
from .pull_api import open_discussion
from .store import LARGE, Commit, File, Repo, is_binary, lfs_by_attributes

router = Router()
LFS_JSON = "application/vnd.git-lfs+json"
CARD_HELP = "https://huggingface.co/docs/hub/model-cards#model-card-metadata"
OPERATIONS = ("file", "lfsFile", "deletedFile", "deletedFolder")


@router("POST", "/api/validate-yaml")
def validate_yaml(call: Call) -> Reply:
    body = call.request.json()
    if not isinstance(body.get("content"), str) or body.get("repoType") not in ("model", "dataset", "space"):
        raise bad_request('"content" and "repoType" are required')
    errors, warnings = validate(body["content"])
    report = {
        "errors": [{"message": message} for message in errors],
        "warnings": [{"message": message, "docUrl": CARD_HELP} for message in warnings],
    }
    return Reply.json(report, 400 if errors else 200)


@router("POST", "/api/{kind}/{repo}/preupload/{rev}")
def preupload(call: Call, kind: str, repo: str, rev: str) -> Reply:
    found = call.writable_repo(kind, repo, by_pull_request=call.request.flag("create_pr"))
    head, body = found.refs[found.writable_ref(rev)], call.request.json()
    files = body.get("files")
    if not isinstance(files, list) or len(files) > 256:
        raise bad_request('"files" must be an array of at most 256 items')
    ignored = body["gitIgnore"].encode() if "gitIgnore" in body else _content(head, ".gitignore")
    attributes = next((base64.b64decode(f["sample"]) for f in files if f.get("path") == ".gitattributes"), b"")
    attributes = _content(head, ".gitattributes") + b"\n" + attributes
    answers = [_upload_mode(file, head, attributes, ignored) for file in files]
    return Reply.json({"commitOid": head.oid, "files": answers})


def _content(head: Commit, path: str) -> bytes:
    return head.files[path].content if path in head.files else b""


def _upload_mode(file: dict[str, Any], head: Commit, attributes: bytes, ignored: bytes) -> dict[str, Any]:
    path, size, sample = checked_path(file.get("path")), file.get("size"), file.get("sample")
    if not isinstance(size, int) or not isinstance(sample, str):
        raise bad_request('"size" must be a number and "sample" a string')
    binary = is_binary(base64.b64decode(sample))
    lfs = size > 0 and (lfs_by_attributes(attributes, path) or binary or size >= LARGE)
    answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": _is_ignored(path, ignored)}
    return answer | ({"oid": head.files[path].etag} if path in head.files else {})


def _is_ignored(path: str, gitignore: bytes) -> bool:
    patterns = [line.strip() for line in gitignore.decode().splitlines() if line.strip() and line[0] != "#"]
    if any(pattern.startswith("!") for pattern in patterns):
        raise NotImplementedError("a .gitignore with exceptions")
    targets = [path, path.rpartition("/")[2], *(path[: m.start()] for m in re.finditer("/", path))]
    return any(fnmatch.fnmatchcase(target, pattern.strip("/")) for target in targets for pattern in patterns)


@router("POST", "/{prefix}{repo}.git/info/lfs/objects/batch")
def lfs_batch(call: Call, prefix: str, repo: str) -> Reply:
    body = call.request.json(LFS_JSON)
    proposed = "ref" not in body  # uploads for a pull request name no branch
    found = call.writable_repo(prefix, repo, by_pull_request=proposed)
    if not proposed:
        found.writable_ref(body["ref"]["name"])
    if body.get("operation") != "upload" or "basic" not in body.get("transfers", ["basic"]):
        raise Refusal(422, "Only uploads by the basic transfer are supported")
    if body.get("hash_algo", "sha256") != "sha256":
        raise Refusal(409, "Unsupported hash algorithm")
    return Reply.json(
        {"transfer": "basic", "objects": [_upload_actions(call, found, item) for item in body["objects"]]},
        headers={"Content-Type": LFS_JSON},
    )


def _upload_actions(call: Call, repo: Repo, item: dict[str, Any]) -> dict[str, Any]:
    oid, size = item.get("oid"), item.get("size")
    if not isinstance(oid, str) or not re.fullmatch("[0-9a-f]{64}", oid) or not isinstance(size, int) or size <= 0:
        return {"oid": str(oid), "size": 0, "error": {"code": 422, "message": "Invalid oid or size"}}
    if oid in repo.uploads:
        return {"oid": oid, "size": size}  # already here: no actions
    upload = signed(call, "PUT", f"/upload/{repo.kind}s/{repo.id}/{oid}/{size}")
    verify = {"href": f"{call.endpoint}/{repo.url_path}.git/info/lfs/objects/verify"}
    return {"oid": oid, "size": size, "authenticated": True, "actions": {"upload": {"href": upload}, "verify": verify}}


@router("POST", "/{prefix}{repo}.git/info/lfs/objects/verify")
def lfs_verify(call: Call, prefix: str, repo: str) -> Reply:
    found, body = call.writable_repo(prefix, repo, by_pull_request=True), call.request.json()
    content = found.uploads.get(body.get("oid", ""))
    if content is None:
        raise Refusal(404, "Object not found")
    if len(content) != body.get("size"):
        raise Refusal(422, "Size mismatch")
    return Reply.json({"message": "ok"})


@dataclass
class Operation:
    key: str
    path: str
    value: dict[str, Any]


def _parse(call: Call) -> tuple[dict[str, Any], list[Operation]]:
    call.request.require_type("application/x-ndjson")
    try:
        lines = [json.loads(line) for line in call.request.body.splitlines() if line.strip()]
        keys, values = [line["key"] for line in lines], [dict(line["value"]) for line in lines]
    except (ValueError, TypeError, KeyError):
        raise bad_request("Invalid NDJSON: each line must be an object with a key and a value") from None
    if keys[:1] != ["header"] or not values[0].get("summary"):
        raise bad_request("The first line must be a header with a summary")
    if len(keys) == 1:
        raise bad_request("Add a line with the key `lfsFile`, `file`, `deletedFile` or `deletedFolder`")
    if unknown := [key for key in keys[1:] if key not in OPERATIONS]:
        raise bad_request(f'"key" must be one of [{", ".join(OPERATIONS)}], got {unknown[0]}')
    return values[0], [_operation(key, value) for key, value in zip(keys[1:], values[1:], strict=True)]


def _operation(key: str, value: dict[str, Any]) -> Operation:
    path = value.get("path")
    if key == "deletedFolder" and isinstance(path, str):
        path = path.rstrip("/")
    return Operation(key, checked_path(path), value)


@router("POST", "/api/{kind}/{repo}/commit/{rev}")
def commit(call: Call, kind: str, repo: str, rev: str) -> Reply:
    """Commits even when nothing changes: leaving unchanged files out is the client's business, there as here."""
    proposed = call.request.flag("create_pr")
    found = call.writable_repo(kind, repo, by_pull_request=proposed)
    ref, author = found.writable_ref(rev), call.require_login()
    header, operations = _parse(call)
    parent = _parent(found, ref, header.get("parentCommit"), proposed)
    files = _apply(found, parent, operations)
    if files.get("README.md") is not parent.files.get("README.md") and "README.md" in files:
        _require_valid_card(files["README.md"])
    title, description = header["summary"], header.get("description", "")
    answer: dict[str, Any] = {"success": True, "hookOutput": ""}
    if proposed:
        discussion = open_discussion(found, title, description, author, base=ref, start=parent)
        ref = f"refs/pr/{discussion.number}"
        answer["pullRequestUrl"] = f"{call.endpoint}/{found.url_path}/discussions/{discussion.number}"
    made = found.commit(ref, files, title, description, author)
    answer["commitOid"], answer["commitUrl"] = made.oid, f"{call.endpoint}/{found.url_path}/commit/{made.oid}"
    return Reply.json(answer)


def _parent(repo: Repo, ref: str, wanted: object, proposed: bool) -> Commit:
    head = repo.refs[ref]
    if wanted is None:
        return head
    if not isinstance(wanted, str) or not re.fullmatch("[0-9a-f]{5,40}", wanted):
        raise bad_request('"parentCommit" must be a commit id')
    if head.oid.startswith(wanted):
        return head
    if proposed:
        return repo.find(wanted)
    raise Refusal(412, "The branch was updated since you opened this page. Please refresh and try again.")


def _apply(repo: Repo, parent: Commit, operations: list[Operation]) -> dict[str, File]:
    files = dict(parent.files)
    for operation in operations:
        path = operation.path
        below = [name for name in files if name.startswith(path + "/")]
        if operation.key == "file":
            files[path] = _regular_file(operation, _attributes(files))
        elif operation.key == "lfsFile":
            files[path] = _lfs_file(repo, operation)
        elif below or (path in files and operation.key == "deletedFile"):
            for name in below or [path]:
                del files[name]
        else:
            what = "file" if operation.key == "deletedFile" else "folder"
            raise entry_not_found(f"A {what} with this name doesn't exist: {path}", parent.oid)
    clashes = [path for path in files if any(path.startswith(other + "/") for other in files)]
    if clashes:
        raise bad_request(f"{clashes[0]} is in a folder that is also a file")
    return _track(files)


def _attributes(files: dict[str, File]) -> bytes:
    return files[".gitattributes"].content if ".gitattributes" in files else b""


def _regular_file(operation: Operation, attributes: bytes) -> File:
    text, encoding = operation.value.get("content"), operation.value.get("encoding", "utf-8")
    if not isinstance(text, str) or encoding not in ("base64", "utf-8"):
        raise bad_request('"content" must be a string and "encoding" one of [base64, utf-8]')
    try:
        content = base64.b64decode(text, validate=True) if encoding == "base64" else text.encode()
    except binascii.Error:
        raise bad_request(f"Invalid base64 content: {operation.path}") from None
    if content and (len(content) >= LARGE or is_binary(content) or lfs_by_attributes(attributes, operation.path)):
        raise bad_request(f"Your push was rejected because {operation.path} must be an LFS file")
    return File(content)


def _lfs_file(repo: Repo, operation: Operation) -> File:
    oid, size = operation.value.get("oid"), operation.value.get("size")
    content = repo.uploads.get(str(oid))
    if operation.value.get("algo") != "sha256" or content is None or size not in (None, len(content)):
        raise bad_request(
            "Your push was rejected because an LFS pointer pointed to a file that does not exist. "
            f"Offending file: - {operation.path}"
        )
    return File(content, lfs=True)


def _track(files: dict[str, File]) -> dict[str, File]:
    """Add to .gitattributes the LFS files that no pattern in it covers, as the Hub does."""
    attributes = _attributes(files)
    loose = [path for path, file in files.items() if file.lfs and not lfs_by_attributes(attributes, path)]
    if not loose:
        return files
    if not attributes.endswith(b"\n"):
        attributes += b"\n"
    lines = "".join(f"{path} filter=lfs diff=lfs merge=lfs -text\n" for path in sorted(loose))
    return files | {".gitattributes": File(attributes + lines.encode())}


def _require_valid_card(readme: File) -> None:
    errors = validate(readme.content.decode(errors="replace"))[0]
    if errors:
        body = {"error": errors[0], "errors": [{"message": message} for message in errors]}
        raise Refusal(400, errors[0], body=body)
