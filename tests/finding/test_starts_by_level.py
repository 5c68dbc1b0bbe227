"""Packaging reads the weights that levels start from one after the other."""

import weakref

import torch
from toy_ticket import Toy, toy_ticket

from ticketzoo.finding.method import Level, Start
from ticketzoo.finding.replicates import packaged
from ticketzoo.finding.run import Replicate
from ticketzoo.models.state import State
from ticketzoo.ticket.levels import pack_levels


def test_one_state_at_a_time_is_in_memory() -> None:
    """Four levels start from weights of their own, filled with the number of the level."""
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def start(level: int) -> Start:
        def read() -> State:
            nonlocal most
            state = {name: torch.full_like(one, level) for name, one in Toy().state_dict().items()}
            alive.append(weakref.ref(state["fc1.weight"]))
            most = max(most, sum(one() is not None for one in alive))
            return state

        return Start(read)

    starts = [start(level) for level in range(4)]
    masks = {"fc1.weight": torch.ones(2, 5, dtype=torch.bool)}
    levels = pack_levels((level, masks) for level in range(4))
    replicate = Replicate(0, levels, starts[0], [Level({}, one) for one in starts], [], [])
    found = packaged(replicate, Toy(), 1, by_reference=False, trained=False)
    assert alive == []
    ticket = toy_ticket(replicates=[found], package_from=1)
    assert len(alive) == 3
    assert most <= 2
    assert [ticket.at(level=level).rewind_state["fc1.weight"][0, 0] for level in (1, 2, 3)] == [1, 2, 3]
