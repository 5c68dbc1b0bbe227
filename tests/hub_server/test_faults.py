"""Each fault, and what the unmodified client makes of it."""

import json
import socket
import time
from pathlib import Path

import pytest
from huggingface_hub import errors
from huggingface_hub.utils import httpx

from .fixtures import LocalHub

MASKS = bytes(range(256)) * 400  # 100 kB


@pytest.fixture(autouse=True)
def zoo(hub: LocalHub) -> None:
    hub.create("alice/zoo", {"masks.safetensors": MASKS, "ticket.json": b"{}"})


def pull(hub: LocalHub, name: str = "masks.safetensors") -> bytes:
    return Path(hub.api().hf_hub_download("alice/zoo", name)).read_bytes()


def half_files() -> list[Path]:
    from huggingface_hub import constants

    return list(Path(constants.HF_HUB_CACHE).rglob("*.incomplete"))


def ranges(hub: LocalHub) -> list[str | None]:
    return [seen.range for seen in hub.calls("GET", "*masks.safetensors")]


def test_an_early_close_is_made_good(hub: LocalHub) -> None:
    """From the start: the client keeps no less than its chunk of 10 MiB of what it got."""
    hub.faults.cut("*masks.safetensors", after=1000)
    assert pull(hub) == MASKS
    assert ranges(hub) == [None, None]


def test_an_early_close_in_a_large_file_is_resumed(hub: LocalHub) -> None:
    large = b"0123456789abcdef" * (11 * 2**16)  # 11 MiB
    hub.repo("alice/zoo").write({"masks.safetensors": large})
    hub.faults.cut("*masks.safetensors", after=10 * 2**20 + 5)
    assert pull(hub) == large
    assert ranges(hub) == [None, f"bytes={10 * 2**20}-"]


def test_a_reset_is_not_resumed_and_leaves_nothing_behind(hub: LocalHub) -> None:
    hub.faults.cut("*masks.safetensors", after=1000, reset=True)
    with pytest.raises(httpx.ReadError):
        pull(hub)
    assert not half_files()
    assert pull(hub) == MASKS
    assert ranges(hub) == [None, None]


def test_a_500_on_a_download_is_not_retried(hub: LocalHub) -> None:
    hub.faults.fail("GET", "*masks.safetensors", status=500)
    with pytest.raises(errors.HfHubHTTPError) as failed:
        pull(hub)
    assert failed.value.response.status_code == 500
    assert pull(hub) == MASKS


def test_a_503_on_the_metadata_is_retried(hub: LocalHub) -> None:
    fault = hub.faults.fail("HEAD", "*/resolve/*", status=503, times=1)
    assert pull(hub) == MASKS
    assert fault.fired == 1


def test_a_429_is_waited_out_as_told(hub: LocalHub) -> None:
    hub.faults.fail("GET", "*masks.safetensors", status=429, retry_after=1)
    started = time.monotonic()
    assert pull(hub) == MASKS
    assert time.monotonic() - started >= 2  # the client adds a second of its own


def test_a_slow_body_arrives(hub: LocalHub) -> None:
    hub.faults.slow("*masks.safetensors", seconds=0.3)
    started = time.monotonic()
    assert pull(hub) == MASKS
    assert time.monotonic() - started >= 0.3


def test_a_wrong_byte_is_not_noticed_by_the_client(hub: LocalHub) -> None:
    hub.faults.flip("*masks.safetensors", at=7)
    wrong = pull(hub)
    assert [i for i, (a, b) in enumerate(zip(wrong, MASKS, strict=True)) if a != b] == [7]


def test_a_file_that_is_listed_but_gone(hub: LocalHub) -> None:
    hub.faults.missing("*/masks.safetensors")
    assert "masks.safetensors" in hub.api().list_repo_files("alice/zoo")
    with pytest.raises(errors.RemoteEntryNotFoundError):
        pull(hub)
    assert pull(hub, "ticket.json") == b"{}"


