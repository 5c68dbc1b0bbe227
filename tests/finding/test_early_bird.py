"""Early-bird: the first mask near those of the draws before, as a part of what random masks differ by."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, load_file
from toy_ticket import toy_ticket

from ticketzoo import load_ticket
from ticketzoo.errors import RecipeError, RunError, TicketError
from ticketzoo.evaluation.distances import distance_plots
from ticketzoo.evaluation.plot_check import check_plot
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.finding.early_bird import Watched, watched
from ticketzoo.finding.package import make_ticket
from ticketzoo.finding.run import find_tickets
from ticketzoo.masks.masks import Masks
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.tasks import create_task
from ticketzoo.ticket.card import render_card
from ticketzoo.ticket.config import check_config
from ticketzoo.ticket.rewind import step_by_replicate
from ticketzoo.zoo.verify import verify_ticket


def masks(bits: str) -> Masks:
    half = len(bits) // 2
    values = torch.tensor([bit == "1" for bit in bits])
    return {"a": values[:half], "b": values[half:].view(1, -1)}


def test_the_distance_is_the_part_of_entries_that_differ() -> None:
    """Two of eight; half of the weights are kept, so that random masks differ in a half of them."""
    seen = watched([masks("11110000"), masks("11101000")])
    assert seen.distances.tolist() == [[0, 0.25], [0.25, 0]]
    assert (seen.chance, seen.near(1, 2)) == (0.5, 0.5)
    assert math.isclose(watched([masks("1000000000")] * 2).chance, 0.18)  # of 90% removed


def test_constant_masks_settle_at_the_fifth_draw() -> None:
    seen = watched([masks("11110000")] * 9)
    assert seen.settled(window=5, threshold=0.1) == 4
    assert watched([masks("11110000")] * 4).settled(window=5, threshold=0.1) is None


def test_the_newest_has_to_be_near_each_of_the_others() -> None:
    """Draw 0 is far from all others, so that the fifth draw after it is the first that settles."""
    seen = watched([masks("00001111"), *[masks("11110000")] * 6])
    assert seen.settled(window=5, threshold=0.1) == 5
    distances = torch.zeros(7, 7, dtype=torch.float64)
    distances[5, 1] = 0.06  # as a part of chance .12; the draws between are near
    assert Watched(distances, 0.5).settled(window=5, threshold=0.1) == 4
    distances[4, 0] = 0.0501
    assert Watched(distances, 0.5).settled(window=5, threshold=0.1) == 6
    distances[4, 0] = 0.05
    assert Watched(distances, 0.5).settled(window=5, threshold=0.1) == 4


RECIPE: dict[str, Any] = {
    "name": "conv-2.digits-early-bird",
    "model": {"name": "conv-2", "kwargs": {"width": 0.1}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 200}},
    "training": {"steps": "12it", "batch_size": 16},
    "finder": {"method": "early-bird", "rate": 0.5, "watch": {"every": "2it", "window": 3, "threshold": 0.5}},
    "arms": ["ticket", "dense"],
    "seeds": [0, 1],
}


def recipe(**finder: Any) -> FindRecipe:
    return parse_recipe(RECIPE | {"finder": RECIPE["finder"] | finder}, FindRecipe, "test")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the working folder of a run."""
    out = tmp_path_factory.mktemp("run")
    find_and_package(recipe(), out)
    return out


def test_the_ticket_goes_on_from_the_weights_of_its_draw(run: Path) -> None:
    folder = run / RECIPE["name"]
    ticket = load_ticket(str(folder), level=1, seed=0)
    held = load(ticket.read_file("mask-distances-seed-0-level-1.safetensors"))
    draw, steps = int(held["settled"]), held["steps"].tolist()
    assert (steps, held["distances"].shape) == ([2, 4, 6, 8, 10], (5, 5))
    assert draw >= 2
    rewind = ticket.config.rewind
    assert rewind.step == steps[draw]  # of the first seed
    final = [row for row in ticket.results if (row["level"], row["seed"], row["at"]) == (1, 0, "final")]
    values = {row["metric"]: row["value"] for row in final}
    assert values["train_mask_settled_at"] == steps[draw]
    part = values["train_mask_distance_of_chance"]
    assert part <= 0.5
    assert values["train_mask_distance"] == part * held["chance"].item()
    kept = [load_file(path)["fc1.weight"] for path in (run / "cells").glob(f"*/step-{steps[draw]}.safetensors")]
    masked, mask = ticket.rewind_state["fc1.weight"], ticket.masks["fc1.weight"]
    assert sum(torch.equal(masked, state * mask) for state in kept) == 1  # of the seeds' dense trainings


