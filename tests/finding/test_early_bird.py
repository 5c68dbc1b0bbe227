"""Early-bird: the first mask near those of the draws before, as a part of what random masks differ by."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, load_file, save
from toy_ticket import toy_ticket

from ticketzoo import load_ticket
from ticketzoo.errors import RecipeError, RunError, TicketError
from ticketzoo.evaluation.distances import distance_plots
from ticketzoo.evaluation.plot_check import check_plot
from ticketzoo.finding import FindRecipe, early_bird, find_and_package, plan_find
from ticketzoo.finding.early_bird import Drawn, Watched, near
from ticketzoo.finding.package import make_ticket
from ticketzoo.finding.run import Search, find_tickets
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.tasks import create_task
from ticketzoo.ticket.card import render_card
from ticketzoo.ticket.config import check_config
from ticketzoo.ticket.rewind import step_by_replicate
from ticketzoo.zoo.verify import verify_ticket


def drawn(*layers: str) -> Drawn:
    """Return a mask of these layers."""
    return Drawn.of({str(name): torch.tensor([bit == "1" for bit in bits]) for name, bits in enumerate(layers)})


def first(draws: list[Drawn], window: int = 5, threshold: float = 0.1) -> int | None:
    """Return the number, from 0, of the first draw that has settled."""
    seen = (draws[: number + 1] for number in range(window - 1, len(draws)))
    return next((len(some) - 1 for some in seen if near(some, window)[1] <= threshold), None)


def test_the_distance_is_the_part_of_entries_that_differ() -> None:
    """Two of eight; half of the weights are kept, so that random masks differ in a half of them."""
    masks = [drawn("11110000"), drawn("11101000")]
    seen = Watched.of(masks, masks)
    assert seen.distances.tolist() == [[0, 0.25], [0.25, 0]]
    assert seen.chance.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert near(masks, 2) == (0.25, 0.5)
    assert math.isclose(Watched.of([drawn("1000000000")], [drawn("0100000000")]).chance.item(), 0.18)  # 90% removed


def test_random_masks_are_as_dense_in_each_layer() -> None:
    """Layer by layer 1 and 0 are kept in one, 3/4 and 1/4 in the other: (4 x 1/4 + 4 x 1/4) / 8, not a half."""
    masks = [drawn("1111", "0000"), drawn("1110", "0100")]
    seen = Watched.of(masks, masks)
    assert seen.chance.tolist() == [[0, 0.25], [0.25, 2 * 3 / 16]]  # 2 d (1 - d) of a mask with itself
    assert seen.parts.tolist() == [[0, 1], [1, 0]]
    uneven = Watched.of([drawn("10", "110000")], [drawn("01", "110000")])
    assert math.isclose(uneven.chance.item(), (2 * 1 / 2 + 6 * 4 / 9) / 8)
    assert uneven.distances.item() == 0.25


def test_chance_is_what_permuted_masks_differ_by() -> None:
    random = torch.Generator().manual_seed(0)
    orders = [[torch.randperm(size, generator=random) for size in (40, 200)] for _ in range(400)]
    bits = [torch.arange(40) < 30, torch.arange(200) < 20]
    masks = [Drawn.of({str(n): bits[n][order] for n, order in enumerate(both)}) for both in orders]
    seen = Watched.of(masks[:1], masks[1:])
    assert math.isclose(seen.chance[0, 0], (40 * 2 * 3 / 16 + 200 * 2 * 9 / 100) / 240)
    assert abs(float(seen.distances.mean() / seen.chance[0, 0]) - 1) < 0.02


def test_constant_masks_settle_at_the_fifth_draw() -> None:
    assert first([drawn("11110000")] * 9) == 4
    assert first([drawn("1111", "0000")] * 9) == 4  # of layers kept whole or not at all
    assert first([drawn("11110000")] * 4) is None


def test_the_newest_has_to_be_near_each_of_the_others() -> None:
    """Draw 0 is far from all others, so that the fifth draw after it is the first that settles."""
    assert first([drawn("00001111"), *[drawn("11110000")] * 6]) == 5
    ones = [drawn("1" * 20 + "0" * 20)] * 7
    moved = drawn("1" * 19 + "0" * 20 + "1")  # 2 of 40 differ, .05, and a half of random masks: .1
    assert first([ones[0]] * 4 + [moved]) == 4
    assert first([ones[0]] * 4 + [moved, *ones], threshold=0.0999) == 9


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
    before = held["distances"][draw, draw - 2 : draw]
    assert values["train_mask_distance"] == before.max()
    assert part == (before / held["chance"][draw, draw - 2 : draw]).max()
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


DIFF = {"name": "magnitude", "sign": "diff"}
SINGLE, EARLY = DIFF | {"single": True}, {"method": "early-bird"}


@pytest.mark.parametrize("criterion", ["movement", DIFF])
def test_a_criterion_compares_with_the_start_of_the_training(criterion: Any, tmp_path: Path) -> None:
    asked = recipe(
        prune={"criterion": criterion, "scope": "global"}, watch={"every": "2it", "window": 2, "threshold": 1}
    )
    with Store(tmp_path) as store:
        search = Search(asked, create_task(asked.task), store)
        found, initial = search.replicate(0), search.lab(0).initial.state
        then = found.found[1].start.state
    masks = found.levels[1]
    score = {name: (then[name] - initial[name]).abs() for name in masks}
    if isinstance(criterion, dict):
        score = {name: (then[name].sign() != initial[name].sign()).float() for name in masks}
    kept, removed = (torch.cat([score[name][mask ^ gone] for name, mask in masks.items()]) for gone in (False, True))
    assert kept.max() > 0
    assert removed.max() <= (kept.min() if criterion == "movement" else 0)  # fewer than a half change their sign


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (EARLY | {"prune": {"criterion": SINGLE}}, "leave single out"),
        ({"method": "edge-popup", "prune": {"criterion": "movement"}}, "criterion movement would not be looked at"),
        ({"method": "biprop", "prune": {"criterion": DIFF}}, "keys of its own would not be looked at"),
        ({"method": "mask-training", "prune": {"criterion": DIFF, "scope": "layerwise"}}, "leave out sign"),
    ],
)
def test_criteria_that_cannot_be_are_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        parse_recipe(RECIPE | {"package_from": 1, "finder": changed}, FindRecipe, "test")
    assert "\n" not in str(refused.value)


def test_the_lowest_scores_would_settle_elsewhere() -> None:
    with pytest.raises(RecipeError, match="method early-bird settles by them at another draw: leave it out"):
        parse_recipe(RECIPE | {"arms": ["inverted_mask"]}, FindRecipe, "test")


def test_a_plan_draws_no_more_than_a_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def noted(drawn: list[Drawn], window: int) -> tuple[float, float]:
        compared.append(window)
        return near(drawn, window)

    monkeypatch.setattr(early_bird, "near", noted)
    training = RECIPE["training"] | {"steps": "2001it"}
    finder = RECIPE["finder"] | {"watch": {"every": "1it", "window": 3}}
    asked = parse_recipe(RECIPE | {"training": training, "finder": finder}, FindRecipe, "test")
    assert plan_find(asked, tmp_path, seconds=0.01).trainings == 4
    assert compared == [3, 3]  # of two seeds
    more = parse_recipe(RECIPE | {"training": {"steps": "2002it"}, "finder": finder}, FindRecipe, "test")
    with pytest.raises(RecipeError, match=r"finder\.watch\.every: 1it makes over 2,000 draws; draw less often"):
        plan_find(more, tmp_path, seconds=0.01)


HELD = {
    "distances": torch.tensor([[0, 0.25], [0.25, 0]], dtype=torch.float64),
    "chance": torch.tensor([[0, 0.5], [0.5, 0]], dtype=torch.float64),
    "steps": torch.tensor([1, 2]),
    "settled": torch.tensor([1]),
}
PATHS = [f"extra/mask-distances-seed-{seed}-level-1.safetensors" for seed in range(9)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("distances", HELD["distances"].bfloat16()),
        ("distances", HELD["distances"] / 0),
        ("distances", HELD["distances"] - 1),
        ("distances", HELD["steps"]),
        ("chance", HELD["chance"].float()),
        ("chance", HELD["chance"] * math.nan),
        ("chance", HELD["chance"][0]),
        ("steps", HELD["distances"][0]),
        ("steps", torch.tensor(1)),
        ("settled", torch.tensor([1.0], dtype=torch.float64)),
        ("settled", torch.tensor([2])),
        ("settled", torch.tensor([True])),
    ],
)
def test_a_strangers_distances_are_drawn_only_if_they_are_whole(name: str, value: torch.Tensor) -> None:
    assert not distance_plots(PATHS[:1], lambda path: save(HELD | {name: value.clone()}))


def test_a_plot_says_where_it_shows_some_seeds_of_more() -> None:
    plot = distance_plots(PATHS[:2], lambda path: save(HELD))["mask-distances.png"]()
    assert [axes.get_ylabel() for axes in plot.axes][-1] == "distance / that of random masks"
    plot = distance_plots(PATHS, lambda path: save(HELD))["mask-distances.png"]()
    assert [axes.get_ylabel() for axes in plot.axes][-1] == "distance / that of random masks (8 of 9 seeds)"


def test_masks_differ_where_either_keeps_and_not_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one matrix product for each few columns."""
    here, there = (torch.rand(rows, 37, generator=torch.Generator().manual_seed(rows)) < 0.4 for rows in (3, 5))
    expected = (here[:, None] ^ there).count_nonzero(2).double()
    for at_once in (early_bird.AT_ONCE, 40):
        monkeypatch.setattr(early_bird, "AT_ONCE", at_once)
        assert torch.equal(early_bird.differing(here, there), expected)
