"""Who may see and do what; repositories, branches, tags and pull requests."""

from pathlib import Path

import pytest
from huggingface_hub import errors

from .fixtures import LocalHub
from .samples import MASKS


def test_private_gated_and_missing_look_as_on_the_hub(hub: LocalHub) -> None:
    hub.create("alice/secret", {"a.txt": b"a"}, private=True)
    hub.create("alice/asked", {"a.txt": b"a"}, gated="manual")
    assert hub.api("alice").model_info("alice/secret").private
    for user, status in ((None, 401), ("bob", 404)):
        for repo in ("alice/secret", "alice/nothing"):
            with pytest.raises(errors.RepositoryNotFoundError) as refused:
                hub.api(user).model_info(repo)
            assert refused.value.response.status_code == status
    assert hub.api(None).model_info("alice/asked").gated == "manual"
    for user, status in ((None, 401), ("bob", 403)):
        with pytest.raises(errors.GatedRepoError) as refused:
            hub.api(user).hf_hub_download("alice/asked", "a.txt")
        assert refused.value.response.status_code == status
    hub.repo("alice/asked").granted.add("bob")
    assert Path(hub.api("bob").hf_hub_download("alice/asked", "a.txt")).read_text() == "a"


def test_tokens(hub: LocalHub) -> None:
    me = hub.api("alice", "read").whoami()
    assert (me["name"], me["auth"]["accessToken"]["role"]) == ("alice", "read")
    hub.create("alice/zoo")
    for api, words in ((hub.api("alice", "read"), "write token"), (hub.api("bob"), "create_pr=1")):
        with pytest.raises(errors.HfHubHTTPError, match=words) as refused:
            api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="alice/zoo")
        assert refused.value.response.status_code == 403
    with pytest.raises(errors.HfHubHTTPError, match="rights to create a model"):
        hub.api("bob").create_repo("alice/other")
    wrong = hub.api(None)
    wrong.token = "hf_wrong"
    with pytest.raises(errors.HfHubHTTPError, match="Invalid credentials") as refused:
        wrong.model_info("alice/zoo")
    assert refused.value.response.status_code == 401
    hub.store.organisations["lab"] = {"bob"}
    assert hub.api("bob").create_repo("lab/zoo").repo_id == "lab/zoo"


def test_a_repository_is_created_once_and_deleted_for_good(hub: LocalHub) -> None:
    api = hub.api()
    api.create_repo("zoo", private=True)
    with pytest.raises(errors.HfHubHTTPError, match="You already created this model repo") as refused:
        api.create_repo("zoo")
    assert refused.value.response.status_code == 409
    assert api.create_repo("zoo", exist_ok=True).repo_id == "alice/zoo"
    api.update_repo_settings("alice/zoo", private=False, gated="auto")
    assert (hub.repo("alice/zoo").private, hub.repo("alice/zoo").gated) == (False, "auto")
    api.delete_repo("alice/zoo")
    assert not api.repo_exists("alice/zoo")
    api.delete_repo("alice/zoo", missing_ok=True)


def test_datasets_live_beside_models(hub: LocalHub) -> None:
    api = hub.api()
    assert api.create_repo("digits", repo_type="dataset").repo_type == "dataset"
    api.upload_file(path_or_fileobj=MASKS, path_in_repo="d.parquet", repo_id="alice/digits", repo_type="dataset")
    got = api.hf_hub_download("alice/digits", "d.parquet", repo_type="dataset")
    assert Path(got).read_bytes() == MASKS
    assert not api.repo_exists("alice/digits")
    assert list(api.list_models()) == []


def test_branches_and_tags(hub: LocalHub) -> None:
    api, repo = hub.api(), hub.create("alice/zoo", {"a.txt": b"1"})
    api.create_tag("alice/zoo", tag="v1")
    api.create_branch("alice/zoo", branch="next/one")
    api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="alice/zoo", revision="next/one")
    assert (repo.files()["a.txt"], repo.files("next/one")["a.txt"], repo.files("v1")["a.txt"]) == (b"1", b"2", b"1")
    refs = api.list_repo_refs("alice/zoo")
    assert ([ref.name for ref in refs.branches], [ref.name for ref in refs.tags]) == (["main", "next/one"], ["v1"])
    assert Path(api.hf_hub_download("alice/zoo", "a.txt", revision="next/one")).read_text() == "2"
    short = repo.find("next/one").oid[:7]
    assert api.model_info("alice/zoo", revision=short).sha == repo.find("next/one").oid
    for call, status in (
        (lambda: api.create_tag("alice/zoo", tag="v1"), 409),
        (lambda: api.create_branch("alice/zoo", branch="next/one"), 409),
        (lambda: api.create_branch("alice/zoo", branch="refs/pr/5"), 400),
        (lambda: api.create_tag("alice/zoo", tag="two words"), 400),
        (lambda: api.delete_branch("alice/zoo", branch="main"), 403),
        (lambda: api.delete_tag("alice/zoo", tag="main"), 404),
    ):
        with pytest.raises(errors.HfHubHTTPError) as refused:
            call()
        assert refused.value.response.status_code == status
    api.delete_branch("alice/zoo", branch="next/one")
    api.delete_tag("alice/zoo", tag="v1")
    assert set(repo.refs) == {"refs/heads/main"}
    with pytest.raises(errors.RevisionNotFoundError):
        api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="alice/zoo", revision="next/one")


def test_a_stranger_proposes_and_the_owner_merges(hub: LocalHub, folder: Path) -> None:
    repo = hub.create("alice/zoo", {"a.txt": b"1", "b.txt": b"1"})
    proposal = hub.api("bob").upload_folder(repo_id="alice/zoo", folder_path=folder, create_pr=True)
    assert (proposal.pr_num, proposal.pr_revision) == (1, "refs/pr/1")
    assert "ticket.json" not in repo.files()
    assert Path(hub.api().hf_hub_download("alice/zoo", "ticket.json", revision="refs/pr/1")).exists()
    refs = hub.api().list_repo_refs("alice/zoo", include_pull_requests=True)
    assert [ref.name for ref in refs.pull_requests] == ["1"]
    details = hub.api().get_discussion_details("alice/zoo", 1)
    assert (details.author, details.status, details.target_branch) == ("bob", "open", "refs/heads/main")
    assert details.conflicting_files == []
    repo.write({"b.txt": b"2"})
    hub.api().merge_pull_request("alice/zoo", 1)
    assert (repo.files()["ticket.json"], repo.files()["b.txt"]) == (b'{"format": 1}', b"2")

    draft = hub.api("bob").create_pull_request("alice/zoo", "Change b")
    repo.refs[draft.git_reference] = repo.commit(draft.git_reference, repo.find().files | {}, "mine", author="bob")
    repo.write({"b.txt": b"3"}, branch=draft.git_reference)
    repo.write({"b.txt": b"4"})
    with pytest.raises(errors.HfHubHTTPError, match=r"conflicts: b\.txt"):
        hub.api().merge_pull_request("alice/zoo", 2)
    assert [discussion.status for discussion in hub.api().get_repo_discussions("alice/zoo")] == ["merged", "draft"]
