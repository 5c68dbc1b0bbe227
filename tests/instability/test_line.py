"""Lines between networks whose errors can be worked out by hand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketzoo.aligning.permutation import permuted
from ticketzoo.aligning.weights import matched
from ticketzoo.connecting.barriers import barrier
from ticketzoo.errors import RunError
from ticketzoo.instability.line import Line, end_of, errors_along, recompute_batch_norm
from ticketzoo.instability.measure import instability
from ticketzoo.instability.recipe import LineConfig
from ticketzoo.models import architecture_of, create_from_architecture
from ticketzoo.models.state import State
from ticketzoo.models.unit_groups import unit_groups
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.tasks.metrics import ACCURACY
from ticketzoo.training import TrainingConfig

CPU = torch.device("cpu")


class Signs:
    """Tells the numbers -2, -1, 1 and 2 apart by their sign: class 0 is above zero."""

    name, metric, has_validation = "signs", ACCURACY, False
    identity: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.evaluations = 0

    def steps_per_epoch(self, batch_size: int) -> int:
        return 2

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Tensor]:
        for step in range(start, stop):
            yield torch.tensor([[-2.0], [2.0 * step]]).view(2, 1, 1, 1)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch + 0 * torch.rand(1)).sum()

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        self.evaluations += 1
        numbers = torch.tensor([-2.0, -1.0, 1.0, 2.0])
        with torch.no_grad():
            classes = model(numbers.view(-1, 1, 1, 1)).argmax(1)
        right = (classes == (numbers < 0).long()).double().mean().item()
        return {"accuracy": right, "loss": 2 - 2 * right}


ARCHITECTURE = architecture_of("lenet-300-100", {"in_shape": [1, 1, 1], "num_classes": 2, "width": 0.02})
"""One input, hidden layers of 6 and 2 units, two classes."""


def network(order: tuple[int, int]) -> State:
    """Class scores relu(x) and relu(-x), by hidden units 0 and 1 in either order, which makes no difference."""
    up, down = order
    state = {
        name: torch.zeros_like(tensor)
        for name, tensor in create_from_architecture(ARCHITECTURE, 0).state_dict().items()
    }
    state["fc1.weight"][up], state["fc1.weight"][down] = 1.0, -1.0
    state["fc2.weight"][0, up], state["fc2.weight"][1, down] = 1.0, 1.0
    state["fc3.weight"].copy_(torch.eye(2))
    return state


def line(first: State, second: State, task: Any = None, points: int = 5) -> Line:
    look = LineConfig(points=points)
    return Line(ARCHITECTURE, (first, second), task or Signs(), TrainingConfig(), 0, look)


def test_between_permuted_twins_there_is_a_barrier(tmp_path: Path) -> None:
    """Halfway the first layer is zero, so that every number is taken for class 0: half of them are wrong.

    A quarter of the way unit 0 is relu(x / 2) and counts 3/4 for its class and 1/4 for the other: all are right.
    """
    with Store(tmp_path, device=CPU) as cells:
        points, new = errors_along(line(network((0, 1)), network((1, 0))), cells, "twins")
    assert new
    assert [point.position for point in points] == [0, 0.25, 0.5, 0.75, 1]
    assert [point.error for point in points] == [0, 0, 0.5, 0, 0]
    assert instability([point.error for point in points]) == 0.5


def test_permuted_twins_have_no_barrier_once_they_are_aligned(tmp_path: Path) -> None:
    target, moved = network((0, 1)), network((1, 0))
    groups = unit_groups(create_from_architecture(ARCHITECTURE, 0))
    back = permuted(moved, groups, matched(groups, target, moved, torch.Generator().manual_seed(0)))
    with Store(tmp_path, device=CPU) as cells:
        points, _ = errors_along(line(back, target), cells, "aligned")
    assert barrier(points) == 0


def test_between_networks_that_differ_in_scale_there_is_none(tmp_path: Path) -> None:
    """All on the line are the same function but for a positive factor."""
    first, second = network((0, 1)), network((0, 1))
    second["fc1.weight"] *= 7
    with Store(tmp_path, device=CPU) as cells:
        points, _ = errors_along(line(first, second), cells, "scaled")
    assert instability([point.error for point in points]) == 0


class ByItself:
    """A task of one number w, by a model's bias: its error is (w - 1)^2, which is convex in w."""

    def __init__(self) -> None:
        self.signs = Signs()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.signs, name)

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        return {"accuracy": 1 - (model.fc3.bias[0].item() - 1) ** 2}


def test_a_convex_error_has_no_barrier(tmp_path: Path) -> None:
    first, second = network((0, 1)), network((0, 1))
    second["fc3.bias"][0] = 2
    with Store(tmp_path, device=CPU) as cells:
        points, _ = errors_along(line(first, second, ByItself()), cells, "convex")
    assert [point.error for point in points] == pytest.approx([1, 0.25, 0, 0.25, 1])
    assert instability([point.error for point in points]) == pytest.approx(0)
    assert barrier(points) <= 0


def test_the_same_state_twice_has_no_barrier(tmp_path: Path) -> None:
    with Store(tmp_path, device=CPU) as cells:
        points, _ = errors_along(line(network((0, 1)), network((0, 1))), cells, "same")
    assert barrier(points) == instability([point.error for point in points]) == 0


class Stopped(Exception):
    """Stands for a crash in the middle of a line."""


