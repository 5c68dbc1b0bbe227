"""Tickets like one in hand: of the same network, by how much of its masks they share beside chance."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ticketzoo.comparing.pairs import by_input
from ticketzoo.comparing.stages import nearest_level
from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.masks.masks import kept
from ticketzoo.masks.overlap import joined, overlap
from ticketzoo.ticket.contents import Contents
from ticketzoo.ticket.stored import stored_in
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.text import show_sparsity
from ticketzoo.zoo.summary import TicketSummary

COLUMN = "times chance"
"""The column of a table of tickets like another."""


@dataclass(frozen=True)
class Likeness:
    """The overlap of a ticket with the one in hand, of the replicate that has most.

    Attributes:
        level: that was compared: the one that keeps the nearest number of weights.
        sparsity: of that level.
        seed: of the replicate.
        iou: intersection over union of the masks.
        ratio: as a multiple of what random masks give that are as dense in each layer.
        z: distance of the number of shared weights from chance, in standard deviations.
    """

    level: int
    sparsity: float
    seed: int
    iou: float
    ratio: float
    z: float | None

    @property
    def cell(self) -> str:
        """The words of a table: "5.08 at 0.893, seed 0"."""
        return f"{self.ratio:.2f} at {show_sparsity(self.sparsity)}, seed {self.seed}"

    def as_json(self) -> dict[str, Any]:
        """Return all of it by key."""
        return asdict(self)


def by_likeness(
    like: Contents, summaries: Sequence[TicketSummary]
) -> tuple[list[tuple[TicketSummary, Likeness]], list[str]]:
    """Return the tickets of the network of `like`, those with most overlap first, and lines on what was left out.

    The masks of `like` are those of its level and replicate in hand. The ticket itself is not listed.
    """
    found, left_out = [], []
    for summary in summaries:
        same = (summary.config.name, summary.config.mask_sha256) == (like.name, like.config.mask_sha256)
        if same or summary.config.shapes != like.config.shapes:
            continue
        try:
            likeness = likeness_of(like, summary)
        except (TicketError, RegistryError) as error:
            left_out.append(str(error))
            continue
        if likeness is not None:
            found.append((summary, likeness))
    return sorted(found, key=lambda one: -one[1].ratio), left_out


def likeness_of(like: Contents, summary: TicketSummary) -> Likeness | None:
    """Return how much another ticket of the network has of the masks of `like`; None where it has no pruned level.

    Raises:
        TicketError: its masks are damaged; RegistryError where they cannot be fetched.
    """
    masks = like.masks
    level = nearest_level(summary.config, kept(masks))
    if level is None:
        return None
    other = Ticket._view(summary.config, stored_in(summary.files, summary.config, masks_only=True), level=level)
    best: Likeness | None = None
    for seed in other.seeds:
        view = other.at(seed=seed)
        theirs = view.masks
        layers = [by_input(mask, theirs[name]).sum(axis=0, keepdims=True) for name, mask in masks.items()]
        one = overlap(joined(layers))
        if one.iou is not None and one.ratio is not None and (best is None or one.ratio > best.ratio):
            best = Likeness(level, view.sparsity, seed, one.iou, one.ratio, one.z)
    return best
