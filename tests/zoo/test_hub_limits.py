"""Servers that send too much, too slowly, or nothing: a call ends within its limits, in one line."""

import gzip
import io
import logging
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_answers import limit, refused
from hub_server.fixtures import LocalHub
from huggingface_hub.utils import http_backoff
from toy_zoo import ZOO, equal, make_ticket
from typer.testing import CliRunner

from ticketzoo import Ticket, load_ticket
from ticketzoo.api.zoo import pull, search
from ticketzoo.cli.main import app
from ticketzoo.errors import RegistryError
from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.calls import THREAD, call_hub
from ticketzoo.zoo.places import ticket_folder
from ticketzoo.zoo.search import Query
from ticketzoo.zoo.search import search as find

MIB = 2**20
INFO, SMALL, LARGE = "/api/models/alice/*", "*/resolve/*/ticket.json", "/files/*masks.safetensors"


def peak(act: Callable[[], object]) -> int:
    """The most bytes that Python held while `act` ran."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("path", [INFO, SMALL, LARGE])
def test_a_body_that_is_longer_than_it_may_be(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, path: str, gzipped: bool
) -> None:
    """One that never ends, and one that becomes 64 MiB when it is decompressed."""
    limit(monkeypatch, answer_bytes=MIB)
    hub.faults.endless(path, bytes(64 * MIB) if gzipped else bytes(2**16), gzipped)
    held = peak(lambda: refused(lambda: load_ticket(ZOO), "alice/zoo@", "bytes arrive, all that it may have"))
    assert held < 24 * MIB  # the client's own chunk of a download is 10 MiB
    hub.faults.clear()
    assert equal(load_ticket(ZOO), pushed)


def test_a_listing_that_never_ends(hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, answer_bytes=MIB)
    hub.faults.endless("/api/models", b"[" * 2**16)
    refused(lambda: search(registry="hub:alice"), "hub:alice", "more than 1048576 bytes arrive")


def test_pages_that_never_end(hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, seconds=0.5)
    again = f'<{hub.endpoint}/api/models?full=1>; rel="next"'
    hub.faults.change("GET", "/api/models", lambda reply: type(reply).json([], headers={"Link": again}))
    refused(lambda: search(registry="hub:alice"), "hub:alice", "did not answer in time")


def test_an_error_and_a_redirect_whose_body_never_ends(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, answer_bytes=2**16)
    fault = hub.faults.endless(INFO)
    assert fault.reply
    for status in (404, 500, 307):
        fault.reply.status, fault.reply.headers = status, {"Location": f"{hub.endpoint}/api/models/x/y"}
        refused(lambda: load_ticket(ZOO), "alice/zoo@main", "bytes arrive")


def test_a_compressed_answer_that_is_small_is_read(hub: LocalHub, pushed: Ticket) -> None:
    def compress(reply):  # type: ignore[no-untyped-def]
        return type(reply)(reply.status, gzip.compress(reply.body), {**reply.headers, "Content-Encoding": "gzip"})

    for path in (INFO, SMALL, LARGE):
        hub.faults.change("GET", path, compress, times=1)
    assert equal(load_ticket(ZOO), pushed)
    hub.faults.headers("HEAD", SMALL, Content_Encoding="gzip")  # which has no body at all
    assert equal(load_ticket(ZOO, force_download=True), pushed)
    hub.faults.clear()
    hub.faults.headers("GET", INFO, Content_Encoding="br")
    refused(lambda: load_ticket(ZOO), "not a Hub's answer", "compressed as 'br'")


def test_a_compressed_answer_that_goes_on_behind_its_end_or_stops_before_it(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch)
    whole, header = gzip.compress(b"{}"), {"Content-Encoding": "gzip"}
    hub.faults.change("GET", INFO, lambda reply: type(reply)(200, whole + bytes(MIB), header))
    refused(lambda: load_ticket(ZOO), "not a Hub's answer", "goes on behind its end")
    hub.faults.clear()
    hub.faults.change("GET", INFO, lambda reply: type(reply)(200, whole[:-9], header))
    refused(lambda: load_ticket(ZOO), "alice/zoo@main", "the connection ended within a compressed body")


@pytest.mark.parametrize("file", ["ticket.json", "seed-0/masks.safetensors"])
def test_a_ticket_that_is_fetched_whole_has_files_as_long_as_they_may_be(
    hub: LocalHub, pushed: Ticket, file: str
) -> None:
    """A folder of it is what `push`, `transfer` and others read."""

    def longer(info):  # type: ignore[no-untyped-def]
        for sibling in info["siblings"]:
            sibling["size"] = 2**40 if sibling["rfilename"] == file else sibling["size"]
            if sibling["rfilename"] == file and "lfs" in sibling:
                sibling["lfs"]["size"] = 2**40
        return info

    hub.faults.json(INFO, longer)
    refused(lambda: ticket_folder(f"hub:{ZOO}"), file, "has 1099511627776 bytes", "not fetched")
    hub.faults.clear()
    assert equal(Ticket.from_pretrained(ticket_folder(f"hub:{ZOO}")), pushed)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [INFO, SMALL, LARGE])
def test_a_server_that_says_nothing(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    if method == "HEAD" and path != SMALL:
        return
    limit(monkeypatch, seconds=0.5, slowest=1e9)
    hub.faults.hang(method, path, times=None)
    began = time.monotonic()
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "did not answer in time", "TICKETZOO_HUB_TIMEOUT")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("after", [0, 300])
@pytest.mark.parametrize(("method", "path"), [("GET", INFO), ("HEAD", SMALL), ("GET", SMALL), ("GET", LARGE)])
def test_bytes_that_trickle(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, method: str, path: str, after: int
) -> None:
    """Each comes in time, headers or body, and all of them would take minutes."""
    limit(monkeypatch, seconds=0.5, slowest=1e9)
    hub.faults.trickle(method, path, seconds=0.05, after=0 if method == "HEAD" else after)
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "did not answer in time")


@pytest.mark.parametrize("fault", ["says nothing", "trickles"])
def test_a_call_that_is_given_up_leaves_nothing_half_written(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    from huggingface_hub import close_session

    close_session()  # what came over a connection of before is removed once the server lets go of it
    limit(monkeypatch, seconds=0.5, slowest=1e9, grace=10)
    if fault == "trickles":
        hub.faults.trickle("GET", LARGE, seconds=0.05)
    else:
        hub.faults.hang("GET", LARGE, times=None)
    refused(lambda: load_ticket(ZOO, cache_dir=tmp_path), "masks.safetensors", "did not answer in time")
    assert not list(tmp_path.rglob("*.incomplete"))


def test_a_call_that_is_given_up_ends_over_a_connection_of_before_too(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_ticket(ZOO)
    limit(monkeypatch, seconds=0.5, slowest=1e9)
    fault = hub.faults.trickle("GET", INFO, seconds=0.15)  # the headers alone take some 20 s
    refused(lambda: load_ticket(ZOO, force_download=True), "alice/zoo@main", "did not answer in time")
    assert fault.fired
    for thread in [one for one in threading.enumerate() if one.name == THREAD]:
        thread.join(10)
        assert not thread.is_alive()


def test_what_a_call_may_take_grows_with_its_files() -> None:
    limits = hub_limits.HubLimits(seconds=60, slowest=50_000)
    assert limits.time_for(0) == 60
    assert limits.time_for(1_000_000) == 80


def test_the_limit_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("TICKETZOO_HUB_TIMEOUT", "7.5")
    assert hub_limits.in_force().seconds == 7.5
    for wrong in ("soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("TICKETZOO_HUB_TIMEOUT", wrong)
        with pytest.raises(RegistryError, match="write a number of seconds"):
            hub_limits.in_force()


WAYS = {
    "info": ("GET", INFO),
    "metadata": ("HEAD", SMALL),
    "small file": ("GET", SMALL),
    "large file": ("GET", LARGE),
    "listing": ("GET", "/api/models"),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("where", WAYS)
def test_an_hour_is_not_waited(hub: LocalHub, pushed: Ticket, where: str, status: int, tmp_path: Path) -> None:
    hub.faults.fail(*WAYS[where], status=status, times=None, retry_after=3600)
    act = (lambda: search(registry="hub:alice")) if where == "listing" else lambda: pull(ZOO, tmp_path / "copy")
    refused(act, str(status), "try again in 1 h 0 min")


def test_a_minute_is_waited_in_all_and_said(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("ticketzoo.hub.calls.time.sleep", slept.append)
    fault = hub.faults.fail("GET", INFO, status=429, times=None, retry_after=25)
    refused(lambda: load_ticket(ZOO), "alice/zoo@main", "try again in 25 s")
    assert fault.fired == 3
    assert [seconds for seconds in slept if seconds > 1] == [25, 25]
    assert caplog.text.count("the Hub asks to wait: trying again in 25 seconds") == 2


def test_other_ways_to_say_when(hub: LocalHub, pushed: Ticket) -> None:
    from email.utils import formatdate

    late = {"Retry-After": formatdate(time.time() + 7200 + 30, usegmt=True)}
    for headers, when in ((late, "in 2 h 0 min"), ({"RateLimit": '"api";r=0;t=600'}, "in 10 min 0 s")):
        fault = hub.faults.fail("GET", INFO, status=429, times=None)
        assert fault.reply
        fault.reply.headers.update(headers)
        refused(lambda: load_ticket(ZOO), "429", f"try again {when}")
        hub.faults.clear()
    fault = hub.faults.fail("GET", INFO, status=429, times=None)
    assert fault.reply
    for no_year in ("Mon, 01 Jan 99999 00:00:00 GMT", "1 Jan 999999999999999999999 00:00:00 GMT"):
        fault.reply.headers["Retry-After"] = no_year
        refused(lambda: load_ticket(ZOO), "429", "try again later")


UPLOADS = {
    "modes": ("POST", "*/preupload/*"),
    "batch": ("POST", "*/objects/batch"),
    "bytes": ("PUT", "/upload/*"),
    "commit": ("POST", "*/commit/main"),
}


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what the client's own log shows."""
    shown = io.StringIO()
    (handler,) = logging.getLogger("huggingface_hub").handlers
    assert isinstance(handler, logging.StreamHandler)
    monkeypatch.setattr(handler, "stream", shown)
    return shown


