"""Small files that declare much: read, or refused, in little memory."""

import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from toy_ticket import MASKS, edit_config, forge, toy_ticket

from ticketzoo.errors import ModelError, TicketError
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


def many_levels(count: int) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """Masks of a million weights of which all levels but the first keep one."""
    for level in range(count):
        mask = torch.zeros(2**20, dtype=torch.bool)
        mask[12345 : 12346 if level else None] = True
        yield level, {"w": mask}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["packed", "signed"])
def test_weights_of_many_levels_are_read_one_level_at_a_time(tmp_path: Path, kind: str) -> None:
    """80 levels with a weight and a value each: a bit for each weight and level would be 10 MiB, 128 KiB a level."""
    levels, state = dict(many_levels(80)), {"w": torch.full((2**20,), 3.0)}
    values = dict.fromkeys(range(1, 80), state)
    found = Found(0, levels, rewind_levels=dict.fromkeys(levels, state), values=values)
    folder = toy_ticket(replicates=[found], rewind_kind=kind).save_pretrained(tmp_path / "toy")
    ticket = Ticket.from_pretrained(folder, level=79)
    with at_most(6 * MIB):  # a level takes 1 MiB as bools, and its bits about 1.5 MiB while they are decoded
        assert ticket.rewind_state["w"].nonzero().tolist() == [[12345]]
        assert ticket.trained_state is not None
        assert ticket.trained_state["w"].sum() == 3
        assert ticket.at(level=78).rewind_state["w"].sum() == 3


class Made(Mapping[int, dict[str, torch.Tensor]]):
    """States of 4 MiB that are made when they are asked for."""

    def __getitem__(self, level: int) -> dict[str, torch.Tensor]:
        return {"w": torch.from_numpy(np.full(2**20, float(level), np.float32))}

    def __iter__(self) -> Iterator[int]:
        return iter(range(20))

    def __len__(self) -> int:
        return 20


def test_states_of_levels_are_asked_for_one_at_a_time() -> None:
    """20 states of 4 MiB are packed in memory for two of them; masks come ready."""
    levels = dict(many_levels(20))
    del levels[0]
    with at_most(16 * MIB):
        ticket = toy_ticket(replicates=[Found(0, levels, rewind_levels=Made())])
    assert [int(ticket.at(level=level).rewind_state["w"].sum()) for level in (1, 19)] == [1, 19]


def test_weights_of_a_level_that_changed_since_are_refused(tmp_path: Path) -> None:
    """All levels are checked at first, and each again when it is read."""
    levels = dict(many_levels(3))
    folder = tmp_path / "toy"
    for value in (1.0, 2.0):
        states = {level: {"w": torch.full((2**20,), value)} for level in levels}
        toy_ticket(replicates=[Found(0, levels, rewind_levels=states)]).save_pretrained(folder)
        if value == 1:
            ticket = Ticket.from_pretrained(folder, level=1)
            assert ticket.rewind_state["w"].sum() == 1
    with pytest.raises(TicketError, match="has changed since it was first read: load the ticket again"):
        _ = ticket.at(level=2).rewind_state


@pytest.mark.parametrize("name", ["regnet_y_128gf", "vit_h_14"])
def test_a_small_file_that_names_a_huge_network_is_refused_before_it_is_made(tmp_path: Path, name: str) -> None:
    """644,812,894 or 632,045,800 parameters, 2.5 GB; torchvision's regnets compute their widths with tensors."""
    folder = toy_ticket().save_pretrained(tmp_path / "toy")
    huge = {"library": "torchvision", "name": name, "kwargs": {}}
    edit_config(folder, lambda config: config["architecture"].update(huge))
    with pytest.raises(ModelError, match=rf"torchvision/{name} has 6\d\d,\d{{3}},\d{{3}} parameters .* are allowed"):
        Ticket.from_pretrained(folder).build()


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "files": lambda config: config.update(files={f"a{n}": 1 for n in range(20_000)}),
    "files of a replicate": lambda config: config["replicates"][0].update(files={f"a{n}": 1 for n in range(20_000)}),
    "filters": lambda config: config["replicates"][0].update(filters={"1": {"fc1.weight": ["a"] * 50_000}}),
    "filters of layers": lambda config: config["replicates"][0].update(filters={f"{n}": 0 for n in range(20_000)}),
    "parameters": lambda config: config["pruning"].update(parameters=[{}] * 20_000),
    "rates": lambda config: config["pruning"].update(rate={f"a{n}": 2 for n in range(20_000)}),
    "levels of the verdict": lambda config: config.update(verdict={"levels": [{}] * 10_000}),
    "levels of weights": lambda config: config["rewind"].update(levels=["x"] * 50_000),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_many_wrong_entries_are_refused_at_the_first(tmp_path: Path, wrong: str) -> None:
    """An error for each would take 300 times the file."""
    folder = toy_ticket().save_pretrained(tmp_path / "toy")
    edit_config(folder, WRONG[wrong])
    with at_most(40 * (folder / "ticket.json").stat().st_size), pytest.raises(TicketError, match=r"ticket\.json: "):
        Ticket.from_pretrained(folder)
