"""HTTP as the handlers see it: requests, replies, refusals, and the table of routes."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import unquote

Handler = Callable[..., "Reply"]


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> "Reply":
        body = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})

    @classmethod
    def text(cls, text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> "Reply":
        return cls(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8", **(headers or {})})


class Refusal(Exception):
    """An answer other than success, worded as the Hub words it."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
        self.reply = Reply.json(body or {"error": message}, status, self.headers)


def bad_request(message: str) -> Refusal:
    return Refusal(400, message)


def repo_not_found() -> Refusal:
    return Refusal(404, "Repository not found", "RepoNotFound")


def revision_not_found(revision: str) -> Refusal:
    return Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(message: str = "Entry not found", commit: str | None = None) -> Refusal:
    return Refusal(404, message, "EntryNotFound", {"X-Repo-Commit": commit} if commit else None)


@dataclass
class Request:
    method: str
    raw_path: str  # percent-encoded as it came, without the query
    query: dict[str, list[str]]
    headers: Message  # looked up without regard to case
    body: bytes

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    def one(self, name: str) -> str | None:
        return self.query.get(name, [None])[0]

    def flag(self, name: str) -> bool:
        return (self.one(name) or "").lower() in ("true", "1")

    def number(self, name: str, default: int) -> int:
        value = self.one(name)
        if value is not None and not (value.isdecimal() and int(value) > 0):
            raise bad_request(f'"{name}" must be a positive number')
        return default if value is None else int(value)

    def json(self, content_type: str = "application/json") -> dict[str, Any]:
        """The body, which must be declared as `content_type` and be a JSON object."""
        self.require_type(content_type)
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise bad_request("Invalid JSON") from None
        if not isinstance(value, dict):
            raise bad_request('"value" must be of type object')
        return value

    def require_type(self, content_type: str) -> None:
        given = self.headers.get("Content-Type", "").split(";")[0].strip()
        if given != content_type:
            raise Refusal(415, f"Content-Type must be {content_type}, got {given or 'none'}")


PARTS = {
    "kind": "models|datasets",
    "prefix": "(?:datasets/)?",
    "repo": "[^/]+/[^/]+",
    "name": "[^/]+",
    "rev": "[^/]+",
    "ref": "[^/]+",
    "path": ".+",
    "number": r"\d+",
    "oid": "[0-9a-f]{64}",
}


class Router:
    """Routes of one host, tried in the order they were added. `{name}` stands for `PARTS[name]`."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def __call__(self, methods: str, template: str) -> Callable[[Handler], Handler]:
        pattern = re.compile(re.sub(r"\{(\w+)\}", lambda part: f"(?P<{part[1]}>{PARTS[part[1]]})", template))

        def add(handler: Handler) -> Handler:
            self.routes += [(method, pattern, handler) for method in methods.split()]
            return handler

        return add

    def find(self, method: str, raw_path: str) -> tuple[Handler, dict[str, str]] | None:
        """The handler and its decoded path arguments. The path is split first: `%2F` in it is no separator."""
        for allowed, pattern, handler in self.routes:
            match = pattern.fullmatch(raw_path)
            if allowed == method and match:
                return handler, {name: unquote(value) for name, value in match.groupdict(default="").items()}
        return None
