"""Anyone's masks, measured as a ticket is."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from ticketzoo.cli.main import app
from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.finding.judged import Judging, judge_masks, plan_judging
from ticketzoo.recipe import parse_recipe
from ticketzoo.ticket import Ticket

RECIPE = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
    "training": {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}},
    "finder": {"levels": 3},
    "arms": ["ticket", "dense", "random_reinit", "random_mask"],
    "arm_levels": [2],
    "seeds": [0],
}


def recipe(**keys: Any) -> FindRecipe:
    return parse_recipe(RECIPE | keys, FindRecipe, "test")


@pytest.fixture(scope="module")
def ticket(tmp_path_factory: pytest.TempPathFactory) -> Ticket:
    out = tmp_path_factory.mktemp("found")
    return Ticket.from_pretrained(find_and_package(recipe(), out)[1], level=2)


@pytest.fixture(scope="module")
def files(ticket: Ticket, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The masks of level 2, and the weights that the ticket was trained from."""
    folder = tmp_path_factory.mktemp("files")
    save_file({name: mask.to(torch.uint8) for name, mask in ticket.masks.items()}, folder / "masks.safetensors")
    save_file(ticket.known_state, folder / "weights.safetensors")
    return str(folder / "masks.safetensors"), str(folder / "weights.safetensors")


def numbers(ticket: Ticket, level: int) -> dict[tuple[str, int, str, str], float]:
    return {
        (row["arm"], row["draw"], row["at"], row["metric"]): row["value"]
        for row in ticket.results
        if row["level"] == level
    }


def test_masks_of_a_ticket_are_measured_as_the_ticket_was(
    ticket: Ticket, files: tuple[str, str], tmp_path: Path
) -> None:
    masks, weights = files
    judged, folder = judge_masks(Judging(recipe(), masks, weights), tmp_path)
    assert numbers(judged, 1) == numbers(ticket, 2)
    assert numbers(judged, 0) == numbers(ticket, 0)
    again = Ticket.from_pretrained(folder, level=1)
    assert again.name == "lenet.digits-imp-judged"
    assert all(torch.equal(mask, ticket.masks[name]) for name, mask in again.masks.items())
    assert again.config.pruning.criterion == "given"
    assert "masks that were given, and not found here" in (folder / "README.md").read_text()


def test_without_weights_each_seed_starts_from_its_own(ticket: Ticket, files: tuple[str, str], tmp_path: Path) -> None:
    """Seed 0's own weights are those that its ticket was rewound to; seed 1 has others."""
    judged, _ = judge_masks(Judging(recipe(seeds=[0, 1]), files[0]), tmp_path)
    first = [row for row in judged.results if row["seed"] == 0 and row["arm"] == "ticket" and row["level"] == 1]
    assert {(row["arm"], row["draw"], row["at"], row["metric"]): row["value"] for row in first} == {
        key: value for key, value in numbers(ticket, 2).items() if key[0] == "ticket"
    }
    one, other = (judged.at(seed=seed, level=1).rewind_state["fc1.weight"] for seed in (0, 1))
    assert not torch.equal(one, other)


def test_a_layer_without_a_mask_stays_dense(ticket: Ticket, tmp_path: Path) -> None:
    masks = {"fc1.weight": ticket.masks["fc1.weight"].float()}
    save_file(masks, tmp_path / "masks.safetensors")
    judged, _ = judge_masks(Judging(recipe(), str(tmp_path / "masks.safetensors")), tmp_path / "out")
    assert [parameter.name for parameter in judged.config.pruning.parameters] == ["fc1.weight"]
    assert torch.equal(judged.at(level=1).masks["fc1.weight"], masks["fc1.weight"].bool())


def test_a_plan_counts_its_trainings(files: tuple[str, str], tmp_path: Path) -> None:
    """Dense, the masks, fresh weights and two draws of random positions."""
    plan = plan_judging(Judging(recipe(), *files), tmp_path, seconds=0.01)
    assert plan.trainings == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"fc9.weight": torch.ones(2)}, r"'fc9.weight' of \[2\] is no parameter of the model"),
        ({"fc1.weight": torch.ones(2)}, r"'fc1.weight' of \[2\] is \[15, 64\] in the model"),
        ({"fc1.weight": torch.full((15, 64), 0.5)}, "'fc1.weight' is no mask: it has other values than 0 and 1"),
        ({"fc1.weight": torch.full((15, 64), torch.nan)}, "'fc1.weight' is no mask"),
        ({}, "holds no masks"),
    ],
)
def test_what_is_no_mask_is_named(tensors: dict[str, torch.Tensor], said: str, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "masks.safetensors")
    with pytest.raises(RecipeError, match=said):
        judge_masks(Judging(recipe(), str(tmp_path / "masks.safetensors")), tmp_path / "out")


def test_weights_of_another_model_are_refused(files: tuple[str, str], tmp_path: Path) -> None:
    save_file({"fc1.weight": torch.ones(2, 2)}, tmp_path / "weights.safetensors")
    with pytest.raises(RecipeError, match=r"weights\.safetensors: no weights of the model"):
        judge_masks(Judging(recipe(), files[0], str(tmp_path / "weights.safetensors")), tmp_path / "out")


def test_command(files: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(json.dumps(RECIPE))
    asked = ["judge", files[0], "--weights", files[1], "--recipe", str(tmp_path / "recipe.yaml"), "--device", "cpu"]
    done = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["name"] == "lenet.digits-imp-judged"
