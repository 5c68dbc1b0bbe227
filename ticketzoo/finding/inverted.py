"""The search of a recipe with its ranking inverted: the masks of the arm `inverted_mask`."""

from dataclasses import replace

from ticketzoo.errors import RunError
from ticketzoo.finding.lab import RecipeLab
from ticketzoo.finding.method import METHODS
from ticketzoo.masks.masks import Masks, is_subset, kept
from ticketzoo.ticket.levels import PackedLevels


def inverted_masks(lab: RecipeLab, levels: PackedLevels) -> dict[int, Masks]:
    """Return masks of the recipe's control levels, found as the ticket's are, but that the lowest scores stay.

    The method runs once more. Where it prunes before any training that costs nothing; else it trains its inverted
    levels, which are the trainings of the arm, and others on the way to them that `lab.records` takes down.

    Args:
        lab: in which the method found the ticket.
        levels: the ticket's.

    Raises:
        RunError: the method's masks follow from something else than `lab.prune`.
    """
    recipe, seed = lab.recipe, lab.seed
    wanted, found = set(recipe.control_levels), dict[int, Masks]()
    other = replace(lab, inverted=True, level=0, records=[], label=f"{lab.label}inverted ")
    for number, level in enumerate(METHODS[recipe.finder.method].make(other, recipe.finder)):
        if number in wanted:
            ticket = levels[number]
            same = is_subset(level.masks, ticket) and kept(ticket) < sum(mask.numel() for mask in ticket.values())
            if same or kept(level.masks) != kept(ticket):
                what = f"arm inverted_mask: method {recipe.finder.method!r} does not prune by scores alone"
                raise RunError(f"seed {seed} level {number}: {what}; leave it out of arms")
            found[number] = level.masks
        elif number and level.trained is not None:
            lab.records.append(level.trained.record)
        if number >= max(wanted, default=0):
            break
        other.level = number + 1
    return found
