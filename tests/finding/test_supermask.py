"""Edge-popup by recipe, on the digits: its ticket and the arms beside it are measured as they are."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.rows import Row
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.models.create import initial_state
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.plan import Plan
from ticketzoo.tasks import create_task
from ticketzoo.ticket import Ticket


def recipe(**finder: Any) -> FindRecipe:
    content = {
        "name": "lenet.digits-edge-popup",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.5, "init": "signed_kaiming_constant"}},
        "task": {"type": "image-classification", "dataset": {"path": "digits"}},
        "training": {
            "steps": "10ep",
            "batch_size": 64,
            "optimizer": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
            "schedule": {"name": "cosine"},
        },
        "finder": {"method": "edge-popup", **finder},
        "arms": ["random_mask", "random_reinit"],
        "draws": 3,
        "seeds": [0],
        "package_from": 1,
    }
    return parse_recipe(content, FindRecipe, "test")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Ticket, Path]:
    folder = tmp_path_factory.mktemp("run") / "out"
    plan = plan_find(recipe(), folder, seconds=0.01)
    return plan, *find_and_package(recipe(), folder)


def accuracies(rows: list[Row], arm: str) -> list[float]:
    return [row["value"] for row in rows if (row["arm"], row["at"], row["metric"]) == (arm, "final", "test_accuracy")]


def test_the_supermask_solves_the_task_and_its_controls_guess(run: tuple[Plan, Ticket, Path]) -> None:
    rows = [row for row in run[1].results if row["level"] == 1 or row["arm"] == "dense"]
    (ticket,), (dense,) = accuracies(rows, "ticket"), accuracies(rows, "dense")
    assert dense > ticket > 0.8
    for control in ("random_mask", "random_reinit"):
        guesses = accuracies(rows, control)
        assert len(guesses) == 3
        assert sum(guesses) / 3 < 0.25


def test_the_packaged_network_is_the_one_that_was_measured(run: tuple[Plan, Ticket, Path]) -> None:
    _, ticket, folder = run
    task = create_task(recipe().task)
    model = Ticket.from_pretrained(folder).build().eval()
    kept = [int(mask.sum()) for mask in ticket.masks.values()]
    assert kept == [n - round(n / 2) for n in (64 * 150, 150 * 50, 50 * 10)]
    (measured,) = accuracies([row for row in ticket.results if row["level"] == 1], "ticket")
    assert task.evaluate(model, "test", torch.device("cpu"))["accuracy"] == measured


def test_a_plan_counts_the_training_of_the_scores_and_no_update_of_what_is_measured_as_it_is(
    run: tuple[Plan, Ticket, Path],
) -> None:
    plan = run[0]
    per_epoch = create_task(recipe().task).steps_per_epoch(64)
    assert (
        plan.trainings == recipe().trainings == 2 + 1 + 2 * 3
    )  # weights, scores; the ticket and its controls as they are
    assert plan.iterations == 2 * 10 * per_epoch


def test_scaled_weights_make_up_for_the_inputs_that_are_lost(tmp_path: Path) -> None:
    """A quarter of each layer is kept: its weights are doubled."""
    ticket, _ = find_and_package(recipe(rate=0.75, scaled=True), tmp_path)
    start = initial_state(ticket.config.architecture.model_dump(), 0)
    for name, mask in ticket.masks.items():
        assert torch.equal(ticket.rewind_state[name][mask], 2 * start[name][mask])


def test_more_than_one_level_is_refused() -> None:
    with pytest.raises(RecipeError, match="masks of edge-popup are not nested"):
        recipe(levels=2)
