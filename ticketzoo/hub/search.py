"""Finding tickets on the Hub: model repositories with the tag `ticketzoo`."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ticketzoo.hub.calls import call_hub, client

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


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
    found = call_hub(
        lambda: list(
            itertools.islice(api.list_models(filter=["ticketzoo", *tags], author=owner, full=True, limit=limit), limit)
        ),
        f"hub:{owner or ''}",
        token=token,
    )
    listed = [Listed(model.id, model.sha) for model in found if _REPO_ID.fullmatch(model.id)]
    return sorted(listed, key=lambda one: one.repo_id)
