import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketzoo.errors import ModelError, RecipeError
from ticketzoo.finding.package import find_and_package
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.run import Finding, Replicate, find_tickets
from ticketzoo.masks.masks import Masks, is_subset, kept
from ticketzoo.models import create_from_architecture
from ticketzoo.models.create import initial_state
from ticketzoo.models.state import State
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Job, Store
from ticketzoo.tasks import create_task
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import PackedRewind
from ticketzoo.training import Record, TrainingConfig, train

CPU = torch.device("cpu")
WEIGHTS = {"fc1.weight": 960, "fc2.weight": 75, "fc3.weight": 15}  # 64 pixels, 15 and 5 hidden units, 3 classes
ARCHITECTURE = {
    "library": "ticketzoo",
    "name": "lenet-300-100",
    "kwargs": {"num_classes": 3, "in_shape": [1, 8, 8], "init": "glorot_normal", "width": 0.05},
}


def recipe(**keys: Any) -> FindRecipe:
    content = {
        "name": "lenet.digits-imp",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
        "training": {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}, "evaluate_every": "5it"},
        "arms": ["ticket", "dense"],
        "seeds": [0],
    }
    return parse_recipe(content | keys, FindRecipe, "test")


@functools.cache
def digits() -> Task:
    return create_task(recipe().task)


@dataclass
class Training:
    """One training as the task saw it: the weights it began with and ended with, and its batches."""

    start: State
    end: State = field(default_factory=dict)
    batches: list[Tensor] = field(default_factory=list)


class WatchedDigits:
    """Digits 0 to 2, and what every training on them did."""

    def __init__(self) -> None:
        self._digits = digits()
        self.trainings: list[Training] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._digits, name)

    def batches(self, *args: Any) -> Iterator[Any]:
        self._starting = True
        return self._digits.batches(*args)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not model.training:  # no training, but a look at which parameters the loss depends on
            return self._digits.loss(model, batch)
        if self._starting:
            self.trainings.append(Training(copied(model)))
            self._starting = False
        self.trainings[-1].batches.append(batch[0])
        return self._digits.loss(model, batch)

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        self.trainings[-1].end = copied(model)  # the last time is after the last step
        return self._digits.evaluate(model, split, device)


