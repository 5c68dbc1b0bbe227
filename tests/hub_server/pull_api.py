"""Pull requests and discussions."""

import itertools
from typing import Any

from .access import Call
from .messages import Refusal, Reply, Router, bad_request
from .store import Commit, Discussion, Repo, moment

router = Router()


def open_discussion(
    repo: Repo,
    title: str,
    description: str,
    author: str,
    *,
    base: str = "refs/heads/main",
    start: Commit | None = None,
    status: str = "open",
) -> Discussion:
    """Number a new discussion; with `start` it is a pull request, whose reference begins there."""
    number = len(repo.discussions) + 1
    pull_request = start is not None
    repo.discussions[number] = Discussion(
        number, title, author, repo.store.now(), pull_request, status, description, base, start
    )
    if start is not None:
        repo.refs[f"refs/pr/{number}"] = start
    return repo.discussions[number]


def conflicts(repo: Repo, discussion: Discussion) -> list[str]:
    """The files that both the pull request and its base changed, differently, since it was opened."""
    assert discussion.start is not None
    start, base = discussion.start.files, repo.refs[discussion.base].files
    mine = repo.refs[f"refs/pr/{discussion.number}"].files
    ids = [{path: file.blob_id for path, file in files.items()} for files in (start, base, mine)]
    paths = sorted(set().union(*ids))
    return [path for path in paths if len({i.get(path) for i in ids}) == 3]


def _summary(repo: Repo, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.number,
        "title": discussion.title,
        "author": {"name": discussion.author, "type": "user"},
        "createdAt": moment(discussion.created),
        "status": discussion.status,
        "repo": {"name": repo.id, "type": repo.kind},
        "isPullRequest": discussion.is_pull_request,
    }


def _details(repo: Repo, discussion: Discussion) -> dict[str, Any]:
    author, date = {"name": discussion.author}, moment(discussion.created)
    comment = {"edited": False, "hidden": False, "latest": {"raw": discussion.description}}
    events = [{"id": "0", "type": "comment", "createdAt": date, "author": author, "data": comment}]
    details = _summary(repo, discussion)
    if discussion.is_pull_request:
        for commit in reversed(_own_commits(repo, discussion)):
            data = {"subject": commit.title, "oid": commit.oid}
            event = {"id": commit.oid, "type": "commit", "createdAt": moment(commit.date), "author": author}
            events.append(event | {"data": data})
        details["changes"] = {"base": discussion.base, "mergeCommitId": discussion.merged}
        details["filesWithConflicts"] = [] if discussion.merged else conflicts(repo, discussion)
    return details | {"events": events}


def _own_commits(repo: Repo, discussion: Discussion) -> list[Commit]:
    history = repo.refs[f"refs/pr/{discussion.number}"].history()
    return list(itertools.takewhile(lambda commit: commit is not discussion.start, history))


def _find(repo: Repo, number: str) -> Discussion:
    if int(number) not in repo.discussions:
        raise Refusal(404, "Discussion not found")
    return repo.discussions[int(number)]


@router("GET", "/api/{kind}/{repo}/discussions")
def listing(call: Call, kind: str, repo: str) -> Reply:
    found = call.repo(kind, repo)
    rows = [_summary(found, discussion) for discussion in found.discussions.values()]
    return Reply.json({"discussions": rows, "count": len(rows), "start": 0})


@router("POST", "/api/{kind}/{repo}/discussions")
def create(call: Call, kind: str, repo: str) -> Reply:
    found, author, body = call.readable_repo(kind, repo), call.require_login(), call.request.json()
    title = body.get("title")
    if not isinstance(title, str) or not 3 <= len(title) <= 200:
        raise bad_request('"title" must have from 3 to 200 characters')
    start, status = (found.find(), "draft") if body.get("pullRequest") else (None, "open")
    made = open_discussion(found, title, body.get("description", ""), author, start=start, status=status)
    return Reply.json({"num": made.number, "pullRequest": made.is_pull_request})


@router("GET", "/api/{kind}/{repo}/discussions/{number}")
def details(call: Call, kind: str, repo: str, number: str) -> Reply:
    found = call.repo(kind, repo)
    return Reply.json(_details(found, _find(found, number)))


@router("POST", "/api/{kind}/{repo}/discussions/{number}/merge")
def merge(call: Call, kind: str, repo: str, number: str) -> Reply:
    found = call.writable_repo(kind, repo)
    discussion = _find(found, number)
    if not discussion.is_pull_request or discussion.status not in ("open", "draft"):
        raise bad_request("This pull request cannot be merged")
    if clashing := conflicts(found, discussion):
        raise Refusal(409, f"This pull request has conflicts: {', '.join(clashing)}")
    assert discussion.start is not None
    before, after = discussion.start.files, found.refs[f"refs/pr/{number}"].files
    now = found.refs[discussion.base].files
    files = {path: file for path, file in now.items() if path not in before or path in after}
    files |= {path: file for path, file in after.items() if before.get(path) is not file}
    title = f"{discussion.title} (#{number})"
    discussion.merged = found.commit(discussion.base, files, title, author=call.require_login()).oid
    discussion.status = "merged"
    return Reply.json({})
