"""A cache in which something is wrong: a file of other content, or no file where one should be."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_answers import limit, refused
from hub_server.fixtures import LocalHub
from toy_zoo import ZOO, equal, make_ticket

from ticketzoo import Ticket, load_ticket

FILES = ["ticket.json", "seed-0/masks.safetensors", "seed-0/rewind.safetensors"]


@pytest.fixture(params=["links", "no links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tell whether the cache is made of symbolic links: on Windows and some network drives it is not."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_SYMLINKS", request.param == "no links")
    return bool(request.param == "links")


def cached(cache: Path, name: str) -> Path:
    (path,) = cache.glob(f"models--alice--zoo/snapshots/*/{name}")
    return path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("force", [False, True])
def test_a_damaged_byte_is_mended(
    hub: LocalHub, pushed: Ticket, tmp_path: Path, links: bool, name: str, force: bool
) -> None:
    load_ticket(ZOO, cache_dir=tmp_path)
    path = cached(tmp_path, name)
    assert path.is_symlink() == links
    right = path.read_bytes()
    wrong = right.replace(b"lenet.digits", b"lenet.digitz") if name == "ticket.json" else right[:-1] + b"?"
    path.write_bytes(wrong)
    hub.requests.clear()
    assert equal(load_ticket(ZOO, cache_dir=tmp_path, force_download=force), pushed)
    assert path.read_bytes() == right
    assert equal(load_ticket(ZOO, cache_dir=tmp_path, local_files_only=True), pushed)


def test_a_good_copy_outlives_a_forced_download_that_fails(
    hub: LocalHub, pushed: Ticket, tmp_path: Path, links: bool
) -> None:
    load_ticket(ZOO, cache_dir=tmp_path)
    hub.faults.fail("GET", "/files/*masks.safetensors", status=403, times=None)
    refused(lambda: load_ticket(ZOO, cache_dir=tmp_path, force_download=True), "masks.safetensors")
    assert equal(load_ticket(ZOO, cache_dir=tmp_path, local_files_only=True), pushed)


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may not be long
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def lost_link(path: Path) -> None:
    path.symlink_to("nowhere")


IN_THE_WAY = {"folder": folder, "pipe": pipe, "socket": bound_socket, "lost link": lost_link}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_no_file_where_one_should_be(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, links: bool, name: str, kind: str
) -> None:
    """It is removed and the file fetched; without a network it is named."""
    limit(monkeypatch, seconds=10)  # to read from a pipe would take for ever
    load_ticket(ZOO, cache_dir=tmp_path)
    path = cached(tmp_path, name)
    path.unlink()
    IN_THE_WAY[kind](path)

    def offline() -> object:
        return load_ticket(ZOO, cache_dir=tmp_path, local_files_only=True).rewind_state

    words = ("not in the cache",) if kind == "lost link" else (str(path), f"is a {kind}", "remove it")
    assert "damaged" not in refused(offline, *words)
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)
    assert path.is_file()


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket"])
def test_no_file_where_the_content_should_be(hub: LocalHub, pushed: Ticket, tmp_path: Path, kind: str) -> None:
    load_ticket(ZOO, cache_dir=tmp_path)
    content = cached(tmp_path, FILES[1]).resolve()
    content.unlink()
    IN_THE_WAY[kind](content)
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)
    assert content.is_file()


@pytest.mark.parametrize("name", ["ticket.json", "seed-0/masks.safetensors"])
def test_what_may_be_somebodys_is_named_and_stays(hub: LocalHub, pushed: Ticket, tmp_path: Path, name: str) -> None:
    load_ticket(ZOO, cache_dir=tmp_path)
    path = cached(tmp_path, name)
    path.unlink()
    (path / "mine").mkdir(parents=True)
    refused(lambda: load_ticket(ZOO, cache_dir=tmp_path), str(path), "is a folder", "move it away")
    assert (path / "mine").is_dir()


def test_a_file_or_pipe_where_a_folder_should_be(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    load_ticket(ZOO, cache_dir=tmp_path)
    path = cached(tmp_path, FILES[1]).parent
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    path.write_text("mine")
    refused(lambda: load_ticket(ZOO, cache_dir=tmp_path), str(path), "is a file", "move it away")
    assert path.read_text() == "mine"
    path.unlink()
    os.mkfifo(path)
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_no_file_where_the_branch_should_be(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    limit(monkeypatch, seconds=10)
    load_ticket(ZOO, cache_dir=tmp_path)
    (ref,) = tmp_path.glob("models--*/refs/main")
    ref.unlink()
    IN_THE_WAY[kind](ref)
    offline: Callable[[], object] = lambda: load_ticket(ZOO, cache_dir=tmp_path, local_files_only=True)  # noqa: E731
    refused(offline, str(ref), f"is a {kind}", "remove it")
    assert equal(load_ticket(ZOO, cache_dir=tmp_path), pushed)
    assert offline()


def test_a_pipe_where_the_card_should_be_does_not_hold_up_a_push(
    hub: LocalHub, pushed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    limit(monkeypatch, seconds=10)
    make_ticket(license="mit").push_to_hub(ZOO)
    path = cached(Path(constants.HF_HUB_CACHE), "README.md")
    path.unlink()
    os.mkfifo(path)
    hub.repo(ZOO).write({"seed-1/masks.safetensors": None})
    assert make_ticket(license="mit").push_to_hub(ZOO).changed