@pytest.mark.parametrize("fault", ["500", "dropped"])
@pytest.mark.parametrize("where", UPLOADS)
def test_failures_that_stay_while_pushing_are_told_soon_and_in_one_line(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, talk: io.StringIO, where: str, fault: str
) -> None:
    """Each step is tried twice and no more, and the client's own talk is not shown."""
    limit(monkeypatch, waits=(0.01,))
    hub.login("alice")
    hub.create(ZOO)
    method, path = UPLOADS[where]
    if fault == "500":
        hub.faults.fail(method, path, status=500, times=None)
    else:
        hub.faults.cut_upload(method, path, after=10, times=None)
    words = ("(500)", "try again later") if fault == "500" else ("the connection failed", "check the network")
    refused(lambda: make_ticket().push_to_hub(ZOO), "alice/zoo@main", *words)
    assert len(hub.repo(ZOO).commits()) == 1
    assert len(hub.calls(method, path)) <= 2 * (4 if where == "bytes" else 1)  # four files are uploaded
    assert talk.getvalue() == ""


def test_the_clients_talk_can_be_had(hub: LocalHub, pushed: Ticket, talk: io.StringIO, tmp_path: Path) -> None:
    hub.faults.cut("/files/*rewind.safetensors", after=100, times=2)
    assert load_ticket(ZOO, cache_dir=tmp_path / "a").rewind_state
    assert talk.getvalue() == ""
    hub.faults.cut("/files/*rewind.safetensors", after=100, times=2)
    ours = logging.getLogger("ticketzoo.hub")
    try:
        done = CliRunner().invoke(app, ["pull", ZOO, "--to", str(tmp_path / "b"), "--force-download", "--verbose"])
        assert done.exit_code == 0, done.output
    finally:
        ours.setLevel(logging.NOTSET)
    assert "Trying to resume download" in talk.getvalue()


