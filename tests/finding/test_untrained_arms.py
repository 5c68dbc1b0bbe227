"""Arms beside tickets that are used as they are: measured as the ticket is, of what its search would have made."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arms import ARMS, Draw
from ticketzoo.evaluation.controls import Controls, ticket_labels
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.masks.masks import Masks
from ticketzoo.models import architecture_of
from ticketzoo.models.create import initial_state
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.tasks import create_task
from ticketzoo.training.job import Job
from ticketzoo.training.parametrisation import NOTHING, STATISTICS

DIGITS = {"type": "image-classification", "dataset": {"path": "digits", "examples": 300}}


def recipe(finder: dict[str, Any], **keys: Any) -> FindRecipe:
    content = {
        "name": "lenet.digits-untrained",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1, "init": "kaiming_normal"}},
        "task": DIGITS,
        "training": {"steps": "6it", "batch_size": 32, "optimizer": {"lr": 0.1}},
        "finder": finder,
        "arms": ["random_mask", "random_reinit", "flipped_signs", "shuffled_labels"],
        "draws": 1,
        "seeds": [0],
        "package_from": 1,
    }
    return parse_recipe(content | keys, FindRecipe, "test")


def job_of(made: FindRecipe, kept: float = 0.25) -> tuple[Job, Masks]:
    task = create_task(made.task)
    architecture = architecture_of("lenet-300-100", {"in_shape": [1, 8, 8], "width": 0.1, "init": "kaiming_normal"})
    state = initial_state(architecture, 0)
    masks = {
        name: torch.arange(one.numel()).view(one.shape) < round(kept * one.numel())
        for name, one in state.items()
        if name.endswith("weight")
    }
    return Job(architecture, state, masks, task, made.training, 0, learn=NOTHING), masks


@pytest.mark.parametrize(
    "finder",
    [
        {"method": "edge-popup", "rate": 0.75, "scaled": True},
        {"method": "bernoulli", "signed": True, "rescaled": True},
        {"method": "biprop", "rate": 0.75},
    ],
)
def test_fresh_weights_are_made_as_the_tickets_are(finder: dict[str, Any]) -> None:
    """A quarter is kept. Edge-popup scales by 2; the others by 4 the deviation drawn, or the mean of what is kept."""
    made = recipe(finder)
    job, masks = job_of(made)
    fresh = initial_state(job.architecture, 0, "random_reinit", 0)
    draw = Draw("random_reinit", search=made.controls.search)
    state = ARMS["random_reinit"].make(job, draw).state
    for name, mask in masks.items():
        expected = {
            "edge-popup": 2 * fresh[name],
            "bernoulli": fresh[name].sign() * 4 * fresh[name].std(correction=0),
            "biprop": fresh[name].sign() * fresh[name][mask].abs().mean(),
        }[finder["method"]]
        torch.testing.assert_close(state[name], expected)


def test_a_training_beside_it_starts_from_weights_as_they_are_drawn() -> None:
    made = recipe({"method": "biprop"})
    job, _ = job_of(made)
    dense = ARMS["dense_long"].make(job, Draw("dense_long", search=made.controls.search))
    assert all(torch.equal(tensor, dense.state[name]) for name, tensor in initial_state(job.architecture, 0).items())


def test_arms_take_the_signs_or_the_labels_away() -> None:
    made = recipe({"method": "edge-popup"})
    job, masks = job_of(made)
    search = made.controls.search
    flipped = ARMS["flipped_signs"].make(job, Draw("flipped_signs", search=search))
    assert all(torch.equal(flipped.state[name], -job.state[name]) for name in masks)
    shuffled = ARMS["shuffled_labels"].make(job, Draw("shuffled_labels", search=search))
    assert shuffled.learn.kept == {name: int(mask.sum()) for name, mask in masks.items()}
    assert shuffled.task.identity != job.task.identity
    labels, other = job.task._train.labels, shuffled.task._train.labels
    assert torch.equal(labels.sort().values, other.sort().values)
    assert 0.02 < (labels == other).float().mean() < 0.3
    assert shuffled.task.evaluate(job.model(torch.device("cpu")).eval(), "test", torch.device("cpu")) == (
        job.task.evaluate(job.model(torch.device("cpu")).eval(), "test", torch.device("cpu"))
    )


def test_all_arms_are_measured_and_flipped_signs_are_worse_than_the_ticket(tmp_path: Path) -> None:
    longer = {"steps": "60it", "batch_size": 32, "optimizer": {"lr": 0.2, "momentum": 0.9}}
    ticket, _ = find_and_package(recipe({"method": "edge-popup"}, training=longer), tmp_path)
    rows = [row for row in ticket.results if (row["at"], row["metric"]) == ("final", "test_accuracy")]
    of_arm = {row["arm"]: row["value"] for row in rows if row["level"] == 1}
    steps = {row["arm"]: (row["step"], row.get("trained", True)) for row in rows}
    of_a_training = {"dense": (60, True), "chance": (0, True), "shuffled_labels": (60, True)}  # of the mask
    assert steps == dict.fromkeys(of_arm, (0, False)) | of_a_training
    assert of_arm.keys() == {"ticket", "random_mask", "random_reinit", "flipped_signs", "shuffled_labels"}
    assert of_arm["flipped_signs"] < of_arm["ticket"] - 0.2
    assert of_arm["shuffled_labels"] < of_arm["ticket"]


def test_statistics_of_controls_are_of_their_own_masks(tmp_path: Path) -> None:
    """Those of a ticket are of its mask: a control that took them over would be measured as another network."""
    made = recipe({"method": "edge-popup"}, arms=["random_mask"])
    architecture = architecture_of("resnet-20", {"in_shape": [1, 8, 8], "width": 0.1, "init": "kaiming_normal"})
    state = initial_state(architecture, 0)
    masks = {name: one > 0 for name, one in state.items() if "conv" in name}
    ticket = Job(architecture, state, masks, create_task(made.task), made.training, 0, learn=NOTHING)
    labels = ticket_labels(ticket="t", level=1, sparsity=0.5, target="digits", seed=0)
    ((control, _), *_) = Controls(("random_mask",)).beside(ticket, labels, once=True)
    assert control.learn == STATISTICS
    with Store(tmp_path) as cells:
        gathered = cells.run(control, "control", keep_final=True).final_state()
        assert cells.run(ticket, "ticket", keep_final=True).record.final["step"] == 0
    means = [name for name in state if name.endswith("running_mean")]
    assert all(state[name].abs().max() == 0 and gathered[name].abs().max() > 0 for name in means)
    weights = [name for name in masks if name not in means]
    assert all(torch.equal(gathered[name], control.state[name].where(control.masks[name], 0)) for name in weights)


def test_a_method_that_trains_no_mask_has_none_of_shuffled_labels() -> None:
    with pytest.raises(RecipeError, match="shuffled_labels trains a mask, and method imp trains none: leave it out"):
        recipe({"method": "imp"})
    with pytest.raises(RecipeError, match="shuffled_labels trains a mask: it goes with ticketzoo find"):
        ARMS["shuffled_labels"].make(job_of(recipe({"method": "biprop"}))[0], Draw("shuffled_labels"))
