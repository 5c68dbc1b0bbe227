"""Masks that a criterion makes of a training, on the weights of before it: measured as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo import Ticket
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, find_tickets, plan_find
from ticketzoo.finding.package import make_ticket
from ticketzoo.models.create import initial_state
from ticketzoo.models.signs import signed_constants
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.tasks import create_task
from ticketzoo.training.statistics import gather_statistics


def recipe(model: dict[str, Any] | None = None, arms: tuple[str, ...] = (), **finder: Any) -> FindRecipe:
    content = {
        "name": "lenet.digits-supermask",
        "model": model or {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 300}},
        "training": {"steps": "12it", "batch_size": 32, "optimizer": {"name": "adam", "lr": 0.01}},
        "finder": {"method": "criterion-supermask", "scope": "layerwise", "rate": 0.5, "levels": 2, **finder},
        "arms": arms,
        "seeds": [0],
        "package_from": 1,
    }
    return parse_recipe(content, FindRecipe, "test")


def found(made: FindRecipe, folder: Path) -> Ticket:
    """Return the ticket, without its plots, which take longer than all else."""
    task = create_task(made.task)
    with Store(folder, device=torch.device("cpu")) as cells:
        return make_ticket(made, task, find_tickets(made, task, cells))


def start_of(ticket: Ticket) -> dict[str, torch.Tensor]:
    return initial_state(ticket.config.architecture.model_dump(exclude={"parameters"}), 0)


def test_signs_are_those_that_were_drawn_and_the_magnitude_is_the_deviation() -> None:
    """Of 1, -1, 3, 0 the mean is 0.75 and the squares sum to 11: the deviation is sqrt(11 / 4 - 0.75^2) = 1.479."""
    weights = {"w": torch.tensor([1.0, -1.0, 3.0, 0.0])}
    made = signed_constants(weights, weights)
    assert made["w"].tolist() == pytest.approx([1.479, -1.479, 1.479, 1.479], abs=5e-4)


@pytest.mark.parametrize("signed", [False, True])
def test_the_packaged_network_is_of_untrained_weights_and_biases_and_scores_what_was_measured(
    signed: bool, tmp_path: Path
) -> None:
    made = recipe(signed=signed)
    ticket = found(made, tmp_path)
    config = ticket.config
    assert (config.use, config.rewind.kind, len(config.levels)) == ("as-is", "signed" if signed else "packed", 2)
    start = start_of(ticket)
    frozen = start | signed_constants(start, {name: start[name] for name in ticket.masks}) if signed else start
    task, cpu = create_task(made.task), torch.device("cpu")
    for number in (1, 2):
        one = ticket.at(level=number)
        for name, tensor in one.rewind_state.items():
            assert torch.equal(tensor, frozen[name].where(one.masks.get(name, torch.tensor(True)), 0))
        rows = [row for row in ticket.results if (row["arm"], row["level"]) == ("ticket", number)]
        (measured,) = (row["value"] for row in rows if (row["at"], row["metric"]) == ("final", "test_accuracy"))
        assert task.evaluate(one.build().eval(), "test", cpu)["accuracy"] == measured


def test_weights_are_scored_at_the_point_that_is_asked_for(tmp_path: Path) -> None:
    """Scored at 3 of 12 iterations as after a training of 3, which is another training where it says so itself."""
    at_3 = found(recipe(scored_at="3it"), tmp_path)
    of_3 = {"steps": "3it", "batch_size": 32, "optimizer": {"name": "adam", "lr": 0.01}}
    assert found(recipe(training=of_3), tmp_path / "own").config.mask_sha256 == at_3.config.mask_sha256
    assert found(recipe(), tmp_path).config.mask_sha256 != at_3.config.mask_sha256
    assert plan_find(recipe(scored_at="3it"), tmp_path / "new", seconds=0.001).trainings == recipe().trainings == 3


@pytest.mark.slow
def test_statistics_are_gathered_for_every_mask(tmp_path: Path) -> None:
    """A fresh network's are 0 and 1; with those the masks would be measured as other networks."""
    model = {"name": "resnet-20", "kwargs": {"width": 0.1, "init": "kaiming_normal"}}
    ticket = found(recipe(model, ("random_mask",)), tmp_path)
    one, other = (ticket.at(level=level).rewind_state for level in (1, 2))
    (name, *_) = (name for name in one if name.endswith("running_var"))
    assert not torch.equal(one[name], torch.ones_like(one[name]))
    assert not torch.equal(one[name], other[name])


def test_statistics_of_a_bernoulli_ticket_and_of_its_samples_are_gathered_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the training are of sampled masks, and what is measured is the mask of logits above 0."""
    monkeypatch.setattr("ticketzoo.finding.bernoulli.SAMPLES", 2)
    model = {"name": "resnet-20", "kwargs": {"width": 0.1, "init": "kaiming_normal"}}
    steps = {"steps": "2it", "batch_size": 100, "optimizer": {"lr": 100.0}}
    made = recipe(model, method="bernoulli", scope="learned", rate=None, levels=1, training=steps)
    ticket = found(made, tmp_path)
    network = ticket.build()
    gather_statistics(network, create_task(made.task), 100, 0, torch.device("cpu"))
    again = network.state_dict()
    means = [name for name in ticket.rewind_state if name.endswith("running_mean")]
    for name in means:
        torch.testing.assert_close(ticket.rewind_state[name], again[name], rtol=0, atol=0.01)
    assert any(again[name].abs().max() > 0.1 for name in means)
    learned = [json.loads(file.read_text())["specification"].get("learn") for file in tmp_path.glob("*/cell.json")]
    assert learned.count({"name": "statistics"}) == 1 + 2


@pytest.mark.parametrize(
    ("finder", "said"),
    [
        ({"scored_at": "0it"}, "scored_at must be longer than 0"),
        ({"scored_at": "1it", "training": {"steps": "2it"}}, "scored_at is a point of the dense training"),
    ],
)
def test_what_cannot_be_scored_is_refused(finder: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe(**finder)


def test_a_point_beyond_the_end_and_a_dense_level_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="finder: 12it is iteration 12, not before the end of training"):
        found(recipe(scored_at="12it"), tmp_path)
    with pytest.raises(RecipeError, match="holds no dense network: set package_from to 1"):
        parse_recipe(recipe().model_dump(mode="json") | {"package_from": 0}, FindRecipe, "test")
