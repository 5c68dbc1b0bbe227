"""What can go wrong between a ticket and the Hub: it ends in success, or in one line that says where and what to do."""

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hub_server.fixtures import LocalHub
from system_limits import at_most
from toy_zoo import ZOO, equal, make_ticket

from ticketzoo import Ticket, load_ticket
from ticketzoo.errors import RegistryError, TicketzooError
from ticketzoo.hub import limits as hub_limits
from ticketzoo.hub.errors import HubConflict
from ticketzoo.hub.limits import HubLimits
from ticketzoo.zoo.pull import pull_ticket
from ticketzoo.zoo.verify import verify_ticket

COMMIT = "*/commit/main"


def refused(act: Callable[[], object], *words: str) -> str:
    """The one line in which `act` fails; it holds all of `words`."""
    with pytest.raises(TicketzooError) as failed:
        act()
    line = str(failed.value)
    assert "\n" not in line and "\x1b" not in line
    assert failed.value.__cause__ is None
    for word in words:
        assert word in line, line
    return line


def incomplete(cache: Path) -> list[Path]:
    return list(cache.rglob("*.incomplete"))


DOWNLOADS = {
    "info": ("GET", "/api/models/*"),
    "metadata": ("HEAD", "*/resolve/*/ticket.json"),
    "small file": ("GET", "*/resolve/*/ticket.json"),
    "large file": ("GET", "/files/*masks.safetensors"),
}


@pytest.mark.parametrize("where", DOWNLOADS)
@pytest.mark.parametrize("status", [500, 503])
def test_500_and_503_on_the_way_down_are_waited_out(hub: LocalHub, pushed: Ticket, where: str, status: int) -> None:
    hub.faults.fail(*DOWNLOADS[where], status=status)
    assert equal(load_ticket(ZOO), pushed)


@pytest.mark.parametrize("where", ["info", "small file", "large file"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_dropped_on_the_way_down(
    hub: LocalHub, pushed: Ticket, where: str, reset: bool, tmp_path: Path
) -> None:
    hub.faults.cut(DOWNLOADS[where][1], after=100, reset=reset)
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)
    assert not incomplete(tmp_path)


def test_a_connection_dropped_every_time_leaves_no_torn_file(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    hub.faults.cut("/files/*rewind.safetensors", after=100, reset=True, times=None)
    refused(
        lambda: load_ticket(ZOO, cache_dir=tmp_path), "alice/zoo@", "seed-0/rewind.safetensors", "check the network"
    )
    assert not incomplete(tmp_path)
    hub.faults.clear()
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)


def test_500_that_stays_is_one_line(hub: LocalHub, pushed: Ticket) -> None:
    fault = hub.faults.fail("GET", "/files/*masks.safetensors", status=500, times=None)
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "seed-0/masks.safetensors", "(500)", "try again later")
    assert fault.fired == 4


def test_429_is_waited_out_as_long_as_told(hub: LocalHub, pushed: Ticket) -> None:
    hub.faults.fail("GET", "/api/models/*", status=429, retry_after=1)
    began = time.monotonic()
    load_ticket(ZOO, masks_only=True)
    assert time.monotonic() - began >= 1


def test_429_that_asks_for_too_long_is_not_waited_out(hub: LocalHub, pushed: Ticket) -> None:
    fault = hub.faults.fail("GET", "/api/models/*", status=429, retry_after=3000)
    refused(lambda: load_ticket(ZOO), "alice/zoo@main", "429", "in 50 min 0 s")
    assert fault.fired == 1


def test_a_slow_body_arrives(hub: LocalHub, pushed: Ticket) -> None:
    hub.faults.slow("/files/*masks.safetensors", seconds=0.3)
    assert equal(load_ticket(ZOO), pushed)


