"""`ticketzoo site`: sources, broken tickets, and folders that it writes into or leaves alone."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server.fixtures import LocalHub
from made_gallery import judged, rows, save
from toy_ticket import forge
from toy_zoo import make_ticket
from typer.testing import CliRunner, Result

from ticketzoo.api.site import site
from ticketzoo.cli.main import app
from ticketzoo.errors import RegistryError, RunError
from ticketzoo.gallery.writing import MARK, write_gallery


def run(line: str) -> Result:
    """Return the result of `ticketzoo LINE`, which has to end well."""
    result = CliRunner().invoke(app, shlex.split(line))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKETZOO_REGISTRY", raising=False)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_registry_here_is_shown_and_the_same_tickets_give_the_same_bytes(here: Path) -> None:
    save(here / "registry" / "one", verdict=judged("matching"))
    assert run("site out").stdout.startswith("out/index.html: 1 ticket, ")
    before = contents(here / "out")
    document = json.loads(run("site out --json").stdout)
    assert contents(here / "out") == before
    assert document == {
        "index": "out/index.html",
        "tickets": ["one"],
        "left_out": [],
        "bytes": sum(map(len, before.values())) - len(before[MARK]),
    }


def test_several_registries_each_ticket_once_and_those_of_one_name_told_apart(here: Path) -> None:
    save(here / "a" / "one")
    save(here / "b" / "one", results=[])
    made = site("out", ["a", "b", here / "a"])
    assert made.tickets == ["./b/one", "one"]
    assert (here / "out" / "tickets" / "one" / "index.html").is_file()
    assert (here / "out" / "tickets" / "b-one" / "index.html").is_file()


def test_broken_tickets_are_named_and_left_out(here: Path) -> None:
    save(here / "registry" / "good")
    (save(here / "registry" / "torn") / "ticket.json").write_text("{")
    forge(save(here / "registry" / "odd"), "results.jsonl", b'{"arm": 3}\n')
    (save(here / "registry" / "altered") / "results.jsonl").write_text("{}\n")
    forge(save(here / "registry" / "twice"), "recipe.yaml", b"a: 1\na: 2\n")
    shown = run("site out")
    assert "1 ticket" in shown.stdout
    lines = [line for line in shown.stderr.splitlines() if line.startswith("ticketzoo: left out: ")]
    assert len(lines) == 4
    for name in ("torn", "odd", "altered", "twice"):
        assert [line for line in lines if f"registry/{name}" in line], (name, lines)
    assert "registry/" not in (here / "out" / "index.html").read_text()


def test_without_a_registry_runs_and_the_shipped_tickets_are_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TICKETZOO_REGISTRY", raising=False)
    shipped = save(here / "shipped" / "small").parent
    monkeypatch.setattr("ticketzoo.zoo.places.shipped_registry", lambda: shipped)
    save(here / "runs" / "mine" / "mine")
    assert site("out").tickets == ["mine", "small"]


def test_nothing_to_show_is_a_page_that_says_so(here: Path) -> None:
    (here / "registry").mkdir()
    done = run("site out")
    assert done.stdout.startswith("out/index.html: 0 tickets")
    assert "no ticket was found: --registry names a folder whose folders are tickets" in done.stderr
    assert "There are no tickets here yet" in (here / "out" / "index.html").read_text()


def test_tickets_of_an_owner_on_the_hub_without_their_weights(hub: LocalHub, here: Path) -> None:
    hub.login("alice")
    make_ticket(results=rows(), verdict=judged("matching")).push_to_hub("alice/zoo")
    hub.create("alice/none", {"README.md": b"---\nlibrary_name: ticketzoo\n---\n", "ticket.json": b"{"})
    save(here / "registry" / "mine")
    hub.requests.clear()
    made = run("site out --registry hub:alice --registry registry")
    assert "2 tickets" in made.stdout and "left out: hub:alice/none@" in made.stderr
    page = (here / "out" / "index.html").read_text()
    assert "load_ticket(&#34;alice/zoo&#34;, level=1)" in page
    rows_page = (here / "out" / "tickets" / "alice-zoo" / "rows.html").read_text()
    assert "ticketzoo reproduce alice/zoo --level 1 --arm ticket" in rows_page
    assert not [seen.path for seen in hub.requests if "safetensors" in seen.path]


@pytest.mark.parametrize(
    ("registry", "message"),
    [("nowhere", "nowhere: no such folder"), ("hub:", "write hub:OWNER"), ("hub:a/b", "hub:OWNER")],
)
def test_sources_that_there_are_not(here: Path, registry: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        site("out", registry)
    assert list(here.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(here: Path) -> None:
    (here / "registry").mkdir()
    (here / "thesis").mkdir()
    (here / "thesis" / "chapter.txt").write_text("years")
    with pytest.raises(RunError, match="thesis: holds something else than a gallery: choose a new folder"):
        site("thesis")
    (here / "file").write_text("")
    with pytest.raises(RunError, match="file: is a file"):
        site("file")
    site("out")
    (here / "out" / "tickets").mkdir(exist_ok=True)
    (here / "out" / "tickets" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"out: tickets/notes.txt is not of the gallery there, and would be lost"):
        site("out")
    assert (here / "out" / "tickets" / "notes.txt").read_text() == "mine"
    (here / "thesis" / MARK).write_text('{"made_by": "somebody"}')
    with pytest.raises(RunError, match="holds something else"):
        site("thesis")


def test_an_empty_folder_and_an_older_gallery_are_replaced(here: Path) -> None:
    (here / "out").mkdir()
    write_gallery([("index.html", b"old"), ("tickets/gone/index.html", b"old")], here / "out")
    write_gallery([("index.html", b"new")], here / "out")
    assert sorted(contents(here / "out")) == [MARK, "index.html"]
    assert [path.name for path in here.iterdir()] == ["out"]


def test_a_gallery_that_fails_while_it_is_made_leaves_the_old_one(here: Path) -> None:
    write_gallery([("index.html", b"old")], here / "out")

    def failing() -> Iterator[tuple[str, bytes]]:
        yield "index.html", b"new"
        raise RunError("no more")

    with pytest.raises(RunError, match="no more"):
        write_gallery(failing(), here / "out")
    assert (here / "out" / "index.html").read_bytes() == b"old"
    assert [path.name for path in here.iterdir()] == ["out"]


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_the_old_one_and_the_next_goes_on(here: Path) -> None:
    write_gallery([("index.html", b"old")], here / "out")
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom ticketzoo.gallery.writing import write_gallery\n"
        "def files():\n    yield 'index.html', b'new'\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write_gallery(files(), Path({str(here / 'out')!r}))\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert (here / "out" / "index.html").read_bytes() == b"old"
    write_gallery([("index.html", b"newer")], here / "out")
    assert (here / "out" / "index.html").read_bytes() == b"newer"
    assert [path.name for path in here.iterdir()] == ["out"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_cannot_be_written_is_one_line(here: Path) -> None:
    (here / "registry").mkdir()
    (here / "closed").mkdir(mode=0o500)
    with pytest.raises(RunError, match="closed/out: cannot be written"):
        site("closed/out")
