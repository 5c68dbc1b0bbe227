"""Other dense trainings beside a ticket's, and the order of units that brings its network near them."""

from collections.abc import Sequence
from dataclasses import replace

from ticketzoo.aligning import Network
from ticketzoo.aligning.kept import kept_alignment
from ticketzoo.evaluation.draw import Twin as Twin
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import Level
from ticketzoo.models import create_from_architecture
from ticketzoo.models.unit_groups import unit_groups
from ticketzoo.seeds import derive_seed

ALIGN = "activations"
"""The alignment, as in Adnan et al. 2025."""


def twins_of(lab: RecipeLab, levels: Sequence[Level]) -> dict[int, Twin]:
    """Return a twin for each draw that arms ask for: a dense training from another initialization, in another order.

    Args:
        lab: in which the ticket was found; the trainings of twins are added to its records.
        levels: the ticket's, all trained, 0 first. Twins have the weights of the last one's step.

    Raises:
        ModelError: the network's units cannot be put in another order.
    """
    recipe, architecture = lab.recipe, lab.model.architecture
    dense, step = levels[0].trained, levels[-1].start.step
    if not recipe.controls.twins or dense is None:
        return {}
    groups = unit_groups(create_from_architecture(architecture, seed=0))
    found = {}
    for number in range(recipe.controls.twins):
        seed = derive_seed(lab.seed, "twin", number)
        other = replace(lab, seed=seed, level=0, label=f"{lab.label}seed {lab.seed} twin {number}: ")
        trained = other.train(lab.dense, other.initial, keep=(step,) if step else ())
        network = Network(architecture, groups, lab.task, recipe.training.batch_size, lab.seed, lab.cells.device)
        order = kept_alignment(lab.cells, ALIGN, network, trained.final, dense.final)
        found[number] = Twin(trained.at(step).state, seed, groups, order)
    return found
