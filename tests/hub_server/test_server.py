"""Pushing with the unmodified client, what is refused, and the fixture itself."""

import concurrent.futures
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, EvalResult, ModelCard, ModelCardData, errors
from huggingface_hub.utils import get_session, httpx

from .fixtures import LocalHub
from .samples import CARD, MASKS
from .store import git_id


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def post_commit(hub: LocalHub, *lines: tuple[str, dict[str, str]], **headers: str) -> tuple[int, str]:
    """Send a commit without the client's checks; the answer's status and error."""
    headers = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {hub.token('alice')}"} | headers
    content = "".join(json.dumps({"key": key, "value": value}) + "\n" for key, value in lines)
    answer = get_session().post(f"{hub.endpoint}/api/models/alice/zoo/commit/main", headers=headers, content=content)
    return answer.status_code, answer.json().get("error", "")


def test_what_is_pushed_comes_back_and_a_second_push_makes_no_commit(
    hub: LocalHub, folder: Path, tmp_path: Path
) -> None:
    api = hub.api()
    assert api.create_repo("zoo").repo_id == "alice/zoo"
    first = api.upload_folder(repo_id="alice/zoo", folder_path=folder)
    assert [commit.title for commit in hub.repo("alice/zoo").commits()] == [
        "Upload folder using huggingface_hub", "initial commit",
    ]  # fmt: skip

    got = Path(api.snapshot_download("alice/zoo", cache_dir=tmp_path / "cache"))
    for path in ("README.md", "ticket.json", "curve.png", "seed-0/masks.safetensors"):
        assert (got / path).read_bytes() == (folder / path).read_bytes()
    blob = (got / "seed-0/masks.safetensors").resolve().name
    assert blob == hashlib.sha256(MASKS).hexdigest()
    assert (got / "README.md").resolve().name == git_id("blob", CARD.encode())
    assert got.name == first.oid

    # Binary without a pattern of its own: LFS all the same, and .gitattributes says so from then on.
    assert hub.repo("alice/zoo").find().files["curve.png"].lfs
    assert b"curve.png filter=lfs" in hub.repo("alice/zoo").files()[".gitattributes"]
    assert not hub.repo("alice/zoo").find().files["ticket.json"].lfs

    uploads = len(hub.calls("PUT", "/upload/*"))
    again = api.upload_folder(repo_id="alice/zoo", folder_path=folder)
    assert again.oid == first.oid
    assert len(hub.calls("PUT", "/upload/*")) == uploads == 2
    assert len(hub.repo("alice/zoo").commits()) == 2


def test_a_commit_on_an_old_parent_is_refused(hub: LocalHub) -> None:
    api = hub.api()
    hub.create("alice/zoo")
    parent = api.model_info("alice/zoo").sha
    hub.repo("alice/zoo").write({"README.md": b"edited"})
    with pytest.raises(errors.HfHubHTTPError, match="The branch was updated since") as refused:
        api.create_commit("alice/zoo", [add("x.txt", b"x")], commit_message="mine", parent_commit=parent)
    assert refused.value.response.status_code == 412
    assert "x.txt" not in hub.repo("alice/zoo").files()


def test_the_server_itself_commits_what_does_not_change(hub: LocalHub) -> None:
    """It is the client that leaves unchanged files out: a commit POST that is repeated makes two commits."""
    hub.create("alice/zoo")
    for _ in range(2):
        assert post_commit(hub, ("header", {"summary": "again"}), ("file", {"path": "a", "content": "a"}))[0] == 200
    assert [commit.title for commit in hub.repo("alice/zoo").commits()] == ["again", "again", "initial commit"]


def test_two_pushes_at_once_both_land(hub: LocalHub) -> None:
    hub.create("alice/zoo")

    def push(number: int) -> None:
        hub.api().upload_file(path_or_fileobj=MASKS + b"%d" % number, path_in_repo=f"{number}.bin", repo_id="alice/zoo")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(push, range(4)))
    assert set(hub.repo("alice/zoo").files()) == {".gitattributes", "0.bin", "1.bin", "2.bin", "3.bin"}
    assert len(hub.repo("alice/zoo").commits()) == 5


