"""Publishing, fetching and loading with the real client over HTTP."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from hub_server.fixtures import LocalHub
from toy_zoo import ROWS, ZOO, equal, found, make_ticket, save_ticket

from ticketzoo import Ticket, load_ticket
from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.hub.references import hub_reference
from ticketzoo.ticket.card_metadata import tags
from ticketzoo.zoo.pull import pull_ticket
from ticketzoo.zoo.verify import verify_ticket


def fetched(hub: LocalHub) -> list[str]:
    """The files whose bytes were sent, by path in the repository."""
    names = [seen.path for path in ("*/resolve/*", "/files/*") for seen in hub.calls("GET", path)]
    return sorted(name.rpartition("/")[2] for name in names if not name.endswith(".safetensors") or "/files/" in name)


def test_push_pull_load_and_verify(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    folder, _ = pull_ticket(ZOO, tmp_path / "copy")
    assert verify_ticket(folder)
    for seed in (0, 1):
        for level in (1, 2):
            there = load_ticket(ZOO, seed=seed, level=level)
            assert equal(there, pushed.at(seed=seed, level=level))
            assert equal(Ticket.from_pretrained(folder, seed=seed, level=level), there)
    assert load_ticket(f"hub:{ZOO}@main", sparsity=0.5).level == 1
    assert load_ticket(ZOO).results == pushed.results
    assert load_ticket(ZOO).recipe_text == pushed.recipe_text


def test_a_push_is_one_commit_and_the_same_ticket_again_is_none(hub: LocalHub) -> None:
    hub.login("alice")
    first = make_ticket().push_to_hub(ZOO, commit_message="Hello")
    assert [commit.title for commit in hub.repo(ZOO).commits()] == ["Hello", "initial commit"]
    assert (first.commit, first.changed) == (hub.repo(ZOO).find().oid, True)
    again = make_ticket().push_to_hub(ZOO)
    assert (again.commit, again.changed) == (first.commit, False)
    assert again.url == first.url
    assert len(hub.repo(ZOO).commits()) == 2


def test_a_replicate_that_is_gone_from_the_ticket_goes_from_the_repository(hub: LocalHub, pushed: Ticket) -> None:
    hub.repo(ZOO).write({"notes.txt": b"mine"})
    make_ticket(replicates=[found(0)]).push_to_hub(ZOO)
    files = hub.repo(ZOO).files()
    assert "notes.txt" in files and "seed-0/masks.safetensors" in files
    assert not [name for name in files if name.startswith("seed-1/")]
    assert load_ticket(ZOO).seeds == [0]


def test_only_what_is_needed_is_fetched(hub: LocalHub, pushed: Ticket) -> None:
    load_ticket(ZOO, masks_only=True)
    assert fetched(hub) == ["masks.safetensors", "ticket.json"]
    hub.requests.clear()
    ticket = load_ticket(ZOO)
    assert fetched(hub) == ["rewind.safetensors"]
    hub.requests.clear()
    assert ticket.at(seed=1).masks
    assert fetched(hub) == ["masks.safetensors", "rewind.safetensors"]
    hub.requests.clear()
    assert ticket.results
    assert fetched(hub) == ["results.jsonl"]


def test_masks_only_has_no_weights_to_give(hub: LocalHub, pushed: Ticket) -> None:
    ticket = load_ticket(ZOO, masks_only=True)
    with pytest.raises(TicketError, match="without masks_only"):
        ticket.build()
    model = pushed.build()
    ticket.apply(model, rewind=False)
    assert torch.equal(model.fc1.weight != 0, ticket.masks["fc1.weight"])


def test_everything_is_of_one_commit(hub: LocalHub, pushed: Ticket) -> None:
    """A push while a ticket is in use changes nothing for who holds it."""
    ticket = load_ticket(ZOO)
    make_ticket(results=[{"level": 1}]).push_to_hub(ZOO)
    assert ticket.results == pushed.results
    assert load_ticket(ZOO).results == [{"level": 1}]


def test_a_revision_can_be_a_branch_a_tag_or_a_commit(hub: LocalHub, pushed: Ticket) -> None:
    first = hub.repo(ZOO).find().oid
    hub.api().create_tag(ZOO, tag="v1")
    make_ticket(license="mit").push_to_hub(ZOO, revision="next")
    assert hub.repo(ZOO).find().oid == first
    assert load_ticket(f"{ZOO}@next").config.license == "mit"
    for revision in ("v1", first, "main"):
        assert load_ticket(ZOO, revision=revision).config.license == "apache-2.0"
    with pytest.raises(RegistryError, match=r"alice/zoo@v2: .* no such branch, tag or commit"):
        load_ticket(f"{ZOO}@v2")
    with pytest.raises(RegistryError, match="two revisions"):
        load_ticket(f"{ZOO}@v1", revision="next")


@pytest.mark.parametrize("revision", ["../../etc/passwd", "a/../../b", "-x", "a b", "\x1b[31m"])
def test_a_revision_leads_nowhere_else(hub: LocalHub, revision: str) -> None:
    with pytest.raises(RegistryError, match="cannot be a branch, tag or commit") as refused:
        load_ticket(ZOO, revision=revision)
    assert "\x1b" not in str(refused.value)


def test_a_pinned_commit_in_the_cache_is_not_asked_for_again(hub: LocalHub, pushed: Ticket) -> None:
    commit = hub.repo(ZOO).find().oid
    load_ticket(ZOO, revision=commit)
    hub.requests.clear()
    load_ticket(ZOO, revision=commit)
    assert not hub.requests


def test_force_download_fetches_each_file_again_once(hub: LocalHub, pushed: Ticket) -> None:
    load_ticket(ZOO)
    hub.requests.clear()
    ticket = load_ticket(ZOO, force_download=True)
    assert ticket.masks and ticket.rewind_state
    assert fetched(hub) == ["masks.safetensors", "rewind.safetensors", "ticket.json"]


def test_masks_can_be_pinned(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    digest = pushed.config.mask_sha256
    assert load_ticket(ZOO, mask_sha256=digest).level == 2
    folder = save_ticket(tmp_path / "t")
    assert Ticket.from_pretrained(folder, mask_sha256=digest, masks_only=True)
    for reference in (ZOO, str(folder)):
        with pytest.raises(TicketError, match=f"{digest}, not {'0' * 64}"):
            load_ticket(reference, mask_sha256="0" * 64)


def test_a_folder_needs_no_rewind_weights_for_masks_only(tmp_path: Path) -> None:
    folder = save_ticket(tmp_path / "t")
    (folder / "seed-0" / "rewind.safetensors").unlink()
    assert load_ticket(str(folder), masks_only=True).masks
    with pytest.raises(TicketError, match=r"rewind.safetensors: missing"):
        load_ticket(str(folder))


@pytest.mark.slow
def test_cache_dir_and_offline(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"alice/zoo@main: not in the cache"):
        load_ticket(ZOO, local_files_only=True)
    load_ticket(ZOO, cache_dir=tmp_path / "cache")
    with hub.down():
        assert equal(load_ticket(ZOO, cache_dir=tmp_path / "cache", local_files_only=True), pushed)
        offline = hub.run_python(
            "from ticketzoo import load_ticket; print(load_ticket('alice/zoo').seed)",
            HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "cache"), OMP_NUM_THREADS="1",
        )  # fmt: skip
        assert (offline.returncode, offline.stdout) == (0, "0\n"), offline.stderr
    hub.requests.clear()
    load_ticket(ZOO, cache_dir=tmp_path / "cache", local_files_only=True)
    assert not hub.requests
    with pytest.raises(RegistryError, match=r"seed-1/masks.safetensors: not in the cache"):
        load_ticket(ZOO, cache_dir=tmp_path / "cache", local_files_only=True, seed=1)


SHIPPED = sorted(path.parent for path in (Path(__file__).resolve().parents[2] / "registry").glob("*/ticket.json"))


@pytest.mark.slow
@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_every_shipped_ticket_can_be_published(hub: LocalHub, folder: Path) -> None:
    """With a card whose metadata the client and the Hub accept and filter on."""
    from huggingface_hub import ModelCard

    hub.login("alice")
    repo_id = f"alice/{folder.name}"
    ticket = Ticket.from_pretrained(folder)
    assert ticket.push_to_hub(repo_id).changed
    card = ModelCard(hub.repo(repo_id).files()["README.md"].decode())
    card.validate()
    assert card.data.library_name == "ticketzoo"
    assert set(tags(ticket.config)) <= set(hub.api().model_info(repo_id).tags)
    assert f'load_ticket("{repo_id}"' in card.text
    assert load_ticket(repo_id, masks_only=True).config == ticket.config


def test_a_card_of_ones_own_is_found_too(hub: LocalHub) -> None:
    hub.login("alice")
    make_ticket().push_to_hub(ZOO, card="---\ntags: [mine]\n---\n# My ticket\n")
    published = hub.api().model_info(ZOO)
    assert published.library_name == "ticketzoo"
    assert {"mine", "lottery-ticket", "source-digits"} <= set(published.tags)
    assert b"# My ticket" in hub.repo(ZOO).files()["README.md"]
    with pytest.raises(TicketError, match=r"README.md: its metadata cannot be read"):
        make_ticket().push_to_hub(ZOO, card="---\ntags: [\n---\n")


def test_a_repository_may_have_any_name(hub: LocalHub) -> None:
    hub.login("alice")
    assert make_ticket().push_to_hub("alice/restricted").changed


def test_private_repositories(hub: LocalHub) -> None:
    hub.login("alice")
    make_ticket().push_to_hub(ZOO, private=True)
    assert hub.repo(ZOO).private
    make_ticket(license="mit").push_to_hub(ZOO, private=True)
    hub.repo(ZOO).private = False
    with pytest.raises(RegistryError, match=r"exists and is public: .* nothing was published"):
        make_ticket(license="gpl-3.0").push_to_hub(ZOO, private=True)
    assert json.loads(hub.repo(ZOO).files()["ticket.json"])["license"] == "mit"


def test_a_pull_request_leaves_the_branch_alone(hub: LocalHub, pushed: Ticket) -> None:
    before = hub.repo(ZOO).find().oid
    hub.login("bob")
    proposed = make_ticket(license="mit").push_to_hub(ZOO, create_pr=True)
    assert proposed.url == f"{hub.endpoint}/{ZOO}/discussions/1"
    assert hub.repo(ZOO).find().oid == before
    assert load_ticket(f"{ZOO}@refs/pr/1").config.license == "mit"
    assert not make_ticket().push_to_hub(ZOO, create_pr=True).changed


def test_a_card_edited_on_the_hub_is_kept(hub: LocalHub, pushed: Ticket) -> None:
    make_ticket(license="mit").push_to_hub(ZOO)
    assert b"license: mit" in hub.repo(ZOO).files()["README.md"]
    edited = hub.repo(ZOO).files()["README.md"].replace(b"## Limits", b"## My own words")
    hub.repo(ZOO).write({"README.md": edited})
    kept = make_ticket(license="apache-2.0").push_to_hub(ZOO)
    assert (kept.card_kept, kept.changed) == (True, True)
    assert hub.repo(ZOO).files()["README.md"] == edited
    assert load_ticket(ZOO).config.license == "apache-2.0"
    replaced = make_ticket().push_to_hub(ZOO, replace_card=True)
    assert (replaced.card_kept, replaced.changed) == (False, True)
    assert b"## Limits" in hub.repo(ZOO).files()["README.md"]


def test_the_card_loads_the_ticket_by_its_hub_id(hub: LocalHub, tmp_path: Path) -> None:
    from ticketzoo.evaluation.evidence import ticket_card

    of_the_sparsest = [row | ({"level": 2, "sparsity": 0.75} if row["arm"] == "ticket" else {}) for row in ROWS]
    ticket = make_ticket(results=of_the_sparsest)
    card = ticket_card(ticket.config, ticket.results)
    folder = ticket.save_pretrained(tmp_path / "t", extras={"README.md": card.encode(), "curve.png": b"\x89PNG\r\n"})
    hub.login("alice")
    Ticket.from_pretrained(folder).push_to_hub(ZOO)
    published = hub.repo(ZOO).files()
    assert b'load_ticket("alice/zoo"' in published["README.md"]
    assert published["curve.png"] == b"\x89PNG\r\n"
    assert b"0.9" in published["README.md"]
    copy, _ = pull_ticket(ZOO, tmp_path / "copy")
    assert (copy / "curve.png").read_bytes() == b"\x89PNG\r\n"
    assert not Ticket.from_pretrained(copy).push_to_hub(ZOO).changed


def test_a_card_from_ticket_json_alone_claims_nothing_about_measurements(hub: LocalHub, pushed: Ticket) -> None:
    card = hub.repo(ZOO).files()["README.md"].decode()
    assert "measured" not in card.split("## Limits")[0].replace("verdict-not-measured", "")
    tags = hub.api().model_info(ZOO).tags
    assert {"ticketzoo", "lottery-ticket", "lenet-300-100", "source-digits", "task-image-classification"} <= set(tags)


def test_tokens_are_not_published(hub: LocalHub) -> None:
    hub.login("alice")
    token = hub.token("alice")
    with pytest.raises(RegistryError, match=r"recipe.yaml holds an access token: nothing was published") as refused:
        make_ticket(recipe_text=f"token: {token}\n").push_to_hub(ZOO)
    assert token not in str(refused.value)
    with pytest.raises(RegistryError, match=r"ticket.json holds an access token"):
        make_ticket(license="secret-word").push_to_hub(ZOO, token="secret-word")
    assert not hub.calls("POST", "*/commit/*")


def test_a_damaged_folder_is_not_published(hub: LocalHub, tmp_path: Path) -> None:
    hub.login("alice")
    folder = save_ticket(tmp_path / "t")
    ticket = Ticket.from_pretrained(folder)
    path = folder / "seed-1" / "rewind.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(TicketError, match=r"seed-1/rewind.safetensors: damaged"):
        ticket.push_to_hub(ZOO)
    assert not hub.calls("POST", "*/commit/*")


def test_small_texts_of_a_push_share_one_request(hub: LocalHub) -> None:
    hub.login("alice")
    ticket = make_ticket()
    ticket.push_to_hub(ZOO)
    assert len(hub.repo(ZOO).files().keys() - {".gitattributes"}) == 8
    assert len(hub.calls("POST", "*/preupload/*")) == 4 + 1  # masks and rewind weights of two seeds, and all the rest
    hub.requests.clear()
    make_ticket(license="mit").push_to_hub(ZOO)  # ticket.json and the card
    assert len(hub.calls("POST", "*/preupload/*")) == 1


def test_pull_replaces_another_ticket_if_told_and_nothing_else(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(TicketError, match="holds something else than a ticket"):
        pull_ticket(ZOO, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    old = save_ticket(tmp_path / "old", license="mit")
    before = (old / "ticket.json").read_bytes()
    with pytest.raises(RegistryError, match="old: holds another ticket; --replace puts this one in its place"):
        pull_ticket(ZOO, old)
    assert (old / "ticket.json").read_bytes() == before
    pull_ticket(ZOO, old, replace=True)
    assert load_ticket(str(old)).config.license == "apache-2.0"
    (old / "README.md").write_text("mine")
    pull_ticket(ZOO, old)  # the same ticket: nothing changes
    assert (old / "README.md").read_text() == "mine"
    (old / "seed-0" / "masks.safetensors").write_bytes(b"")
    pull_ticket(ZOO, old)  # what is damaged is mended
    assert equal(load_ticket(str(old)), pushed)


def test_retrains_to_the_same_result(hub: LocalHub, pushed: Ticket) -> None:
    def retrained(ticket: Ticket) -> torch.Tensor:
        model = ticket.build()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        data = torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        for _ in range(5):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(data), torch.arange(32) % 3).backward()
            optimizer.step()
        return model(data)

    assert torch.equal(retrained(load_ticket(ZOO)), retrained(pushed))


def test_nothing_of_the_token_is_in_the_ticket(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    token = hub.token("alice")
    ticket = load_ticket(ZOO, token=token)
    assert token not in repr(ticket) + repr(vars(ticket)["_stored"])
    ticket.save_pretrained(tmp_path / "t")
    shutil.copytree(tmp_path / "t", tmp_path / "u")
    assert not [path for path in (tmp_path / "u").rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


def named(hub: LocalHub, repo_id: str) -> str:
    """The name in the card's line that loads the ticket."""
    (name,) = re.findall(r'load_ticket\("([^"]+)"', hub.repo(repo_id).files()["README.md"].decode())
    return str(name)