def test_a_search_ends_when_its_time_is_up(hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty repositories whose files hang are not waited for one after another."""
    for number in range(20):
        hub.create(f"alice/t{number:02}", {"README.md": b"---\ntags:\n- ticketzoo\n---\n", "ticket.json": b"{}"})
    limit(monkeypatch, seconds=0.6)
    hub.faults.hang("HEAD", SMALL, times=None)
    hits = find("hub:alice", Query())
    assert len(hits.left_out) == 21
    assert sum("did not answer in time" in line for line in hits.left_out) <= 16
    assert any("not looked at" in line for line in hits.left_out)


def test_the_client_is_left_as_it_was(hub: LocalHub, pushed: Ticket) -> None:
    """Outside our calls its session has no limits of ours, and its answers are its own."""
    from huggingface_hub.utils import get_session

    load_ticket(ZOO)
    assert not any(get_session().timeout.as_dict().values())
    hub.faults.fail("GET", INFO, status=503)
    assert get_session().get(f"{hub.endpoint}/api/models/{ZOO}").status_code == 503


def test_an_open_session_of_the_user_stays_open_and_the_same(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import close_session
    from huggingface_hub.utils import get_session

    close_session()
    session = get_session()
    load_ticket(ZOO, force_download=True)
    limit(monkeypatch, waits=())
    refused(lambda: call_hub(lambda: http_backoff("GET", "http://127.0.0.1:9/api"), "there"), "the connection failed")
    assert get_session() is session
    assert session.get(f"{hub.endpoint}/api/models/{ZOO}").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_what_the_user_sends_meanwhile_in_another_thread_is_not_limited(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, talk: io.StringIO, method: str
) -> None:
    from huggingface_hub.utils import get_session

    limit(monkeypatch, answer_bytes=10)
    hub.faults.fail(method, INFO, status=503)
    answers: list[int] = []

    def send() -> None:
        answers.append(get_session().request(method, f"{hub.endpoint}/api/models/{ZOO}").status_code)
        logging.getLogger("huggingface_hub.mine").warning("something of mine")

    def ours() -> None:
        thread = threading.Thread(target=send)
        thread.start()
        thread.join()

    call_hub(ours, "there", sent=100)
    assert answers == [503]
    assert "something of mine" in talk.getvalue()


def test_a_call_that_is_given_up_leaves_what_the_user_is_waiting_for(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes over a connection that an earlier call of ours has made."""
    from huggingface_hub.utils import get_session

    load_ticket(ZOO, force_download=True)
    with get_session().stream("GET", f"{hub.endpoint}/{ZOO}/resolve/main/ticket.json") as answer:
        limit(monkeypatch, seconds=0.3, slowest=1e9)
        hub.faults.hang("GET", INFO, times=None)
        refused(lambda: load_ticket(ZOO, force_download=True), "did not answer in time")
        assert b"lenet.digits-imp" in b"".join(answer.iter_bytes())


@pytest.mark.parametrize("kept", ["answer", "error", "open answer"])
def test_an_answer_or_error_that_the_user_keeps_does_not_let_a_call_that_is_given_up_go_on(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """The call waits on a connection that an earlier one has made; its thread ends as soon as that is ended."""
    from huggingface_hub.utils import get_session, httpx

    load_ticket(ZOO, force_download=True)
    held: list[object] = []
    if kept == "answer":
        held.append(get_session().get(f"{hub.endpoint}/api/models/{ZOO}"))
    elif kept == "error":
        with pytest.raises(httpx.ConnectError) as error:
            get_session().get("http://127.0.0.1:9/api")
        held.append(error.value)
    else:
        held.append(get_session().stream("GET", f"{hub.endpoint}/{ZOO}/resolve/main/ticket.json").__enter__())
        load_ticket(ZOO, force_download=True)
    limit(monkeypatch, seconds=0.3, slowest=1e9)
    fault = hub.faults.trickle("GET", INFO, seconds=0.09)  # headers, which no hook sees before the last byte
    refused(lambda: load_ticket(ZOO, force_download=True), "did not answer in time")
    assert fault.fired and held
    for thread in [one for one in threading.enumerate() if one.name == THREAD]:
        thread.join(5)
        assert not thread.is_alive()
