"""Tickets do not care which device the user has made the default."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from toy_ticket import Toy, toy_ticket

from ticketzoo import Ticket, check
from ticketzoo.errors import TicketError
from ticketzoo.masks.random import permuted, random_masks, shuffled_masks
from ticketzoo.ticket.export import export_ticket


@pytest.fixture
def made() -> Ticket:
    return toy_ticket()


@pytest.fixture
def meta(made: Ticket) -> Iterator[None]:
    with torch.device("meta"):
        yield


def test_a_ticket_is_saved_loaded_applied_and_exported(made: Ticket, meta: None, tmp_path: Path) -> None:
    ticket = Ticket.from_pretrained(made.save_pretrained(tmp_path / "t"), level=1)
    assert ticket.rewind_state["fc1.weight"].tolist() == [[0, 0, 2, 3, 0], [5, 6, 7, 8, 9]]
    with torch.device("cpu"):
        model = Toy()
    ticket.apply(model)
    model(torch.ones(2, 5, device="cpu")).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    check(model)
    for form in ("state-dict", "torch-prune", "masks"):
        export_ticket(ticket, form, tmp_path / "exports" / f"{form}.safetensors")
    masks, state = ticket.masks, ticket.rewind_state
    drawn = [random_masks(masks, 0), shuffled_masks(masks, 0), permuted(state, masks, 0)]
    assert {tensor.device.type for one in drawn for tensor in one.values()} == {"cpu"}


def test_a_model_without_memory_is_refused_in_one_line(made: Ticket, meta: None) -> None:
    with pytest.raises(TicketError, match=r"model: without memory \(on the meta device\): fc1\.weight"):
        made.apply(Toy())
