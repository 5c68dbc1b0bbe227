"""Answers that no Hub gives: names that lead elsewhere, other types than JSON of the Hub has. Each is one line."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_answers import refused
from hub_server.fixtures import LocalHub
from toy_zoo import ZOO, equal, make_ticket

from ticketzoo import Ticket, load_ticket
from ticketzoo.api.zoo import search
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.push import Destination

INFO = "/api/models/alice/*"
PATHS = ["../../../escaped", "/tmp/escaped", "a/b", "..", ".", "", "a\\b", "x" * 300, '"../../../escaped"', "W/../x"]


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["ETag", "X-Linked-ETag", "X-Repo-Commit"])
@pytest.mark.parametrize("value", PATHS)
def test_a_name_that_leads_elsewhere_is_refused(
    hub: LocalHub, pushed: Ticket, tmp_path: Path, name: str, value: str
) -> None:
    if name == "X-Linked-ETag" and not value:
        return  # the client then takes the ETag
    hub.faults.change(
        "HEAD", "*/resolve/*", lambda reply: type(reply)(reply.status, reply.body, {**reply.headers, name: value})
    )
    refused(lambda: load_ticket(ZOO, cache_dir=tmp_path / "a" / "b"), "alice/zoo@", "not a Hub's answer", f"its {name}")
    assert not files(tmp_path)


def test_a_commit_that_leads_elsewhere_beside_a_missing_file(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    """The client notes under that name which files are not there."""

    def missing(reply: Any) -> Any:
        headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "../../../escaped"}
        return type(reply)(404, b"", headers)

    hub.faults.change("HEAD", "*/resolve/*", missing)
    refused(lambda: load_ticket(ZOO, cache_dir=tmp_path / "a"), "not a Hub's answer", "X-Repo-Commit")
    assert not files(tmp_path)


def test_files_come_over_http_even_where_xet_is_offered(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There what arrives can be bounded. This server does not know the addresses that Xet would ask."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    route = f"{hub.endpoint}/api/models/{ZOO}/xet-read-token/main"
    hub.faults.headers("HEAD", "*/resolve/*", X_Xet_Hash="a" * 64, X_Xet_Refresh_Route=route)
    assert equal(load_ticket(ZOO), pushed)
    assert len(hub.calls("GET", "/files/*")) == 2


def of_file(key: str, value: Any) -> Callable[[Any], Any]:
    """Put a value into what the listing says of each file."""

    def alter(info: Any) -> Any:
        for sibling in info["siblings"]:
            sibling[key] = value
        return info

    return alter


def of_repository(key: str, value: Any) -> Callable[[Any], Any]:
    return lambda info: info | {key: value}


def as_a_whole(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


Values = tuple[Any, ...]
SIZES: Values = ("x", -1, 1.5, None, True, [], 2**60)
NAMES: Values = (None, 7, [], "")
BLOBS: Values = (7, [], "../x")
LFS: Values = (7, "x", [1], {"sha256": 1, "size": 1, "pointerSize": 1})
OF_REPOSITORY: dict[str, Values] = {
    "siblings": (7, "x", {"a": 1}, [7]),
    "sha": (None, 7, "../../x", "A" * 40),
    "id": (None, 7, "../x", "zoo"),
    "private": (None, "no", 0),
    "lastModified": ("yesterday", 7),
}
WHOLE: Values = (None, 7, "x", [], [1], {}, True)
OF_FILE = {"size": SIZES, "rfilename": NAMES, "blobId": BLOBS, "lfs": LFS}
WRONG: dict[str, Callable[[Any], Any]] = {
    **{f"file's {key} {value!r}": of_file(key, value) for key, values in OF_FILE.items() for value in values},
    **{f"{key} {value!r}": of_repository(key, value) for key, values in OF_REPOSITORY.items() for value in values},
    **{f"all {value!r}": as_a_whole(value) for value in WHOLE},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_json_of_other_types(hub: LocalHub, pushed: Ticket, wrong: str) -> None:
    hub.faults.json(INFO, WRONG[wrong])
    refused(lambda: load_ticket(ZOO), "hub:alice/zoo@main", "not a Hub's answer")
    refused(lambda: make_ticket(license="mit").push_to_hub(ZOO), "hub:alice/zoo@main", "not a Hub's answer")
    assert len(hub.repo(ZOO).commits()) == 2


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[" * 100_000, b'{"size": 1e999999}', b"\xff\xfe", b"nul"])
def test_no_json(hub: LocalHub, pushed: Ticket, body: bytes) -> None:
    hub.faults.change("GET", "/api/models*", lambda reply: type(reply)(200, body, reply.headers))
    refused(lambda: load_ticket(ZOO), "hub:alice/zoo@main", "not a Hub's answer")
    refused(lambda: search(registry="hub:alice"), "hub:alice", "not a Hub's answer")


@pytest.mark.parametrize("listing", [7, {"a": 1}, [7], [None], [{}], [{"id": 7}], [{"id": "a/b", "sha": 7}], "x"])
def test_a_listing_of_other_types(hub: LocalHub, pushed: Ticket, listing: Any) -> None:
    hub.faults.json("/api/models", lambda _: listing)
    refused(lambda: search(registry="hub:alice"), "hub:alice", "not a Hub's answer")


@pytest.mark.parametrize("answer", [7, [], {"commitUrl": 7}, {"commitUrl": "x", "commitOid": 7}, None, {}])
def test_a_commit_of_other_types(hub: LocalHub, pushed: Ticket, answer: Any) -> None:
    hub.faults.change("POST", "*/commit/main", lambda reply: type(reply).json(answer))
    refused(lambda: make_ticket(license="mit").push_to_hub(ZOO), "hub:alice/zoo@main", "not a Hub's answer")


SENT = "hf_" + "s" * 34


@pytest.mark.parametrize("use", ["as it is", "read"])
def test_a_token_is_in_no_pickle(hub: LocalHub, pushed: Ticket, use: str) -> None:
    """Not of a ticket and not of its options; a copy in this process keeps it."""
    token = hub.token("alice")
    hub.repo(ZOO).private = True
    ticket = load_ticket(ZOO, token=token)
    if use == "read":
        assert ticket.results
    assert token.encode() not in pickle.dumps(ticket)
    assert token not in repr(vars(ticket))
    there = pickle.loads(pickle.dumps(ticket))
    assert equal(there, ticket)
    hub.login("bob")
    refused(lambda: there.at(seed=1).masks, "alice/zoo@", "no such repository, or a private one")
    assert copy.deepcopy(ticket).at(seed=1).masks


def test_options_without_tokens() -> None:
    options = HubOptions(Path("cache"), SENT, local_files_only=True)
    assert pickle.loads(pickle.dumps(options)) == HubOptions(Path("cache"), None, local_files_only=True)
    assert pickle.loads(pickle.dumps(HubOptions(token=False))).token is False
    assert copy.deepcopy(options) == copy.copy(options) == options
    assert SENT not in repr(options)
    to = Destination("alice/zoo", token=SENT)
    assert SENT not in repr(to)
    assert SENT.encode() not in pickle.dumps(to)
