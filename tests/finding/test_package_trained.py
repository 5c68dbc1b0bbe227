"""Tickets that hold the trained weights of their levels beside those to train from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ticketzoo.errors import TicketError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.models import create_from_architecture
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks import create_task
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.export import export_ticket

RECIPE = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
    "training": {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}},
    "finder": {"levels": 2},
    "arms": ["ticket", "dense"],
    "seeds": [0, 1],
}


def found(out: Path, **keys: Any) -> Ticket:
    return Ticket.from_pretrained(find_and_package(parse_recipe(RECIPE | keys, FindRecipe, "test"), out)[1])


@pytest.fixture(scope="module")
def ticket(tmp_path_factory: pytest.TempPathFactory) -> Ticket:
    return found(tmp_path_factory.mktemp("trained"), package_trained=True)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_trained_network_scores_what_the_rows_say(ticket: Ticket, level: int, seed: int, tmp_path: Path) -> None:
    one = ticket.at(level=level, seed=seed)
    export_ticket(one, "trained", tmp_path / "network.safetensors")
    network = create_from_architecture(ticket.config.architecture.model_dump(), seed=3)
    network.load_state_dict(load_file(tmp_path / "network.safetensors"))
    task = create_task(parse_recipe(RECIPE, FindRecipe, "test").task)
    scores = task.evaluate(network.eval(), "test", torch.device("cpu"))
    said = {
        row["metric"]: row["value"]
        for row in ticket.results
        if (row["arm"], row["level"], row["seed"], row["at"]) == ("ticket", level, seed, "final")
    }
    assert said["test_accuracy"] == scores["accuracy"]
    for name, mask in one.masks.items():
        assert not network.get_parameter(name)[~mask].any()


def test_it_trains_from_the_same_weights_as_one_without(ticket: Ticket, tmp_path: Path) -> None:
    plain = found(tmp_path)
    assert plain.trained_state is None
    assert [one.rewind_sha256 for one in plain.config.replicates] == [
        one.rewind_sha256 for one in ticket.config.replicates
    ]
    assert plain.config.mask_sha256 == ticket.config.mask_sha256
    assert plain.config.format == 1
    built, other = plain.build(), ticket.build()
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in built.state_dict().items())


def test_a_ticket_without_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(TicketError, match=r"no trained weights of level 2; find it again with --set package_trained"):
        export_ticket(found(tmp_path / "run"), "trained", tmp_path / "network.safetensors")