def test_deletions_and_a_missing_file(hub: LocalHub) -> None:
    api = hub.api()
    hub.create("alice/zoo", {"a.txt": b"a", "old/b.txt": b"b", "old/c.txt": b"c"})
    api.create_commit("alice/zoo", [CommitOperationDelete("old/")], commit_message="clear")
    assert set(hub.repo("alice/zoo").files()) == {".gitattributes", "a.txt"}
    with pytest.raises(errors.RemoteEntryNotFoundError, match="doesn't exist"):
        api.create_commit("alice/zoo", [CommitOperationDelete("gone.txt")], commit_message="clear")


def test_commits_the_hub_refuses(hub: LocalHub) -> None:
    hub.create("alice/zoo")
    header, file = ("header", {"summary": "s"}), ("file", {"path": "a", "content": "x"})
    json_type = {"Content-Type": "application/json"}
    assert post_commit(hub, header, file, **json_type)[0] == 415
    assert post_commit(hub, header, file, Authorization="Bearer hf_wrong")[0] == 401
    assert post_commit(hub, header)[1].startswith("Add a line with the key")
    assert post_commit(hub, file)[1] == "The first line must be a header with a summary"
    assert post_commit(hub, header, ("renamedFile", {"path": "a"}))[1].startswith('"key" must be one of [file,')
    for path in ("../x", "/x", "a/../b", "a//b", "..\\x", "C:\\x", "a/.git/b", "./a", "a\0"):
        assert post_commit(hub, header, ("file", {"path": path, "content": "x"}))[0] == 422, path
    pointer = {"path": "a", "algo": "sha256", "oid": hashlib.sha256(b"x").hexdigest()}
    assert "a file that does not exist" in post_commit(hub, header, ("lfsFile", pointer))[1]
    assert "must be an LFS" in post_commit(hub, header, ("file", {"path": "a.safetensors", "content": "x"}))[1]
    assert "also a file" in post_commit(hub, header, file, ("file", {"path": "a/b", "content": "x"}))[1]
    assert len(hub.repo("alice/zoo").commits()) == 1


def test_uploads_the_hub_refuses(hub: LocalHub) -> None:
    hub.create("alice/zoo")
    sha, session = hashlib.sha256(b"x").hexdigest(), get_session()
    url = f"{hub.endpoint}/alice/zoo.git/info/lfs/objects/"
    headers = {"Authorization": f"Bearer {hub.token('alice')}", "Content-Type": "application/vnd.git-lfs+json"}
    batch = {"operation": "upload", "objects": [{"oid": sha, "size": 1}]}
    assert session.post(url + "batch", json=batch, headers={"Content-Type": "application/json"}).status_code == 415
    offer = session.post(url + "batch", json=batch, headers=headers).json()["objects"][0]["actions"]
    assert offer["upload"]["href"].startswith(hub.files_url)
    for content in (b"y", b"xx", b""):
        assert session.put(offer["upload"]["href"], content=content).json()["error"].startswith("BadDigest")
    proof, given = {"oid": sha, "size": 1}, {"Authorization": headers["Authorization"]}
    assert session.post(offer["verify"]["href"], json=proof, headers=given).status_code == 404
    assert session.put(offer["upload"]["href"], content=b"x").status_code == 200
    assert session.post(offer["verify"]["href"], json=proof, headers=given).status_code == 200
    assert list(hub.repo("alice/zoo").uploads) == [sha]
    assert "actions" not in session.post(url + "batch", json=batch, headers=headers).json()["objects"][0]


