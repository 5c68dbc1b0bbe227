"""Search, information, trees and downloads, as the unmodified client sees them."""

import hashlib

import pytest
from huggingface_hub import errors
from huggingface_hub.utils import get_session

from .fixtures import LocalHub
from .samples import CARD, MASKS
from .store import tree_ids


def test_search_by_tags_and_pages(hub: LocalHub) -> None:
    for number in range(5):
        text = CARD.replace("lenet]", f"lenet, 'size:{number % 2}']")
        hub.create(f"alice/lenet-{number}", {"README.md": text.encode(), "m.safetensors": MASKS[:600]})
    hub.create("bob/bert", {"README.md": b"---\nlibrary_name: transformers\n---\n"})
    hub.create("bob/hidden", {"README.md": CARD.encode()}, private=True)
    hub.page_size = 2
    api = hub.api("alice")

    def found(**query: object) -> list[str]:
        return sorted(model.id for model in api.list_models(**query))

    lenets = [f"alice/lenet-{number}" for number in range(5)]
    assert found(filter="ticketzoo") == lenets
    assert len(hub.calls("GET", "/api/models")) == 3  # 2 + 2 + 1
    assert found(filter=["ticketzoo", "size:1"]) == ["alice/lenet-1", "alice/lenet-3"]
    assert found(filter=["dataset:ylecun/mnist", "license:apache-2.0", "base_model:alice/dense"]) == lenets
    assert found(author="bob") == ["bob/bert"]
    assert found(search="LENET-3") == ["alice/lenet-3"]
    hub.repo("alice/lenet-4").gated = "auto"
    assert found(gated=True) == ["alice/lenet-4"]
    assert found(pipeline_tag="image-classification", limit=3) == ["alice/lenet-2", "alice/lenet-3", "alice/lenet-4"]
    assert sorted(m.id for m in hub.api("bob").list_models(author="bob")) == ["bob/bert", "bob/hidden"]
    hub.repo("alice/lenet-1").downloads = 9
    assert next(iter(api.list_models(sort="downloads"))).id == "alice/lenet-1"

    full = next(iter(api.list_models(search="lenet-0", full=True, cardData=True)))
    assert full.sha == hub.repo("alice/lenet-0").find().oid
    assert [sibling.rfilename for sibling in full.siblings] == [".gitattributes", "README.md", "m.safetensors"]
    assert full.card_data.datasets == ["ylecun/mnist"]
    bare = next(iter(api.list_models(search="lenet-0")))
    assert (bare.sha, bare.siblings, bare.card_data, bare.library_name) == (None, None, None, "ticketzoo")
    with pytest.raises(errors.BadRequestError, match="must be one of"):
        list(api.list_models(sort="beauty"))


def test_info_and_its_tags(hub: LocalHub) -> None:
    hub.create("alice/zoo", {"README.md": CARD.encode(), "m.safetensors": MASKS})
    info = hub.api().model_info("alice/zoo", files_metadata=True)
    assert info.tags == [
        "ticketzoo", "safetensors", "lottery-ticket", "lenet", "image-classification", "dataset:ylecun/mnist",
        "arxiv:1803.03635", "base_model:alice/dense", "base_model:finetune:alice/dense", "license:apache-2.0",
        "region:us",
    ]  # fmt: skip
    assert (info.library_name, info.pipeline_tag, info.private, info.gated) == (
        "ticketzoo", "image-classification", False, False,
    )  # fmt: skip
    files = {sibling.rfilename: sibling for sibling in info.siblings}
    assert files["m.safetensors"].lfs.sha256 == hashlib.sha256(MASKS).hexdigest()
    assert (files["m.safetensors"].size, files["README.md"].lfs) == (len(MASKS), None)
    assert hub.api().model_info("alice/zoo", expand=["sha"]).tags is None
    assert hub.api().model_info("ALICE/Zoo").id == "alice/zoo"


def test_the_tree_has_pages_and_last_commits(hub: LocalHub) -> None:
    repo = hub.create("alice/zoo", {f"f/{number}.txt": b"%d" % number for number in range(7)})
    repo.write({"f/3.txt": b"changed"}, "change three")
    hub.tree_page_size = 3
    api = hub.api()
    paths = [entry.path for entry in api.list_repo_tree("alice/zoo", recursive=True)]
    assert paths == [".gitattributes", "f", *(f"f/{number}.txt" for number in range(7))]
    assert len(hub.calls("GET", "*/tree/main")) == 3
    assert [entry.path for entry in api.list_repo_tree("alice/zoo")] == [".gitattributes", "f"]
    entries = api.get_paths_info("alice/zoo", ["f/3.txt", "f/4.txt", "f", "nothing"], expand=True)
    assert [entry.last_commit.title for entry in entries] == ["change three", "Upload", "change three"]
    with pytest.raises(errors.RemoteEntryNotFoundError):
        list(api.list_repo_tree("alice/zoo", "nothing"))
    with pytest.raises(errors.RevisionNotFoundError):
        list(api.list_repo_tree("alice/zoo", revision="nothing"))


def test_git_ids_are_those_of_git(hub: LocalHub) -> None:
    """Numbers from `git hash-object` and `git write-tree` over the same files."""
    hub.create("alice/zoo", {"a/b.txt": b"hello\n", "a.txt": b"hello\n", "a-x": b"hello\n", ".gitattributes": None})
    entries = {entry.path: entry for entry in hub.api().list_repo_tree("alice/zoo", recursive=True)}
    assert entries["a.txt"].blob_id == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert entries["a"].tree_id == "dd5a3627ad3d4a1eaa9b180972bab37891a5e101"
    assert tree_ids(hub.repo("alice/zoo").find().files)[""] == "23600f8b4c3289f8729628fb1089802dea5cebd5"


def test_ranges_and_headers_of_downloads(hub: LocalHub) -> None:
    hub.create("alice/zoo", {"m.safetensors": MASKS, "a.txt": b"0123456789"})
    url, session = f"{hub.endpoint}/alice/zoo/resolve/main/", get_session()
    head = session.head(url + "m.safetensors", follow_redirects=False)
    assert (head.status_code, head.headers["X-Linked-Size"]) == (302, str(len(MASKS)))
    assert head.headers["X-Linked-Etag"] == f'"{hashlib.sha256(MASKS).hexdigest()}"'
    assert head.headers["X-Repo-Commit"] == hub.repo("alice/zoo").find().oid
    for asked, status, content in (("bytes=2-4", 206, b"234"), ("bytes=7-", 206, b"789"), ("bytes=-2", 206, b"89")):
        answer = session.get(url + "a.txt", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (status, content)
    beyond = session.get(url + "a.txt", headers={"Range": "bytes=10-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */10")
    location = head.headers["Location"]
    assert session.get(location, headers={"Range": "bytes=256-258"}).content == MASKS[:3]
    assert session.get(location, headers={"Authorization": "Bearer hf_x"}).status_code == 400
    assert session.get(location.replace("Signature=", "Signature=0")).status_code == 403
    missing = session.head(url + "none.txt")
    assert (missing.status_code, missing.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert missing.headers["X-Repo-Commit"] == hub.repo("alice/zoo").find().oid
