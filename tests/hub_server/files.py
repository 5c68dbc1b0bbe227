"""Bytes: the Hub's `resolve`, and the file host behind it that stores and serves LFS objects under signed addresses.

The file host listens on a port of its own, because the client treats a redirect to the Hub's own origin differently.
Small files are served by `resolve` itself; the Hub answers those with one more redirect, within its own origin.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from urllib.parse import quote

from .access import Call
from .messages import Refusal, Reply, Request, Router, bad_request, entry_not_found
from .store import Store

router = Router()
host = Router()
VALID_FOR = 3600  # seconds
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def _signature(store: Store, method: str, raw_path: str, expires: str) -> str:
    return hmac.new(store.nonce.encode(), f"{method} {raw_path} {expires}".encode(), "sha256").hexdigest()


def signed(call: Call, method: str, raw_path: str) -> str:
    """An address on the file host that lets whoever has it do this one thing for a while."""
    expires = str(int(time.time()) + VALID_FOR)
    signature = _signature(call.store, method, raw_path, expires)
    return f"{call.files_url}{raw_path}?Expires={expires}&Signature={signature}"


def _require_signature(call: Call) -> None:
    request = call.request
    if "Authorization" in request.headers:
        raise bad_request("Only one auth mechanism allowed: a signed address must not come with a token")
    method = "GET" if request.method == "HEAD" else request.method
    expires, given = request.one("Expires") or "0", request.one("Signature") or ""
    wanted = _signature(call.store, method, request.raw_path, expires)
    if not hmac.compare_digest(wanted, given) or int(expires) < time.time():
        raise Refusal(403, "Access denied: the signature does not match or has expired")


@router("GET HEAD", "/{prefix}{repo}/resolve/{rev}/{path}")
def resolve(call: Call, prefix: str, repo: str, rev: str, path: str) -> Reply:
    found = call.readable_repo(prefix, repo)
    commit = found.find(rev)
    file = commit.files.get(path)
    if file is None:
        raise entry_not_found(commit=commit.oid)
    headers = {
        "X-Repo-Commit": commit.oid,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(path.rpartition('/')[2])}",
    }
    if not file.lfs:
        headers |= {"ETag": f'"{file.etag}"', "Content-Type": "text/plain; charset=utf-8"}
        return ranged(call.request, file.content, headers)
    name = quote(path.rpartition("/")[2])
    location = signed(call, "GET", f"/files/{found.kind}s/{found.id}/{file.sha256}/{name}")
    headers |= {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.etag}"', "Location": location}
    return Reply.text(f"Found. Redirecting to {location}", 302, headers)


def ranged(request: Request, content: bytes, headers: Mapping[str, str]) -> Reply:
    """The part of the content the request asks for."""
    header = request.headers.get("Range")
    if header is None:
        return Reply(200, content, dict(headers))
    match, size = RANGE.fullmatch(header.strip()), len(content)
    if match is None or match.groups() == ("", ""):
        raise bad_request(f"Invalid range: {header}")
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise Refusal(416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return Reply(206, content[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"})


@host("GET HEAD", "/files/{kind}/{repo}/{oid}/{path}")
def download(call: Call, kind: str, repo: str, oid: str, path: str) -> Reply:
    _require_signature(call)
    found = call.store.get(kind.removesuffix("s"), repo)
    if found is None or oid not in found.uploads:
        raise Refusal(404, "NoSuchKey")
    headers = {"ETag": f'"{oid[:32]}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    return ranged(call.request, found.uploads[oid], headers)


@host("PUT", "/upload/{kind}/{repo}/{oid}/{number}")
def upload(call: Call, kind: str, repo: str, oid: str, number: str) -> Reply:
    _require_signature(call)
    if "chunked" in call.request.headers.get("Transfer-Encoding", ""):
        raise Refusal(501, "NotImplemented: Transfer-Encoding")
    found, content = call.store.get(kind.removesuffix("s"), repo), call.request.body
    if found is None:
        raise Refusal(404, "NoSuchBucket")
    if len(content) != int(number) or hashlib.sha256(content).hexdigest() != oid:
        raise Refusal(400, "BadDigest: the bytes received are not those announced")
    found.uploads[oid] = content
    return Reply(200, b"", {"ETag": f'"{hashlib.md5(content).hexdigest()}"'})