def test_a_card_the_client_builds_is_accepted(hub: LocalHub) -> None:
    result = EvalResult(
        task_type="image-classification", dataset_type="ylecun/mnist", dataset_name="MNIST", metric_type="accuracy",
        metric_value=0.98, dataset_split="test", dataset_config=None,
    )  # fmt: skip
    data = ModelCardData(license="mit", library_name="ticketzoo", model_name="lenet", eval_results=[result])
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n# Ticket\n")
    card.validate()
    hub.create("alice/zoo")
    hub.login("alice")
    card.push_to_hub("alice/zoo")
    info = hub.api().model_info("alice/zoo")
    assert info.card_data.eval_results[0].metric_value == 0.98
    assert "model-index" in info.tags


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ("license: 3", '"license" must be one of'),
        ("license: my-own", '"license" must be one of'),
        ("datasets: [null]", r'"datasets\[0\]" must be a string'),
        ("datasets: ['/home/me/images/']", "use a dataset id from"),
        ("base_model: Kokoro 82M", "Use a model id from"),
        ("tags: lottery-ticket", '"tags" must be an array'),
        ("license: [", "Invalid YAML in README.md"),
        ("license: mit\nlicense: mit", "duplicated mapping key"),
        ("just text", "The YAML metadata of your README.md is invalid"),
        ("- a", '"value" must be of type object'),
        ("model-index: {name: a}", '"model-index" must be an array'),
        ("model-index: [{name: a}]", r'"model-index\[0\].results" is required'),
        (
            "model-index: [{name: a, results: [{task: {type: t}, dataset: {type: d}, metrics: [{type: m}]}]}]",
            r'results\[0\].dataset.name" is required\n.*results\[0\].metrics\[0\].value" is required',
        ),
    ],
)
def test_a_bad_card_is_refused(hub: LocalHub, metadata: str, complaint: str) -> None:
    """It is refused as the client asks before it uploads, and at the commit of one that does not ask."""
    hub.create("alice/zoo")
    card = f"---\n{metadata}\n---\n"
    with pytest.raises(ValueError, match=complaint) as refused:
        hub.api().create_commit("alice/zoo", [add("README.md", card.encode())], commit_message="card")
    assert not hub.calls("POST", "*/preupload/*")
    status, message = post_commit(hub, ("header", {"summary": "s"}), ("file", {"path": "README.md", "content": card}))
    assert status == 400
    assert message in str(refused.value)
    assert "README.md" not in hub.repo("alice/zoo").files()


def test_a_card_without_metadata_is_accepted_with_a_warning(hub: LocalHub) -> None:
    hub.create("alice/zoo")
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        hub.api().create_commit("alice/zoo", [add("README.md", b"# Hello")], commit_message="card")
    assert hub.repo("alice/zoo").files()["README.md"] == b"# Hello"


def test_an_unknown_endpoint_fails_the_test(hub: LocalHub) -> None:
    assert get_session().get(f"{hub.endpoint}/api/models/alice/zoo/xet-write-token/main").status_code == 404
    with pytest.raises(AssertionError, match="HF_HUB_DISABLE_XET=1"):
        hub.check()
    hub.unknown.clear()


def test_a_fault_that_never_strikes_fails_the_test(hub: LocalHub) -> None:
    hub.faults.fail("GET", "/nowhere", status=500)
    with pytest.raises(AssertionError, match="never struck"):
        hub.check()
    hub.faults.clear()


def test_another_process_with_its_own_cache(hub: LocalHub) -> None:
    hub.create("alice/zoo", {"a.txt": b"1"}, private=True)
    code = "from huggingface_hub import hf_hub_download; print(open(hf_hub_download('alice/zoo', 'a.txt')).read())"
    stranger = hub.run_python(code, user=None)
    assert stranger.returncode == 1
    assert "RepositoryNotFoundError" in stranger.stderr
    done = hub.run_python(code)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert list((hub.home / "hub").glob("models--alice--zoo/snapshots/*/a.txt"))
    me = hub.run(Path(sys.executable).with_name("hf"), "auth", "whoami", "--format", "json", user="bob")
    assert json.loads(me.stdout)["user"] == "bob", me


def test_nothing_of_the_users_own_is_used(hub: LocalHub) -> None:
    assert os.environ["HF_ENDPOINT"] == hub.endpoint
    assert "HF_TOKEN" not in os.environ
    with hub.down(), pytest.raises(httpx.ConnectError):
        hub.api().whoami()
