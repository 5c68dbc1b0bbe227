"""The measured parts of docs/finders.md: tables, figures, and what they say of published figures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import finder_claims as claims
import study_tables as studies
import torch
import yaml
from finder_claims import Claim, Shipped, Tickets
from finder_plots import plot_finders, plot_lengths, plot_subsets
from finder_tables import SPARSITIES, accuracies, sanity, supermask_lengths

from ticketzoo.models.small import multiplications
from ticketzoo.models.vgg import VGG, VGGArguments

PERTURBED = {
    "perturbed": "lenet-300-100.mnist-perturbed",
    "perturbed-resnet-20": "resnet-20.fashion-mnist-perturbed",
}
"""The parts about perturbed starts, and the names of their studies."""

Rows = list[dict[str, Any]]
Read = Callable[[str], Rows]


def parts(read: Read, ticket_rows: Read, registry: Path, images: Path) -> Iterator[tuple[str, str]]:
    """Draw the figures, and yield each marked part of the page: its name and its text."""
    finders, supermasks = read("finders"), read("supermasks")
    plot_finders(finders, SPARSITIES, images / "finders.png")
    plot_lengths(supermasks, images / "supermask-lengths.png")
    plot_subsets(read("subset-sum"), images / "subset-sum.png")
    yield "finders", accuracies(finders, SPARSITIES)
    yield "finders-sanity", sanity(finders, (0.9, 0.98))
    yield "supermask-lengths", supermask_lengths(supermasks)
    plain = claims.masks_of_drawn_weights(read("bernoulli-plain"))
    found = [*published(finders, supermasks, shipped(ticket_rows, registry)), *plain, *of_studies(read)]
    yield "finder-claims", claims.table(found)
    yield "subset-sum", studies.subset_sum(read("subset-sum"))
    yield "early", studies.of_early(read("early"), "lenet-300-100.mnist-early", images / "early.png")
    for part, name in PERTURBED.items():
        yield part, studies.of_perturbed(read(part), name, images / f"{part}.png")
    yield "freeze", studies.freeze(read("freeze"))
    yield "weight-agnostic", studies.weight_agnostic(read("weight-agnostic"))


def published(finders: Rows, supermasks: Rows, tickets: Tickets) -> Iterator[Claim]:
    """The claims, in the order of the page."""
    yield from claims.untrained(supermasks)
    yield from claims.masks_that_are_learned(tickets)
    yield from claims.criteria(tickets)
    yield from claims.before_training(finders)
    yield from claims.at_init(tickets)
    yield vgg_16_a()
    yield from claims.filters(tickets)


def vgg_16_a() -> Claim:
    """Multiplications that VGG-16-A saves: half of the filters of the first and of the last six layers."""
    with torch.device("meta"):
        whole, small = (VGG(16, VGGArguments(widths=widths)) for widths in (None, (32, 64, 128, 128, *[256] * 9)))
        images = torch.empty(1, 3, 32, 32)
        saved = 1 - multiplications(small, images) / multiplications(whole, images)
    published = "34.2, Li et al. 2017, table 2"
    return Claim("multiplications that VGG-16-A saves", published, {0: saved}, "none", 0.3415, 0.3425)


def of_studies(read: Read) -> Iterator[Claim]:
    """The claims of the studies on MNIST, and of one on Fashion-MNIST."""
    yield from studies.perturbed_claims(read("perturbed"), "of LeNet", "8 epochs of SGD")
    yield from studies.perturbed_claims(read("perturbed-resnet-20"), "of ResNet-20", "395 iterations of SGD")
    yield from studies.freeze_claims(read("freeze"), "2 epochs of SGD")
    yield from studies.subset_sum_claims(read("subset-sum"))
    yield from studies.weight_agnostic_claims(read("weight-agnostic"))


def shipped(ticket_rows: Read, registry: Path) -> Tickets:
    """Return a function from the name of a ticket to what is in the registry; None where it is not."""

    def find(name: str) -> Shipped | None:
        if not (registry / name / "results.jsonl").is_file():
            return None
        recipe = yaml.safe_load((registry / name / "recipe.yaml").read_text())
        training = recipe["training"] | (recipe["finder"].get("training") or {})
        optimizer = training["optimizer"]["name"]
        return Shipped(ticket_rows(name), f"{training['steps'].removesuffix('ep')} epochs of {NAMES[optimizer]}")

    return find


NAMES = {"sgd": "SGD", "adam": "Adam"}