def copied(model: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def find(folder: Path, task: Any = None, **keys: Any) -> Finding:
    with Store(folder, device=CPU) as cells:
        return find_tickets(recipe(**keys), task or digits(), cells)


def levels_of(replicate: Replicate) -> list[Masks]:
    return list(replicate.levels.values())


def masked(state: State, masks: Masks) -> State:
    return {name: tensor * masks[name] if name in masks else tensor for name, tensor in state.items()}


def largest(weights: State, masks: Masks, count: int) -> Masks:
    """The masks of the `count` survivors of largest magnitude, by sorting them all."""
    flat = torch.cat([torch.where(mask, weights[name].abs(), -1).flatten() for name, mask in masks.items()])
    keep = torch.zeros(len(flat), dtype=torch.bool)
    keep[flat.argsort(descending=True)[:count]] = True
    parts = keep.split([mask.numel() for mask in masks.values()])
    return {name: part.view(mask.shape) for (name, mask), part in zip(masks.items(), parts, strict=True)}


def assert_equal(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_every_level_starts_from_the_rewind_weights_under_its_mask(tmp_path: Path) -> None:
    """PyTorch Lightning's lottery-ticket option did not rewind for three years and no test noticed."""
    task = WatchedDigits()
    (replicate,) = find(tmp_path, task, finder={"levels": 3}).replicates
    assert_equal(replicate.found[-1].start.state, initial_state(ARCHITECTURE, 0))
    assert len(task.trainings) == 4
    for training, masks in zip(task.trainings, levels_of(replicate), strict=True):
        assert_equal(training.start, masked(replicate.found[-1].start.state, masks))
        assert not torch.equal(training.end["fc1.weight"], training.start["fc1.weight"])
        assert_equal(training.end, masked(training.end, masks))


def test_every_level_prunes_the_weights_the_one_before_ended_with(tmp_path: Path) -> None:
    task = WatchedDigits()
    (replicate,) = find(tmp_path, task, finder={"levels": 3}).replicates
    for before, trained, after in zip(levels_of(replicate), task.trainings, levels_of(replicate)[1:], strict=False):
        assert_equal(after, largest(trained.end, before, kept(after)))
        assert is_subset(after, before)


def test_one_shot_prunes_the_dense_weights_at_every_level(tmp_path: Path) -> None:
    task = WatchedDigits()
    (replicate,) = find(tmp_path, task, finder={"method": "one-shot", "levels": 3}).replicates
    dense = task.trainings[0].end
    for masks in levels_of(replicate)[1:]:
        assert_equal(masks, largest(dense, replicate.levels[0], kept(masks)))
    for training, masks in zip(task.trainings, levels_of(replicate), strict=True):
        assert_equal(training.start, masked(replicate.found[-1].start.state, masks))


def test_a_round_removes_exactly_the_rate_of_all_survivors(tmp_path: Path) -> None:
    (replicate,) = find(tmp_path, finder={"levels": 3}).replicates
    # 1050 weights; a fifth of them is 210, of 840 it is 168, of 672 it is 134.4
    assert [kept(masks) for masks in levels_of(replicate)] == [1050, 840, 672, 538]
    assert {name: mask.numel() for name, mask in replicate.levels[0].items()} == WEIGHTS


def test_a_layerwise_round_removes_each_layer_s_own_rate(tmp_path: Path) -> None:
    finder = {"scope": "layerwise", "rates": {"fc3": 0.1}, "levels": 2}
    (replicate,) = find(tmp_path, finder=finder).replicates
    counts = [{name: int(mask.sum()) for name, mask in masks.items()} for masks in levels_of(replicate)]
    assert counts == [
        {"fc1.weight": 960, "fc2.weight": 75, "fc3.weight": 15},
        {"fc1.weight": 768, "fc2.weight": 60, "fc3.weight": 13},  # 192, 15 and (1.5 to even) 2 less
        {"fc1.weight": 614, "fc2.weight": 48, "fc3.weight": 12},  # 153.6, 12 and 1.3 less
    ]


def test_an_excluded_layer_stays_dense_and_is_not_counted(tmp_path: Path) -> None:
    task = WatchedDigits()
    finding = find(tmp_path, task, finder={"exclude": ["fc3"], "levels": 2})
    (replicate,) = finding.replicates
    assert list(replicate.levels[2]) == ["fc1.weight", "fc2.weight"]
    assert [kept(masks) for masks in levels_of(replicate)] == [1035, 828, 662]  # 207, then 165.6 less
    assert (task.trainings[2].end["fc3.weight"] != 0).all()
    assert {row["sparsity"] for row in finding.rows if row["level"] == 1} == {207 / 1035}


def test_rewinding_to_step_k_goes_on_from_the_state_after_k_updates(tmp_path: Path) -> None:
    """Weights, data order and schedule at k, as in Frankle et al. 2020."""
    task = WatchedDigits()
    schedule = {"name": "step", "milestones": ["6it"], "gamma": 0.5}
    training = {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}, "schedule": schedule}
    (replicate,) = find(tmp_path, task, training=training, finder={"levels": 2, "rewind": "4it"}).replicates

    model = create_from_architecture(ARCHITECTURE, seed=0)
    model.load_state_dict(initial_state(ARCHITECTURE, 0))
    first_steps = TrainingConfig.model_validate(training | {"steps": "4it", "schedule": {}})
    train(model, digits(), first_steps, seed=0, device=CPU)
    assert_equal(replicate.found[-1].start.state, copied(model))

    dense, *levels = task.trainings
    assert_equal(dense.start, initial_state(ARCHITECTURE, 0))
    assert len(dense.batches) == 10
    for level, masks in zip(levels, levels_of(replicate)[1:], strict=True):
        assert_equal(level.start, masked(replicate.found[-1].start.state, masks))
        assert len(level.batches) == 6
        assert all(torch.equal(ours, its) for ours, its in zip(level.batches, dense.batches[4:], strict=True))

    # With nothing pruned, going on from step 4 would end where the dense training did: so the schedule goes on too.
    with Store(tmp_path, device=CPU) as cells:
        rest = TrainingConfig.model_validate(training)
        train(model, digits(), rest, seed=0, device=cells.device, start_step=4)
    assert_equal(copied(model), dense.end)


def test_rewinding_may_be_given_in_epochs(tmp_path: Path) -> None:
    task = WatchedDigits()
    find(tmp_path, task, finder={"levels": 1, "rewind": "0.5ep"})  # 64 images, 16 a batch: 2 of 4
    assert [len(training.batches) for training in task.trainings] == [10, 8]


def test_learning_rate_rewinding_keeps_the_trained_weights_and_rewinds_the_rest(tmp_path: Path) -> None:
    """Renda et al. 2020: the schedule and the batches of step k on, from the weights that were just pruned."""
    task = WatchedDigits()
    finder = {"levels": 2, "rewind": "4it", "rewinding": "learning-rate"}
    (replicate,) = find(tmp_path, task, finder=finder, package_from=2).replicates
    dense = task.trainings[0]
    for before, training, masks in zip(task.trainings, task.trainings[1:], levels_of(replicate)[1:], strict=False):
        assert_equal(training.start, masked(before.end, masks))
        assert len(training.batches) == 6
        assert all(torch.equal(ours, its) for ours, its in zip(training.batches, dense.batches[4:], strict=True))
    assert_equal(replicate.found[-1].start.state, task.trainings[1].end)


def test_learning_rate_rewinding_after_one_shot_pruning_starts_from_the_dense_trained_weights(tmp_path: Path) -> None:
    task = WatchedDigits()
    finder = {"method": "one-shot", "levels": 2, "rewind": "4it", "rewinding": "learning-rate"}
    (replicate,) = find(tmp_path, task, finder=finder).replicates
    for training, masks in zip(task.trainings[1:], levels_of(replicate)[1:], strict=True):
        assert_equal(training.start, masked(task.trainings[0].end, masks))
    assert_equal(replicate.found[-1].start.state, task.trainings[0].end)


def test_late_resetting_trains_the_weights_of_step_k_from_the_start(tmp_path: Path) -> None:
    """Morcos et al. 2019: weights of step k; schedule, data order and length as from initialisation."""
    task = WatchedDigits()
    finder = {"levels": 2, "rewind": "4it"}
    find(tmp_path, task, finder=finder | {"rewinding": "late-reset"})
    (rewound,) = find(tmp_path, finder=finder).replicates
    dense, first, second = task.trainings
    assert_equal(first.start, masked(rewound.found[-1].start.state, rewound.levels[1]))
    for level in (first, second):
        assert all(torch.equal(ours, its) for ours, its in zip(level.batches, dense.batches, strict=True))


def test_random_masks_start_afresh_where_trained_weights_were_pruned(tmp_path: Path) -> None:
    task = WatchedDigits()
    finder = {"levels": 2, "rewind": "4it", "rewinding": "learning-rate", "rate": 0.5}
    arms = ["random_mask"]
    (replicate,) = find(tmp_path, task, finder=finder, package_from=2, arms=arms, arm_levels=[2]).replicates
    _, first, _, drawn, _ = task.trainings
    chosen, known = drawn.start["fc1.weight"] != 0, replicate.levels[1]["fc1.weight"]
    assert int(chosen.sum()) == kept({"": replicate.levels[2]["fc1.weight"]})
    assert torch.equal(drawn.start["fc1.weight"][chosen & known], first.end["fc1.weight"][chosen & known])
    assert (chosen & ~known).any()


REWINDING = {"weights": (0, 4), "late-reset": (0, 0), "learning-rate": (2, 4)}
"""What can be packaged, and where a retraining begins that is to repeat the measured one."""


@pytest.mark.slow
@pytest.mark.parametrize("rewinding", REWINDING)
def test_a_packaged_ticket_says_how_it_was_rewound_and_retrains_to_what_was_measured(
    tmp_path: Path, rewinding: str
) -> None:
    package_from, start_step = REWINDING[rewinding]
    finder = {"levels": 2, "rewind": "4it", "rewinding": rewinding}
    asked = recipe(finder=finder, package_from=package_from)
    _, folder = find_and_package(asked, tmp_path)
    ticket = Ticket.from_pretrained(folder, level=2)
    assert isinstance(ticket.config.rewind, PackedRewind)
    assert (ticket.config.rewind.rewinding, ticket.config.rewind.step) == (rewinding, 4)
    job = Job(ARCHITECTURE, ticket.rewind_state, ticket.masks, digits(), asked.training, 0, start_step)
    with Store(tmp_path / "again", device=CPU) as cells:
        final = cells.run(job, "again").record.final
    (measured,) = [
        row["value"]
        for row in ticket.results
        if (row["arm"], row["level"], row["at"], row["metric"]) == ("ticket", 2, "final", "test_loss")
    ]
    assert final["test_loss"] == measured


def test_rows_say_what_was_measured_of_every_arm(tmp_path: Path) -> None:
    arms = ["ticket", "dense", "random_reinit", "shuffled_mask"]
    rows = find(tmp_path, arms=arms, arm_levels=[2], draws=2, finder={"levels": 2}).rows
    assert {
        (row["arm"], row["level"], row["draw"]) for row in rows
    } == {
        ("ticket", 0, 0), ("ticket", 1, 0), ("ticket", 2, 0), ("dense", 0, 0), ("chance", 0, 0),
        ("random_reinit", 2, 0), ("random_reinit", 2, 1), ("shuffled_mask", 2, 0), ("shuffled_mask", 2, 1),
    }  # fmt: skip
    assert {row["sparsity"] for row in rows if row["level"] == 2} == {(1050 - 672) / 1050}
    assert {row["sparsity"] for row in rows if row["arm"] == "dense"} == {0.0}
    for row in rows:
        known = ["examples", "data"] * (row["metric"] == "test_accuracy")
        assert list(row) == [
            "ticket", "level", "sparsity", "arm", "target", "seed", "draw", "at", "step", "metric", "value", *known
        ]  # fmt: skip
        assert (row["ticket"], row["target"], row["seed"]) == ("lenet.digits-imp", "digits-0-2", 0)
    dense = [row for row in rows if row["arm"] == "dense" and row["at"] == "final"]
    assert {row["metric"] for row in dense} == {
        "test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "train_loss"
    }  # fmt: skip
    assert {row["step"] for row in dense} == {10}
    for arm in ("random_reinit", "shuffled_mask"):
        final = [row for row in rows if (row["arm"], row["at"], row["metric"]) == (arm, "final", "test_loss")]
        assert final[0]["value"] != final[1]["value"], "two draws are two trainings"
    assert {row["step"] for row in rows if row["at"] == "best" and row["arm"] != "chance"} <= {5, 10}


def test_the_arms_train_what_they_say(tmp_path: Path) -> None:
    task = WatchedDigits()
    arms = ["random_reinit", "random_mask", "shuffled_mask"]
    (replicate,) = find(tmp_path, task, arms=arms, arm_levels=[1], finder={"levels": 1, "rewind": "2it"}).replicates
    ticket, reinit, drawn, again, shuffled = task.trainings[1:]
    assert_equal(reinit.start, masked(reinit.start, replicate.levels[1]))
    assert not torch.equal(reinit.start["fc1.weight"], ticket.start["fc1.weight"])
    for other in (drawn, again, shuffled):
        positions = {name: other.start[name] != 0 for name in WEIGHTS}
        assert_equal(other.start, masked(replicate.found[-1].start.state, positions))
        assert [int(mask.sum()) for mask in positions.values()] == [
            int(mask.sum()) for mask in replicate.levels[1].values()
        ]
        assert not torch.equal(positions["fc1.weight"], replicate.levels[1]["fc1.weight"])
    assert [len(training.batches) for training in task.trainings] == [10, 8, 10, 8, 8, 8]


def test_the_same_recipe_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    torch.rand(5)
    both = find(tmp_path / "both", finder={"levels": 2}, seeds=[0, 1])
    again = find(tmp_path / "again", finder={"levels": 2}, seeds=[1])
    for ours, theirs in zip(levels_of(both.replicates[1]), levels_of(again.replicates[0]), strict=True):
        assert_equal(ours, theirs)
    assert_equal(both.replicates[1].found[-1].start.state, again.replicates[0].found[-1].start.state)
    assert [row for row in both.rows if row["seed"] == 1] == again.rows
    first, second = both.replicates
    assert not torch.equal(first.found[-1].start.state["fc1.weight"], second.found[-1].start.state["fc1.weight"])
    assert not torch.equal(first.levels[1]["fc1.weight"], second.levels[1]["fc1.weight"])


class Counted(Quiet):
    """A `Progress` that counts."""

    def __init__(self) -> None:
        self.announced, self.trained, self.found = 0, 0, 0

    def planned(self, trainings: int) -> None:
        self.announced = trainings

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.trained += trained
        self.found += not trained


def test_what_is_finished_is_not_done_again_and_more_levels_only_add(tmp_path: Path) -> None:
    def counted(**keys: Any) -> tuple[int, int, int]:
        progress = Counted()
        with Store(tmp_path, device=CPU, progress=progress) as cells:
            find_tickets(recipe(**keys), digits(), cells)
        return progress.announced, progress.trained, progress.found

    assert counted(finder={"levels": 2}) == (3, 3, 0)
    assert counted(finder={"levels": 2}) == (3, 0, 3)
    assert counted(finder={"levels": 3}) == (4, 1, 3)
    assert counted(finder={"levels": 3}, arms=["random_mask"], arm_levels=[1, 3], draws=1) == (6, 2, 4)
    assert counted(finder={"levels": 3}, seeds=[0, 1]) == (8, 4, 4)
    assert counted(finder={"levels": 1, "rewind": "1it"}) == (2, 2, 0)  # the dense one again, for its state at step 1
    assert counted(finder={"levels": 3}) == (4, 0, 4)


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        ({"finder": {"exclude": ["fc4"]}}, RecipeError, "finder.exclude: 'fc4' matches no layer .* fc1, fc2, fc3"),
        ({"finder": {"scope": "layerwise", "rates": {"conv*": 0.1}}}, RecipeError, "finder.rates: 'conv\\*' matches"),
        ({"finder": {"exclude": ["fc*"]}}, RecipeError, "leaves no layer to prune"),
        ({"finder": {"rewind": "10it"}}, RecipeError, "10it is iteration 10, not before the end of training \\(10\\)"),
        ({"finder": {"rewind": "10it", "rewinding": "late-reset"}}, RecipeError, "not before the end of training"),
        ({"finder": {"rewind": "3ep"}}, RecipeError, "3ep is iteration 12, not before the end of training \\(10\\)"),
        ({"finder": {"rate": 0.9, "levels": 9}}, RecipeError, "level 4 of 9 would keep no weight"),
        ({"model": "lenet-300-10"}, ModelError, "lenet-300-100"),
        ({"model": {"name": "lenet-300-100", "kwargs": {"num_classes": 2}}}, RecipeError, "is 2, but digits-0-2 needs"),
        ({"model": {"name": "lenet-300-100", "kwargs": {"in_shape": [1, 28, 28]}}}, RecipeError, "kwargs.in_shape: is"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    tmp_path: Path, keys: dict[str, Any], error: type[Exception], said: str
) -> None:
    task = WatchedDigits()
    with pytest.raises(error, match=said) as caught:
        find(tmp_path, task, **keys)
    assert "\n" not in str(caught.value)
    assert task.trainings == []
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