class StopsAfter(Quiet):
    def __init__(self, points: int) -> None:
        self.points = points

    def step(self, label: str, step: int, total: int) -> None:
        if step == self.points:
            raise Stopped


def test_a_line_that_was_stopped_goes_on_from_the_next_point_and_a_finished_one_is_read(tmp_path: Path) -> None:
    ends = network((0, 1)), network((1, 0))
    with pytest.raises(Stopped), Store(tmp_path, device=CPU, progress=StopsAfter(3)) as cells:
        errors_along(line(*ends), cells, "stopped")
    (folder,) = tmp_path.glob("*/")
    (folder / ".line.json.new").write_bytes(b"{")  # as a killed process leaves what it was writing
    task = Signs()
    with Store(tmp_path, device=CPU) as cells:
        points, new = errors_along(line(*ends, task), cells, "goes on")
        assert new and task.evaluations == 2
        assert errors_along(line(*ends, task), cells, "read") == (points, False)
        assert task.evaluations == 2
        assert [path.name for path in folder.iterdir()] == ["line.json"]
        other, _ = errors_along(line(*ends, task, points=3), cells, "another line")
    assert [point.error for point in points] == [0, 0, 0.5, 0, 0]
    assert [point.error for point in other] == [0, 0.5, 0]
    (content,) = [
        json.loads(path.read_text())
        for path in tmp_path.glob("*/line.json")
        if len(json.loads(path.read_text())["points"]) == 5
    ]
    assert content["environment"]["torch"] == torch.__version__


def test_losses_and_single_ends_are_kept_beside_the_errors_of_the_same_line(tmp_path: Path) -> None:
    ends, task = (network((0, 1)), network((1, 0))), Signs()
    with Store(tmp_path, device=CPU) as cells:
        errors, _ = errors_along(line(*ends, task), cells, "errors")
        other = replace(line(*ends, task), look=LineConfig(points=5, quantity="loss"))
        losses, new = errors_along(other, cells, "losses")
        assert new and [point.error for point in losses] == [2 * point.error for point in errors] == [0, 0, 1, 0, 0]
        middle = replace(line(*ends, task), ends=(ends[0], line(*ends).state(0.5)))
        assert end_of(middle, cells) == ((1.0, 0.5), True)
        assert end_of(replace(middle, ends=(ends[1], middle.ends[1])), cells) == ((1.0, 0.5), False)
        assert errors_along(line(*ends, task), cells, "errors") == (errors, False)
    assert losses[2].row(other.look) == {"position": 0.5, "loss": 1.0}


def test_where_lines_are_kept_stays_the_same_between_versions(tmp_path: Path) -> None:
    """The line between the twins, stored by hand: it is read, not evaluated."""
    stored = tmp_path / "30351e01b8ef60a4a262" / "line.json"
    stored.parent.mkdir()
    stored.write_text(json.dumps({"points": [{"position": number / 4, "error": 0.125} for number in range(5)]}))
    task = Signs()
    with Store(tmp_path, device=CPU) as store:
        points, new = errors_along(line(network((0, 1)), network((1, 0)), task), store, "twins")
    assert [point.error for point in points] == 5 * [0.125]
    assert (new, task.evaluations) == (False, 0)


def test_a_damaged_line_is_said_with_what_to_do(tmp_path: Path) -> None:
    ends = network((0, 1)), network((1, 0))
    with Store(tmp_path, device=CPU) as cells:
        errors_along(line(*ends), cells, "whole")
        (path,) = tmp_path.glob("*/line.json")
        path.write_bytes(b"{")
        with pytest.raises(RunError, match=f"line.json: cannot be read; delete {path.parent.name} and run again"):
            errors_along(line(*ends), cells, "damaged")


def test_statistics_of_batch_norm_are_averages_over_the_training_batches() -> None:
    """Trap 10. Batches (-2, 2) and (-2, 4), of means 0 and 1 and variances 8 and 18."""
    norm = nn.BatchNorm1d(1)
    norm.running_mean.fill_(100.0)
    model = nn.Sequential(nn.Flatten(), norm, nn.Dropout(0.5))
    before = torch.get_rng_state()
    recompute_batch_norm(model, Signs(), 2, 0, range(1, 3), CPU)
    assert (norm.running_mean.item(), norm.running_var.item()) == (0.5, 13.0)
    assert norm.momentum == 0.1
    assert not model.training and not norm.training
    assert torch.equal(torch.get_rng_state(), before)


def test_a_line_between_networks_with_batch_norm_recomputes_its_statistics(tmp_path: Path) -> None:
    architecture = architecture_of("resnet-20", {"in_shape": [1, 1, 1], "num_classes": 2, "width": 0.1})
    state = create_from_architecture(architecture, seed=0).state_dict()
    wrong = {name: tensor + 1000 if name.endswith("running_mean") else tensor for name, tensor in state.items()}
    task = Recording()
    with Store(tmp_path, device=CPU) as cells:
        errors_along(Line(architecture, (state, wrong), task, TrainingConfig(), 0, LineConfig(points=3)), cells, "line")
    assert len(task.means) == 3
    assert all(torch.equal(mean, task.means[0]) for mean in task.means)  # the weights are the same, so are statistics
    assert not torch.equal(task.means[0], state["bn.running_mean"])


class Recording(Signs):
    """Signs, and what the first BatchNorm's running mean was in every evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.means: list[Tensor] = []

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        self.means.append(model.bn.running_mean.clone())
        return super().evaluate(model, split, device)