def test_a_commit_whose_answer_is_lost_exists(hub: LocalHub) -> None:
    api = hub.api()
    for reset, content in ((False, b"one"), (True, b"two")):
        before = len(hub.repo("alice/zoo").commits())
        hub.faults.lose_answer("POST", "*/commit/main", reset=reset)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            api.upload_file(path_or_fileobj=content, path_in_repo="a.txt", repo_id="alice/zoo")
        assert hub.repo("alice/zoo").files()["a.txt"] == content
        api.upload_file(path_or_fileobj=content, path_in_repo="a.txt", repo_id="alice/zoo")
        assert len(hub.repo("alice/zoo").commits()) == before + 1
    assert [seen.status for seen in hub.calls("POST", "*/commit/main")] == [0, 0]


def test_an_upload_that_breaks_off_is_sent_again(hub: LocalHub) -> None:
    hub.faults.cut_upload("PUT", "/upload/*", after=50_000)
    hub.api().upload_file(path_or_fileobj=MASKS * 2, path_in_repo="b.safetensors", repo_id="alice/zoo")
    assert hub.repo("alice/zoo").files()["b.safetensors"] == MASKS * 2
    assert [seen.status for seen in hub.calls("PUT", "/upload/*")] == [0, 200]


def test_an_upload_that_fails_leaves_the_repository_alone(hub: LocalHub) -> None:
    hub.faults.fail("PUT", "/upload/*", status=403)
    with pytest.raises(RuntimeError, match="Error while uploading"):
        hub.api().upload_file(path_or_fileobj=MASKS * 2, path_in_repo="b.safetensors", repo_id="alice/zoo")
    assert "b.safetensors" not in hub.repo("alice/zoo").files()


def test_a_client_that_dies_in_the_middle_of_a_commit_commits_nothing(hub: LocalHub) -> None:
    lines = [{"key": "header", "value": {"summary": "s"}}, {"key": "file", "value": {"path": "a", "content": "x"}}]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    head = f"POST /api/models/alice/zoo/commit/main HTTP/1.1\r\nContent-Length: {len(body) + 100}\r\n"
    head += f"Content-Type: application/x-ndjson\r\nAuthorization: Bearer {hub.token('alice')}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(hub.endpoint.rpartition(":")[2]))) as client:
        client.sendall((head + body).encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert [seen.status for seen in hub.calls("POST", "*/commit/main")] == [0]
    assert "a" not in hub.repo("alice/zoo").files()


def test_a_server_that_hangs_is_left_after_the_timeout(hub: LocalHub) -> None:
    hub.faults.hang("GET", "/api/models/alice/zoo")
    with pytest.raises(httpx.TimeoutException):
        hub.api().model_info("alice/zoo", timeout=0.2)
    assert hub.api().model_info("alice/zoo").id == "alice/zoo"


def test_a_hang_that_is_released_ends_the_connection(hub: LocalHub) -> None:
    hub.faults.hang("GET", "/api/models/alice/zoo")
    hub.faults.release()
    with pytest.raises(httpx.RemoteProtocolError):
        hub.api().model_info("alice/zoo")


def test_a_server_that_comes_back_has_kept_everything(hub: LocalHub) -> None:
    cached, endpoint = pull(hub), hub.endpoint
    with hub.down():
        with pytest.raises(httpx.ConnectError):
            hub.api().model_info("alice/zoo")
        assert pull(hub) == cached  # from the cache
    assert hub.endpoint == endpoint
    assert hub.api().model_info("alice/zoo").sha == hub.repo("alice/zoo").find().oid


def test_faults_strike_as_often_as_they_were_told(hub: LocalHub) -> None:
    hub.faults.fail("GET", "/api/models/alice/*", status=403, times=2)
    hub.faults.fail("GET", "/api/models/alice/*", status=418, times=None)
    statuses = []
    for _ in range(4):
        with pytest.raises(errors.HfHubHTTPError) as failed:
            hub.api().model_info("alice/zoo")
        statuses.append(failed.value.response.status_code)
    assert statuses == [403, 403, 418, 418]
    hub.faults.clear()
    assert hub.api().model_info("alice/zoo").id == "alice/zoo"
