"""Search, pull, verify and push tickets."""

from pathlib import Path

from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.method import found_words
from ticketzoo.hub.options import HubOptions
from ticketzoo.hub.push import Published
from ticketzoo.hub.references import HubReference, hub_reference, parse_reference
from ticketzoo.ticket import Ticket
from ticketzoo.util.arguments import checked
from ticketzoo.util.text import counted
from ticketzoo.zoo import search as searching
from ticketzoo.zoo.effective import card_of
from ticketzoo.zoo.load import load_ticket
from ticketzoo.zoo.places import ticket_folder
from ticketzoo.zoo.pull import pull_ticket
from ticketzoo.zoo.verify import Check, verify_ticket


@checked
def search(  # noqa: PLR0913 - every part of a description, by keyword
    registry: str | Path | None = None,
    *,
    architecture: str | None = None,
    task: str | None = None,
    source: str | None = None,
    sparsity: float | None = None,
    verdict: str | None = None,
    like: str | Path | Ticket | None = None,
    limit: int = 100,
    token: str | bool | None = None,
) -> Table:
    """Return the tickets that a description fits, a row each: name, architecture, source, levels, verdict, ...

        ticketzoo.search(architecture="lenet-300-100", sparsity=0.9)
        ticketzoo.search("hub:", verdict="winning")

    Args:
        registry: a folder, `hub:` for all of the Hub, or `hub:owner`; by default where `load_ticket` looks.
        architecture: such as `lenet-300-100` or `torchvision/resnet50`.
        task: such as `image-classification`.
        source: data set that the ticket was found on, such as `ylecun/mnist`.
        sparsity: of a packaged level, in [0, 1), to within the bands of 0.5, 0.8, 0.9, 0.95, 0.98 and 0.99.
        verdict: on the source, such as `winning`.
        like: a ticket, by name, folder or Hub id, or loaded: only tickets of its network, those that share most of its
            masks first, beside chance. Of one that is loaded at its level and seed in hand, else at `sparsity`.
        limit: repositories on the Hub to look at, at most.
        token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`. False for none.

    Returns:
        A table that shows in notebooks; `.rows` are tuples of text under `.columns`.

    Raises:
        RegistryError: there is no such folder, the Hub cannot be searched, or a value that cannot be.
    """
    if like is not None and not isinstance(like, Ticket):
        like = load_ticket(like, sparsity=sparsity, masks_only=True, token=token)
    if like is not None and architecture is None:
        architecture = like.config.architecture.name
    query = searching.Query(architecture, task, source, sparsity, verdict)
    hits = searching.search(registry, query, limit=limit, token=token)
    hits = hits if like is None else hits.like(like)
    left_out = "".join(f" Left out: {reason}." for reason in hits.left_out)
    hint = f" {hits.hint}" if hits.hint else ""
    caption = f"{counted(len(hits.summaries), 'ticket')} in {hits.where}.{hint}{left_out}"
    return Table(caption, hits.columns, "lllrrrrlll"[: len(hits.columns)], tuple(map(hits.cells, hits.summaries)))


@checked
def verify(ticket: str | Path, *, registry: str | Path | None = None, results: bool = True) -> list[Check]:
    """Check all that can be checked of a ticket without its data: sizes, digests, coverage, nesting, weights, claims.

    Args:
        ticket: a folder, or a name in the registry.
        registry: folder in which names are looked up.
        results: whether the verdict, the levels' sparsities and the card's numbers are computed again from the rows.

    Returns:
        One entry for each thing that was checked and holds; some are notes of what is only claimed.

    Raises:
        TicketError: at the first damage, naming file, tensor and both values, or at a statement that the rows do not
            give.
        RegistryError: there is no such ticket.
    """
    return verify_ticket(_folder(ticket, registry), results=results, found_words=found_words)


@checked
def pull(
    repo_id: str,
    to: str | Path | None = None,
    *,
    replace: bool = False,
    force_download: bool = False,
    token: str | bool | None = None,
) -> Path:
    """Copy a ticket from the Hub into a folder, completely and verified, or not at all.

    Args:
        repo_id: `owner/name`, or `owner/name@revision`.
        to: the folder, by default `registry/<name of the ticket>`. Where it has the same ticket nothing changes.
        replace: whether to replace another ticket in the folder.
        force_download: whether to fetch anew what is in the cache.
        token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`. False for none.

    Returns:
        The folder.

    Raises:
        RegistryError: it cannot be fetched, or the folder has another ticket.
        TicketError: it is damaged, or the folder holds something else or cannot be written.
    """
    reference = hub_reference(repo_id)
    options = HubOptions(token=token, force_download=force_download)
    return pull_ticket(reference.repo_id, to, revision=reference.revision, replace=replace, options=options)[0]


@checked
def push(
    ticket: str | Path | Ticket,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    replace_card: bool = False,
    token: str | bool | None = None,
) -> Published:
    """Publish a ticket, every level and replicate, with its card and plots, in one commit.

    The same ticket pushed again makes no new commit. A README.md that was edited on the Hub stays.

    Args:
        ticket: a folder, a name in the registry, or a `Ticket`.
        repo_id: `owner/name`; a repository that does not exist is made.
        private: whether it is to be private; None: what it is, or what new ones of its owner are by default.
        revision: the branch; the main branch by default.
        create_pr: whether to open a pull request instead.
        replace_card: whether to overwrite a README.md that was edited on the Hub.
        token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`.

    Raises:
        RegistryError: the Hub refuses, or cannot be reached.
        TicketError: the ticket is damaged.
    """
    if not isinstance(ticket, Ticket):
        folder = _folder(ticket, None)
        loaded, has_card = Ticket.from_pretrained(folder), (folder / "README.md").is_file()
    else:
        loaded, has_card = ticket, False
    card = None if has_card else card_of(loaded)
    return loaded.push_to_hub(
        repo_id,
        private=private,
        revision=revision,
        create_pr=create_pr,
        card=card,
        replace_card=replace_card,
        token=token,
    )


def _folder(ticket: str | Path, registry: str | Path | None) -> Path:
    if isinstance(ticket, Path) or not isinstance(parse_reference(ticket), HubReference):
        return ticket_folder(ticket, registry)
    return ticket_folder(f"./{ticket}", None)