@pytest.mark.parametrize("call", ["info", "commit"])
def test_a_server_that_says_nothing_is_left(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(hub_limits, "in_force", lambda: HubLimits(seconds=0.5, grace=0.05))
    if call == "info":
        hub.faults.hang("GET", "/api/models/*", times=None)
        refused(lambda: load_ticket(ZOO), "alice/zoo@main", "did not answer in time")
    else:
        hub.faults.hang("POST", COMMIT, times=None)
        refused(lambda: make_ticket(license="mit").push_to_hub(ZOO), "alice/zoo@main", "did not answer in time")
    from huggingface_hub.utils import get_session

    assert not any(get_session().timeout.as_dict().values())  # the client is left as it was


@pytest.mark.parametrize("name", ["ticket.json", "masks.safetensors", "rewind.safetensors"])
def test_a_wrong_byte_is_noticed_and_fetched_again(hub: LocalHub, pushed: Ticket, name: str) -> None:
    hub.faults.flip(f"*{name}", at=40, times=1)
    assert equal(load_ticket(ZOO), pushed)


@pytest.mark.parametrize("name", ["ticket.json", "seed-0/masks.safetensors"])
def test_a_wrong_byte_every_time_is_refused(hub: LocalHub, pushed: Ticket, name: str) -> None:
    hub.faults.flip(f"*{name.rpartition('/')[2]}", at=40)
    refused(lambda: load_ticket(ZOO), "alice/zoo@", name, "damaged twice")


@pytest.mark.parametrize("name", ["ticket.json", "seed-0/masks.safetensors", "seed-0/rewind.safetensors"])
def test_damage_in_the_cache(hub: LocalHub, pushed: Ticket, tmp_path: Path, name: str) -> None:
    """Noticed on every load; with a connection it is made good, without one the line says how."""

    def damage() -> None:
        (path,) = tmp_path.glob(f"models--*/snapshots/*/{name}")
        content = bytearray(path.read_bytes())
        place = content.index(b"lenet.digits") if name == "ticket.json" else 9
        content[place] ^= 1  # ticket.json stays a valid one, of another name
        path.write_bytes(content)

    load_ticket(ZOO, cache_dir=tmp_path)
    damage()
    refused(
        lambda: load_ticket(ZOO, cache_dir=tmp_path, local_files_only=True).rewind_state,
        "alice/zoo@", name, "damaged", "force_download=True",
    )  # fmt: skip
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)
    damage()
    assert equal(load_ticket(ZOO, cache_dir=tmp_path, force_download=True), pushed)


def test_a_file_that_is_listed_but_gone(hub: LocalHub, pushed: Ticket) -> None:
    hub.faults.missing("*/seed-0/masks.safetensors")
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "seed-0/masks.safetensors", "ask its owner")


def test_a_file_that_was_never_pushed(hub: LocalHub, pushed: Ticket) -> None:
    hub.repo(ZOO).write({"seed-0/rewind.safetensors": None})
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "seed-0/rewind.safetensors", "ask its owner")
    assert load_ticket(ZOO, masks_only=True)
    hub.create("alice/model", {"config.json": b"{}"})
    refused(lambda: load_ticket("alice/model"), "alice/model@", "no ticket.json")


def test_files_of_other_sizes_than_declared_are_not_fetched(hub: LocalHub, pushed: Ticket) -> None:
    hub.repo(ZOO).write({"seed-0/masks.safetensors": b"\0" * 100_000})
    hub.requests.clear()
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "seed-0/masks.safetensors", "100000 bytes", "not fetched")
    assert not hub.calls("GET", "/files/*")
    hub.repo(ZOO).write({"ticket.json": b" " * (17 * 2**20)})
    hub.requests.clear()
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "ticket.json", "not fetched")
    assert not hub.calls("GET", "/files/*")


def test_a_file_altered_in_the_repository(hub: LocalHub, pushed: Ticket) -> None:
    masks = bytearray(hub.repo(ZOO).files()["seed-0/masks.safetensors"])
    masks[-1] ^= 1
    hub.repo(ZOO).write({"seed-0/masks.safetensors": bytes(masks)})
    refused(lambda: load_ticket(ZOO), "alice/zoo@", "seed-0/masks.safetensors", "ask its owner")


