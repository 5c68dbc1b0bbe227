"""Finding tickets on the Hub: model repositories with the tag `ticketzoo`."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ticketzoo.hub.bounds import NotAHub
from ticketzoo.hub.calls import call_hub, client
from ticketzoo.hub.remote import REPO_ID
from ticketzoo.util.text import for_terminal


@dataclass(frozen=True)
class Listed:
    """A repository that says it holds a ticket, at its present commit."""

    repo_id: str
    commit: str | None


def find_on_hub(
    tags: Sequence[str] = (), *, owner: str | None = None, limit: int = 100, token: str | bool | None = None
) -> list[Listed]:
    """Return the repositories with all of `tags`, of `owner` or of anyone, by name.

    Tags come from the cards, which anybody may write: what a repository holds is for the caller to check.

    Raises:
        RegistryError: the Hub cannot be searched.
    """
    api = client(token)

    def ask() -> list[Listed]:
        found = api.list_models(filter=["ticketzoo", *tags], author=owner, full=True, limit=limit)
        return [_listed(model) for model in itertools.islice(found, limit)]

    listed = call_hub(ask, f"hub:{owner}" if owner else "the Hub", token=token)
    return sorted((one for one in listed if REPO_ID.fullmatch(one.repo_id)), key=lambda one: one.repo_id)


def _listed(model: Any) -> Listed:
    if not isinstance(model.id, str) or not isinstance(model.sha, str | None):
        raise NotAHub(f"it lists {for_terminal(repr(model.id))[:100]} at {for_terminal(repr(model.sha))[:100]}")
    return Listed(model.id, model.sha)
