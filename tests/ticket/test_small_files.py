"""Small files that declare much: read, or refused, in little memory."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from toy_ticket import MASKS, edit_config, forge, toy_ticket

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import sparsity_of
from ticketzoo.ticket import Found, Ticket

MIB = 2**20


@contextmanager
def at_most(peak: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()


def test_many_levels_of_few_weights_stay_small(tmp_path: Path) -> None:
    """A million weights, of which 300 levels keep one: a bit for each and level would be 37 MB."""
    one = torch.zeros(2**20, dtype=torch.bool)
    one[12345] = True
    found = Found(0, {level: {"w": one} for level in range(300)}, {"w": torch.ones(2**20)})
    folder = toy_ticket(replicates=[found]).save_pretrained(tmp_path / "toy")
    assert (folder / "seed-0/masks.safetensors").stat().st_size < 0.2 * MIB
    with at_most(4 * MIB):
        ticket = Ticket.from_pretrained(folder, level=299)
    assert ticket.masks["w"].nonzero().tolist() == [[12345]]
    assert ticket.rewind_state["w"].sum() == 1


def test_more_tensors_than_the_file_can_hold_are_not_listed(tmp_path: Path) -> None:
    """1,000 levels of 1,000 parameters are declared, a million tensors, and one is there."""
    folder = toy_ticket().save_pretrained(tmp_path / "toy")
    forge(folder, MASKS, save({"level-0/w0": torch.zeros(1).byte()}, {"encoding": json.dumps({"level-0/w0": "bits"})}))
    names = [f"w{number}" for number in range(1000)]

    def declare(config: dict[str, object]) -> None:
        config["pruning"] |= {"parameters": [{"name": name, "shape": [8]} for name in names]}
        entry = {"sparsity": sparsity_of(8, 8000), "kept": 8}
        config["levels"] = [{"level": level, **entry} for level in range(1000)]

    edit_config(folder, declare)
    with at_most(24 * MIB), pytest.raises(TicketError, match=r"has no tensor 'level-0/w1', .* and more"):
        Ticket.from_pretrained(folder)