def test_no_network(hub: LocalHub, pushed: Ticket, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_ticket(ZOO, cache_dir=tmp_path / "full")
    commit = hub.repo(ZOO).find().oid
    with hub.down():
        assert equal(load_ticket(ZOO, cache_dir=tmp_path / "full"), pushed)
        assert f"using commit {commit} from the cache" in caplog.text
        refused(lambda: load_ticket(ZOO, cache_dir=tmp_path / "empty"), "alice/zoo@main", "check the network")
        refused(lambda: load_ticket(ZOO, cache_dir=tmp_path / "full", seed=1), "seed-1/masks.safetensors", "network")
        refused(lambda: load_ticket(ZOO, cache_dir=tmp_path / "full", force_download=True), "check the network")


def test_no_token_a_wrong_one_and_somebody_elses(hub: LocalHub) -> None:
    hub.create("alice/secret", {"ticket.json": b"{}"}, private=True)
    refused(lambda: load_ticket("alice/secret", token=False), "alice/secret@main", "hf auth login")
    refused(lambda: load_ticket("alice/secret", token=hub.token("bob")), "alice/secret@main", "may read it")
    wrong = "hf_" + "w" * 34
    line = refused(lambda: load_ticket("alice/secret", token=wrong), "alice/secret@main", "does not accept the token")
    assert wrong not in line
    refused(lambda: make_ticket().push_to_hub(ZOO, token=False), "alice/zoo@main", "hf auth login")
    refused(lambda: make_ticket().push_to_hub(ZOO, token=wrong), "alice/zoo@main", "does not accept the token")


def test_tokens_that_may_not_write(hub: LocalHub, pushed: Ticket) -> None:
    changed = make_ticket(license="mit")
    for token in (hub.token("alice", "read"), hub.token("bob")):
        line = refused(partial(changed.push_to_hub, ZOO, token=token), "alice/zoo@main", "not allowed")
        assert token not in line
    refused(lambda: changed.push_to_hub("carol/zoo"), "carol/zoo", "not allowed")
    assert len(hub.repo(ZOO).commits()) == 2


def test_a_gated_repository(hub: LocalHub, pushed: Ticket) -> None:
    hub.repo(ZOO).gated = "manual"
    for token in (False, hub.token("bob")):
        refused(partial(load_ticket, ZOO, token=token), "alice/zoo@", "restricted", "ask for access")
    hub.repo(ZOO).granted.add("bob")
    assert equal(load_ticket(ZOO, token=hub.token("bob")), pushed)


def test_a_full_disk(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    load_ticket(ZOO, cache_dir=tmp_path, masks_only=True)
    with at_most(800, resource.RLIMIT_FSIZE):
        refused(
            lambda: load_ticket(ZOO, cache_dir=tmp_path), "alice/zoo@", "rewind.safetensors", "disk is full", "HF_HOME"
        )
    assert not incomplete(tmp_path)
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)
    load_ticket(ZOO)
    with at_most(800, resource.RLIMIT_FSIZE):
        refused(lambda: pull_ticket(ZOO, tmp_path / "copy"), "disk is full")
    assert not (tmp_path / "copy").exists()


UPLOADS = {
    "info": ("GET", "/api/models/*"),
    "modes": ("POST", "*/preupload/*"),
    "batch": ("POST", "*/objects/batch"),
    "bytes": ("PUT", "/upload/*"),
    "commit": ("POST", COMMIT),
}


@pytest.mark.parametrize("where", UPLOADS)
@pytest.mark.parametrize("status", [500, 503])
def test_500_and_503_on_the_way_up_are_waited_out(hub: LocalHub, where: str, status: int) -> None:
    hub.login("alice")
    hub.create(ZOO)
    hub.faults.fail(*UPLOADS[where], status=status)
    assert make_ticket().push_to_hub(ZOO).changed
    assert len(hub.repo(ZOO).commits()) == 2
    assert equal(load_ticket(ZOO), make_ticket())


@pytest.mark.parametrize("where", ["modes", "batch", "bytes", "commit"])
def test_a_connection_dropped_on_the_way_up(hub: LocalHub, where: str) -> None:
    hub.login("alice")
    hub.create(ZOO)
    hub.faults.cut_upload(*UPLOADS[where], after=50)
    assert make_ticket().push_to_hub(ZOO).changed
    assert len(hub.repo(ZOO).commits()) == 2


@pytest.mark.parametrize("reset", [False, True])
def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub: LocalHub, reset: bool) -> None:
    hub.login("alice")
    hub.create(ZOO)
    hub.faults.lose_answer("POST", COMMIT, reset=reset)
    published = make_ticket().push_to_hub(ZOO)
    assert (published.changed, published.commit) == (True, hub.repo(ZOO).find().oid)
    assert len(hub.calls("POST", COMMIT)) == 1


def test_a_lost_answer_to_a_pull_request_is_not_asked_for_again(hub: LocalHub, pushed: Ticket) -> None:
    hub.faults.lose_answer("POST", COMMIT)
    refused(lambda: make_ticket(license="mit").push_to_hub(ZOO, create_pr=True), "alice/zoo@main", "may exist")
    assert len(hub.repo(ZOO).discussions) == 1


