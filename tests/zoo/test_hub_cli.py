"""The commands that speak to the Hub, as a user types them."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from hub_server.fixtures import LocalHub
from toy_zoo import ZOO, make_ticket, save_ticket
from typer.testing import CliRunner, Result

from ticketzoo import Ticket
from ticketzoo.cli.main import app
from ticketzoo.errors import RegistryError, TicketzooError


def run(line: str) -> Result:
    """Return what `ticketzoo LINE` prints; a failure is raised, as `main` prints it in one line."""
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


VERDICT = {
    "rule": "a rule", "metric": "test_accuracy", "at": "final", "label": "matching", "sparsity": 0.5,
    "levels": [{"level": 1, "sparsity": 0.5, "target": "digits", "label": "matching", "seeds": 2, "reason": "so"}],
}  # fmt: skip


@pytest.mark.slow
def test_push_search_pull_verify(hub: LocalHub, here: Path) -> None:
    """Publish, find, copy into a fresh cache in another process, verify: bit for bit the same."""
    hub.login("alice")
    folder = save_ticket(here / "registry" / "lenet.digits-imp")
    url = run("push registry/lenet.digits-imp alice/zoo --message Hello").stdout
    assert url == f"{hub.endpoint}/alice/zoo/commit/{hub.repo(ZOO).find().oid}\n"
    again = run("push lenet.digits-imp alice/zoo")
    assert again.stdout == url and "holds this ticket already" in again.stderr
    assert "alice/zoo" in run("search --architecture lenet-300-100 --source digits").stdout
    pulled = hub.run(sys.executable, "-m", "ticketzoo", "pull", ZOO, "--to", str(here / "copy"), user="bob")
    assert (pulled.returncode, pulled.stdout) == (0, f"{here / 'copy'}\n"), pulled.stderr
    verified = run("verify ./copy").stdout
    assert "verified" in verified and "README.md: NOTE" not in verified
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        assert (here / "copy" / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_push_warns_of_local_paths_and_of_no_licence(
    hub: LocalHub, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.login("alice")
    recipe = "name: lenet.digits-imp\ntask: {dataset: {path: /home/alice/secret}}\n"
    save_ticket(here / "registry" / "lenet.digits-imp", license=None, recipe_text=recipe)
    run("push lenet.digits-imp alice/zoo")
    assert "no licence is stated" in caplog.text
    assert "name folders of this machine" in caplog.text
    caplog.clear()
    save_ticket(here / "registry" / "lenet.digits-imp")
    run("push lenet.digits-imp alice/zoo")
    assert not caplog.text


def test_the_card_of_a_pushed_folder_has_its_measurements(hub: LocalHub, here: Path) -> None:
    hub.login("alice")
    save_ticket(here / "registry" / "lenet.digits-imp")
    run("push lenet.digits-imp alice/zoo --private")
    assert hub.repo(ZOO).private
    card = hub.repo(ZOO).files()["README.md"].decode()
    assert "## What was measured" in card and 'load_ticket("alice/zoo"' in card
    assert run("pull alice/zoo").stdout == "registry/lenet.digits-imp\n"
    published = json.loads(run("push lenet.digits-imp alice/zoo --create-pr --json").stdout)
    assert published["changed"] is False


def test_a_kept_card_is_said(hub: LocalHub, here: Path, pushed: Ticket) -> None:
    hub.repo(ZOO).write({"README.md": b"---\nlicense: mit\n---\nMine\n"})
    save_ticket(here / "registry" / "t")
    assert "README.md was edited there and is kept; --replace-card" in run("push t alice/zoo").stderr
    assert run("push t alice/zoo --replace-card").stdout
    assert b"Mine" not in hub.repo(ZOO).files()["README.md"]


def test_info_needs_no_masks_and_no_weights(hub: LocalHub, pushed: Ticket) -> None:
    lines = run("info alice/zoo").stdout.splitlines()
    assert f"folder        hub:alice/zoo@{hub.repo(ZOO).find().oid}" in lines
    document = json.loads(run("info hub:alice/zoo@main --json").stdout)
    assert document["mask_sha256"] == pushed.config.mask_sha256
    assert sorted(document["files"]) == [
        "recipe.yaml", "results.jsonl", "seed-0/masks.safetensors", "seed-0/rewind.safetensors",
        "seed-1/masks.safetensors", "seed-1/rewind.safetensors",
    ]  # fmt: skip
    assert not hub.calls("GET", "/files/*")


def test_verify_on_the_hub_makes_a_damaged_cache_good(hub: LocalHub, pushed: Ticket) -> None:
    assert f"hub:alice/zoo@{hub.repo(ZOO).find().oid}: verified" in run("verify alice/zoo").stdout
    from huggingface_hub import try_to_load_from_cache

    path = Path(try_to_load_from_cache(ZOO, "seed-1/rewind.safetensors"))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    run("verify alice/zoo")
    assert path.read_bytes() == content


@pytest.fixture
def three(hub: LocalHub, here: Path) -> list[str]:
    """Three tickets, in `registry` and at alice's, and something that is none."""
    hub.login("alice")
    tickets = {
        "a": make_ticket(name="a"),
        "b": make_ticket(name="b", source={"dataset": "ylecun/mnist"}, verdict=VERDICT),
        "c": make_ticket(name="c", task="text-classification", license="mit"),
    }
    for name, ticket in tickets.items():
        ticket.save_pretrained(here / "registry" / name)
        ticket.push_to_hub(f"alice/{name}")
    hub.create("bob/bert", {"README.md": b"---\nlibrary_name: transformers\n---\n"})
    return list(tickets)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("", "abc"),
        ("--source ylecun/mnist", "b"),
        ("--verdict matching", "b"),
        ("--verdict 'not measured'", "ac"),
        ("--task text-classification", "c"),
        ("--architecture lenet-300-100 --source digits", "ac"),
        ("--architecture resnet-20", ""),
        ("--sparsity 0.6", "abc"),
        ("--sparsity 0.9", ""),
    ],
)
def test_search_finds_the_same_in_a_folder_and_on_the_hub(three: list[str], question: str, answer: str) -> None:
    for where, prefix in (("registry", ""), ("hub:", "alice/"), ("hub:alice", "alice/")):
        found = json.loads(run(f"search {question} --registry {where} --json").stdout)
        assert "".join(ticket["name"] for ticket in found) == answer
        shown = run(f"search {question} --registry {where}").stdout
        assert [name for name in three if f" {prefix}{name} " in shown] == list(answer)


