"""Units of the first layer that masks of the shipped tickets leave without an input, in every draw."""

from pathlib import Path

import pytest

from ticketzoo.ticket import Ticket

REGISTRY = Path(__file__).parents[2] / "registry"


def dead_units(name: str, level: int) -> list[int]:
    """Of the 300 units of LeNet-300-100, by seed."""
    ticket = Ticket.from_pretrained(str(REGISTRY / f"lenet-300-100.{name}"))
    of_seeds = [ticket.at(level=level, seed=one.seed).masks["fc1.weight"] for one in ticket.config.replicates]
    return [int((~mask.any(1)).sum()) for mask in of_seeds]


@pytest.mark.slow
def test_grasp_leaves_more_units_dead_than_snip_and_synflow_the_most() -> None:
    """Their number differs from draw to draw, their order does not; SNIP's level is sparser (95.6%) than 95%."""
    found = {name: dead_units(f"mnist-{name}", level) for name, level in (("snip", 7), ("grasp", 1), ("synflow", 1))}
    assert all(len(counts) == 5 for counts in found.values())
    assert 0 < min(found["snip"]) <= max(found["snip"]) < min(found["grasp"])
    assert max(found["grasp"]) < 150 < min(found["synflow"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "level"), [("mnist-phew", 1), ("mnist-random-erk", 1), ("mnist-imp", 15)])
def test_walks_random_masks_and_trained_magnitudes_leave_none(name: str, level: int) -> None:
    assert dead_units(name, level) == [0] * 5