def test_a_push_that_cannot_be_done_is_not_repeated_and_changes_nothing(hub: LocalHub, pushed: Ticket) -> None:
    fault = hub.faults.fail("PUT", "/upload/*", status=403)
    rewind = make_ticket(license="mit").rewind_state
    changed = {name: tensor + 1 for name, tensor in rewind.items()}
    from toy_zoo import found

    from ticketzoo.ticket import Found

    moved = Found(0, found(0).levels, changed)
    refused(lambda: make_ticket(replicates=[moved]).push_to_hub(ZOO), "alice/zoo@main")
    assert fault.fired == 1
    assert len(hub.repo(ZOO).commits()) == 2


@pytest.mark.parametrize("fault", ["slow", "hang"])
def test_a_push_in_between_is_a_conflict_and_not_lost(hub: LocalHub, pushed: Ticket, fault: str) -> None:
    if fault == "slow":
        hub.faults.slow("*/preupload/*", seconds=1, method="POST")
    else:
        hub.faults.hang("POST", "*/preupload/*")
    outcome: list[object] = []

    def push() -> None:
        try:
            outcome.append(make_ticket(license="mit").push_to_hub(ZOO))
        except TicketzooError as error:
            outcome.append(error)

    thread = threading.Thread(target=push)
    thread.start()
    while not hub.faults.added[0].fired:
        time.sleep(0.01)
    theirs = hub.repo(ZOO).write({"results.jsonl": b"{}\n"}).oid
    hub.faults.release()
    thread.join()
    assert isinstance(outcome[0], HubConflict)
    assert "alice/zoo@main: someone else has pushed" in str(outcome[0])
    assert hub.repo(ZOO).find().oid == theirs


PUSH = """
import sys
sys.path.insert(0, {here!r})
from toy_zoo import make_ticket
from ticketzoo.errors import RegistryError
try:
    print(make_ticket(license=sys.argv[1]).push_to_hub("alice/zoo").changed)
except RegistryError as error:
    print(error)
"""
PULL = """
import sys
from ticketzoo.zoo.pull import pull_ticket
pull_ticket("alice/zoo", sys.argv[1])
"""


def both(hub: LocalHub, code: str, *arguments: str) -> list[subprocess.CompletedProcess[str]]:
    """Two processes at once, with one cache."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, argument],
            env=hub.environment("alice", OMP_NUM_THREADS="1", HF_HUB_DISABLE_PROGRESS_BARS="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for argument in arguments
    ]
    return [subprocess.CompletedProcess([], 0, *process.communicate(timeout=120)) for process in started]


@pytest.mark.slow
def test_two_processes_pulling_at_once(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    for done in both(hub, PULL, str(tmp_path / "a"), str(tmp_path / "b")):
        assert not done.stderr
    for copy in (tmp_path / "a", tmp_path / "b"):
        assert verify_ticket(copy)
    assert not incomplete(hub.home)


@pytest.mark.slow
def test_two_processes_pushing_at_once(hub: LocalHub) -> None:
    """Each push is in the history as its own commit, or ended as a conflict; nothing is mixed."""
    hub.create(ZOO)
    said = [
        done.stdout.strip() for done in both(hub, PUSH.format(here=str(Path(__file__).parents[1])), "mit", "gpl-3.0")
    ]
    pushes = said.count("True")
    assert pushes >= 1
    assert all(line == "True" or "someone else has pushed" in line for line in said), said
    assert len(hub.repo(ZOO).commits()) == 1 + pushes
    hub.login("alice")
    assert load_ticket(ZOO).config.license in ("mit", "gpl-3.0")


def test_what_the_server_says_is_printed_without_escapes_or_tokens(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ticketzoo.hub.errors import without_tokens

    said = f"\x1b[31mno\x1b[0m\nBearer abc.def hf_{'x' * 34} my-own-token"
    assert without_tokens(said, "my-own-token") == "�[31mno�[0m Bearer *** *** ***"


def test_errors_are_registry_errors(hub: LocalHub) -> None:
    with pytest.raises(RegistryError, match="no such repository"):
        load_ticket("nobody/nothing")
    with pytest.raises(RegistryError, match="is not a Hub id"):
        make_ticket().push_to_hub("not a repository")