def test_the_same_table_for_a_folder_and_the_hub(three: list[str]) -> None:
    def rows(where: str) -> list[str]:
        lines = run(f"list --registry {where}").stdout.splitlines()
        return [" ".join(line.split()).replace("alice/", "") for line in lines if "lenet" in line]

    assert len(rows("registry")) == 3
    assert rows("registry") == rows("hub:alice")
    assert json.loads(run("list --registry hub:bob --json").stdout) == []
    assert [one["name"] for one in json.loads(run("list --registry hub:alice --filter mnist --json").stdout)] == ["b"]


def test_a_second_search_fetches_nothing_again(hub: LocalHub, three: list[str]) -> None:
    run("search")
    hub.requests.clear()
    run("search")
    assert [seen.path for seen in hub.requests] == ["/api/models"]


def test_cards_may_lie_and_tickets_may_be_none(hub: LocalHub, three: list[str]) -> None:
    lying = b"---\nlibrary_name: ticketzoo\ntags: [lenet-300-100, verdict-winning]\n---\n"
    hub.repo("alice/a").write({"README.md": lying})
    hub.create("mallory/none", {"README.md": lying})
    hub.create("mallory/evil", {"README.md": lying, "ticket.json": b'{"format": 1, "name": "\\u001b[31m"}'})
    found = run("search --verdict winning")
    assert "no such tickets in hub:" in found.stdout
    assert "left out: hub:mallory/none@" in found.stderr and "has no ticket.json" in found.stderr
    assert "left out: hub:mallory/evil@" in found.stderr and "ticket.json: name: " in found.stderr
    assert "\x1b" not in found.stdout + found.stderr


def test_a_hub_that_does_not_answer_leaves_the_tickets_at_hand(hub: LocalHub, here: Path) -> None:
    save_ticket(here / "registry" / "lenet.digits-imp")

    said = "the Hub: the Hub cannot answer now (503): try again later"
    hub.faults.fail("GET", "/api/models", status=503, times=None)
    found = run("search --architecture lenet-300-100 --source digits")
    assert "lenet.digits-imp" in found.stdout
    assert found.stderr == f"ticketzoo: warning: {said}; these are the tickets at hand\n"
    for where in ("hub:", "hub:alice"):
        with pytest.raises(RegistryError, match=r"\(503\): .*; to search the tickets at hand, give their folder"):
            run(f"search --registry {where}")


def test_results_come_in_pages(hub: LocalHub, three: list[str]) -> None:
    hub.page_size = 2
    assert len(json.loads(run("search --json").stdout)) == 3
    assert len(json.loads(run("search --limit 2 --json").stdout)) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("search --sparsity 90", "write 0.9 for 90%"),
        (
            "search --verdict best",
            "choose one of winning, filters matter, matches untrained, matching, works untrained, undecided, below",
        ),
        ("list --registry hub:a/b", "hub:OWNER"),
        ("list --registry nowhere", "no such folder"),
        ("pull zoo", "is not a Hub id"),
        ("pull nobody/zoo", "no such repository"),
        ("info nobody/zoo", "no such repository"),
        ("push t alice", "is not a Hub id"),
        ("push t alice/zoo@v1", "the branch as revision"),
    ],
)
def test_refusals_are_one_line(hub: LocalHub, here: Path, line: str, words: str) -> None:
    save_ticket(here / "registry" / "t")
    with pytest.raises(TicketzooError) as failed:
        run(line)
    assert words in str(failed.value) and "\n" not in str(failed.value)


@pytest.mark.slow
def test_a_failure_is_one_line_and_status_1(hub: LocalHub) -> None:
    failed = hub.run(sys.executable, "-m", "ticketzoo", "pull", "alice/secret", user=None, OMP_NUM_THREADS="1")
    assert (failed.returncode, failed.stdout) == (1, "")
    (line,) = failed.stderr.splitlines()
    assert line.startswith("ticketzoo: hub:alice/secret@main: no such repository, or a private one")