def test_a_renamed_repository_is_published_to_by_its_name_now(
    hub: LocalHub, pushed: Ticket, caplog: pytest.LogCaptureFixture
) -> None:
    """By the old name: no commit for the same ticket, whichever name its card has; then the card has the new name."""
    hub.store.rename(ZOO, "alice/moved")
    again = pushed.push_to_hub(ZOO)
    assert (again.changed, again.commit) == (False, hub.repo("alice/moved").find().oid)
    assert "alice/moved" in again.url
    assert "hub:alice/zoo: the repository is called alice/moved now" in caplog.text
    assert make_ticket(license="mit").push_to_hub(ZOO).changed
    assert named(hub, "alice/moved") == "alice/moved"
    assert not make_ticket(license="mit").push_to_hub(ZOO).changed
    assert not make_ticket(license="mit").push_to_hub("alice/moved").changed
    assert len(hub.repo("alice/moved").commits()) == 3
    assert "alice/zoo" not in {repo.id for repo in hub.store.repos.values()}


def test_a_renamed_repository_loads_by_its_old_name(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    hub.store.rename(ZOO, "alice/moved")
    assert equal(load_ticket(ZOO), pushed)
    folder, _ = pull_ticket(ZOO, tmp_path / "copy")
    assert not Ticket.from_pretrained(folder).push_to_hub("alice/moved").changed


def test_the_card_of_a_copy_has_the_name_it_is_published_under(hub: LocalHub, pushed: Ticket, tmp_path: Path) -> None:
    folder, _ = pull_ticket(ZOO, tmp_path / "copy")
    Ticket.from_pretrained(folder).push_to_hub(ZOO, revision="next")
    make_ticket().push_to_hub("Alice/Zoo".lower())
    assert len(hub.repo(ZOO).commits()) == 2
    hub.store.rename(ZOO, "alice/moved")
    hub.repo("alice/moved").write({"recipe.yaml": b"name: other\n"})
    assert Ticket.from_pretrained(folder).push_to_hub(ZOO).changed
    assert named(hub, "alice/moved") == "alice/moved"


ADDRESSES = {
    "https://huggingface.co/alice/zoo": "hub:alice/zoo",
    "https://huggingface.co/alice/zoo/": "hub:alice/zoo",
    "http://localhost:8080/alice/zoo?a=b#c": "hub:alice/zoo",
    "https://huggingface.co/alice/zoo/tree/main": "hub:alice/zoo@main",
    "https://hf.co/alice/zoo/blob/v1/ticket.json": "hub:alice/zoo@v1",
    "https://huggingface.co/alice/zoo/discussions": "hub:alice/zoo",
    "hub:https://huggingface.co/alice/zoo": "hub:alice/zoo",
    "huggingface.co/alice/zoo": "hub:alice/zoo",
    "hf://alice/zoo@v1": "hub:alice/zoo@v1",
    "git@hf.co:alice/zoo.git": "hub:alice/zoo",
    "https://huggingface.co/alice": "hub:owner/name",
    "https://huggingface.co/": "hub:owner/name",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_told_as_the_reference_it_means(hub: LocalHub, address: str) -> None:
    for use in (load_ticket, make_ticket().push_to_hub, hub_reference):
        with pytest.raises(RegistryError, match=f"is an address, not a reference: write {ADDRESSES[address]}$"):
            use(address)


def test_a_folder_that_looks_like_an_address_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_ticket(tmp_path / "huggingface.co" / "alice" / "zoo")
    assert load_ticket("huggingface.co/alice/zoo").config.name == "lenet.digits-imp"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 783\n"


@pytest.mark.parametrize("name", ["seed-0/masks.safetensors", "seed-0/rewind.safetensors", "ticket.json"])
def test_a_git_lfs_pointer_in_place_of_a_file_is_said(tmp_path: Path, name: str) -> None:
    folder = save_ticket(tmp_path / "t")
    (folder / name).write_bytes(POINTER)
    with pytest.raises(TicketError, match=f"{name}: is a Git LFS pointer, not the file itself: run `git lfs pull`"):
        _ = Ticket.from_pretrained(folder).rewind_state


def test_a_git_lfs_pointer_in_a_repository_is_said(hub: LocalHub, pushed: Ticket) -> None:
    hub.repo(ZOO).write({".gitattributes": b"\n"})
    hub.repo(ZOO).write({"seed-0/masks.safetensors": POINTER})
    with pytest.raises(RegistryError, match=r"masks.safetensors: has 128 bytes there, .* LFS pointer: ask its owner"):
        load_ticket(ZOO)