def test_the_plot_lies_in_the_run_and_in_the_ticket_and_is_verified(run: Path) -> None:
    folder = run / RECIPE["name"]
    verify_ticket(folder)
    assert (run / "mask-distances.png").read_bytes() == (folder / "mask-distances.png").read_bytes()
    assert "mask-distances.png" in (folder / "README.md").read_text()
    ticket = load_ticket(str(folder))
    draws = distance_plots(ticket.config.files, lambda path: ticket.read_file(path.removeprefix("extra/")))
    assert check_plot((folder / "mask-distances.png").read_bytes(), draws["mask-distances.png"]).state == "holds"
    assert not distance_plots(["extra/mask-distances-seed-0-level-1.safetensors"], lambda path: b"no tensors")


def test_filters_are_watched_as_filters(tmp_path: Path) -> None:
    asked = recipe(prune={"structure": "filters"})
    assert plan_find(asked, tmp_path, seconds=0.01).trainings == 4
    task = create_task(asked.task)
    with Store(tmp_path / "run", device=torch.device("cpu")) as store:
        ticket = make_ticket(asked, task, find_tickets(asked, task, store))
    kept = ticket.config.replicates[0].filters
    assert kept is not None
    assert [len(indices) for indices in kept["1"].values()] == [3, 3]  # of 6
    distances = load(ticket.read_file("mask-distances-seed-0-level-1.safetensors"))["distances"]
    assert torch.equal((12 * distances).round(), 12 * distances)  # of 12 filters


def test_a_ticket_states_one_step_or_that_of_each_replicate() -> None:
    assert step_by_replicate({"kind": "packed", "step": [8, 8]}) == {"kind": "packed", "step": 8}
    assert step_by_replicate({"kind": "packed", "step": [8, 10]}) == {"kind": "packed", "step": 8, "steps": [8, 10]}
    assert toy_ticket(rewind_step=3).config.format == 1
    ticket = toy_ticket(rewind_step=[3, 5])
    assert (ticket.config.format, ticket.config.rewind.step, ticket.config.rewind.steps) == (2, 3, [3, 5])
    assert "the weights after 3, 5 iterations" in render_card(ticket.config, None)


def test_steps_that_differ_are_stated_by_replicate(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    shutil.copytree(run / RECIPE["name"], folder)
    content = json.loads((folder / "ticket.json").read_text())
    step = content["rewind"]["step"]
    content["rewind"]["steps"] = [step, step + 2]
    rewind = check_config(content, "t").rewind
    assert [rewind.step_of(number) for number in (0, 1)] == [step, step + 2]
    assert rewind.shown_step == f"{step}, {step + 2}"
    for wrong in ([step], [step + 2, step]):
        content["rewind"]["steps"] = wrong
        with pytest.raises(TicketError, match=r"rewind\.steps: must be one of each replicate"):
            check_config(content, "t")
    content["rewind"] |= {"step": 8, "steps": [8, 10]}
    (folder / "ticket.json").write_text(json.dumps(content))
    with pytest.raises(TicketError, match=r"rewind.step of each replicate is \[8, 10\], and recipe.yaml says"):
        verify_ticket(folder)


def test_there_is_one_level() -> None:
    with pytest.raises(RecipeError, match="masks of other rates settle elsewhere, so a ticket has one: set"):
        recipe(levels=2)


@pytest.mark.parametrize(
    ("watch", "error", "message"),
    [
        ({"every": "4it"}, RecipeError, "finder.watch: 2 masks are drawn before the end of training, and its window"),
        ({"every": "0.01ep"}, RecipeError, "finder.watch.every: 0.01ep is less than an iteration; draw less often"),
        ({"every": "0it"}, RecipeError, "every must be longer than 0"),
        ({"threshold": 0}, RecipeError, "finder.watch.threshold"),
        ({"threshold": 1e-9}, RunError, "no mask of 5 draws settled within 1e-09; the nearest, at iteration "),
    ],
)
def test_a_watch_that_cannot_settle_is_refused_in_one_line(
    watch: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as refused:
        find_and_package(recipe(watch=RECIPE["finder"]["watch"] | watch), tmp_path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
