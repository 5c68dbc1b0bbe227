"""Tickets of format 2 go to the Hub and come back, with every file they have."""

from pathlib import Path

import pytest
import torch
from hub_server.fixtures import LocalHub
from toy_kinds import KINDS, LENET, lenet_levels
from toy_ticket import toy_ticket
from toy_zoo import ZOO

from ticketzoo import Ticket, load_ticket
from ticketzoo.models import create_from_architecture, model_state
from ticketzoo.ticket import Found
from ticketzoo.zoo.pull import pull_ticket


def with_everything() -> Ticket:
    """A LeNet of frozen weights, a level with start weights and trained values of its own, and a further file."""
    state = model_state(create_from_architecture(LENET, seed=5))
    trained = {name: value + 1 for name, value in state.items()}
    found = Found(7, lenet_levels(), rewind_levels={3: state}, values={3: trained})
    return toy_ticket(
        architecture=LENET, replicates=[found], masked="frozen", use="as-is", files={"scores.txt": b"1 2 3"}
    )


@pytest.mark.parametrize("kind", ["from a seed", "as it is", "the user's own network", "everything"])
def test_pushed_loaded_and_pulled(hub: LocalHub, kind: str, tmp_path: Path) -> None:
    hub.login("alice")
    ticket = with_everything() if kind == "everything" else KINDS[kind]()
    assert ticket.push_to_hub(ZOO).changed
    assert not ticket.push_to_hub(ZOO).changed
    loaded = load_ticket(ZOO)
    for one, other in [
        (ticket.masks, loaded.masks),
        (ticket.rewind_state, loaded.rewind_state),
        (ticket.trained_state or {}, loaded.trained_state or {}),
    ]:
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    folder, checks = pull_ticket(ZOO, tmp_path / "copy")
    assert checks
    assert Ticket.from_pretrained(folder).config == loaded.config


def test_files_that_a_ticket_no_longer_has_go_from_the_repository(hub: LocalHub) -> None:
    hub.login("alice")
    with_everything().push_to_hub(ZOO)
    assert {"extra/scores.txt", "seed-7/values.safetensors"} <= hub.repo(ZOO).files().keys()
    assert load_ticket(ZOO).read_file("scores.txt") == b"1 2 3"
    KINDS["as it is"]().push_to_hub(ZOO)
    assert not [name for name in hub.repo(ZOO).files() if name.startswith(("extra/", "seed-7/"))]
