"""The flow through whole networks: conserved layer by layer, and layers that collapse without iterations."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from net_of_four import at_once, by_hand, ones

from ticketzoo.errors import RunError
from ticketzoo.finding.method import Start
from ticketzoo.models import architecture_of, create_model, model_state, prunable_parameters
from ticketzoo.models.signature import Classes, Image, Signature
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.task_probe import TaskProbe


@dataclass(frozen=True)
class NoData:
    """A task of MNIST's shape: SynFlow needs no more of it."""

    signature: Signature = field(default=Signature(Image(1, 28, 28), Classes(10)))


def probe_of(name: str) -> TaskProbe:
    model = create_model(name, seed=0)
    state, task = model_state(model), NoData()
    masks = {name: torch.ones(weight.shape).bool() for name, weight in prunable_parameters(model).items()}
    start, cpu, architecture = Start(lambda: state), torch.device("cpu"), architecture_of(name, {})
    untyped: Any = task
    return TaskProbe(architecture, untyped, state, start, masks, 0, cpu, at_once)


@pytest.mark.parametrize("name", ["lenet-300-100", "lenet-5"])
def test_the_flow_through_every_layer_is_the_same(name: str) -> None:
    first, *others = (float(score.sum()) for score in CRITERIA["synflow"].scores(probe_of(name)).values())
    assert first > 0
    assert others == pytest.approx([first] * len(others), rel=1e-12)


@given(keep=st.lists(st.booleans(), min_size=8, max_size=8))
def test_the_flow_is_conserved_under_any_masks(keep: list[bool]) -> None:
    """Pruned weights have no score, and both layers have the same sum, which may be 0."""
    masks = {name: torch.tensor(keep[at : at + 4]).view(2, 2) for name, at in zip(ones(), (0, 4), strict=True)}
    if all(keep):
        return
    first, second = CRITERIA["synflow"].scores(by_hand(masks)).values()
    assert not first[~masks["0.weight"]].any()
    assert not second[~masks["2.weight"]].any()
    assert float(first.sum()) == pytest.approx(float(second.sum()), abs=1e-12)


def test_without_iterations_a_layer_collapses() -> None:
    """Tanaka et al. 2020, section 4: of LeNet-300-100 at 98% one scoring leaves nothing of the first layer."""
    kept = {}
    for iterations in (1, 10):
        criterion = {"name": "synflow", "iterations": iterations}
        config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [0.98]}})
        masks = Pruner.of(config)(probe_of("lenet-300-100"), to=1)
        assert sum(int(mask.sum()) for mask in masks.values()) == 5_324
        kept[iterations] = int(masks["fc1.weight"].sum())
    assert kept[1] == 0
    assert kept[10] > 1000


@pytest.mark.slow
def test_a_hundred_iterations_leave_few_wide_units() -> None:
    """Of LeNet-300-100 at 98%: 1.2, 5.3 and 84% of the layers stay, and about 271 of 300 units have no input.

    Magnitude and PHEW leave every unit one; the numbers are those of another draw.
    """
    dead = {}
    for criterion in ({"name": "synflow", "iterations": 100}, {"name": "magnitude"}, {"name": "phew"}):
        config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [0.98]}})
        masks = Pruner.of(config)(probe_of("lenet-300-100"), to=1)
        dead[criterion["name"]] = int((~masks["fc1.weight"].any(1)).sum())
        if criterion["name"] == "synflow":
            densities = [100 * float(mask.double().mean()) for mask in masks.values()]
    assert densities == pytest.approx([1.2, 5.3, 84], rel=0.1)
    assert dead["synflow"] == pytest.approx(271, abs=15)
    assert (dead["magnitude"], dead["phew"]) == (0, 0)


@pytest.mark.parametrize("criterion", ["synflow", "snip"])
def test_where_nothing_passes_places_do_not_decide(criterion: str) -> None:
    """The second layer keeps nothing, so all scores of the first are 0."""
    dead = {"0.weight": torch.ones(2, 2).bool(), "2.weight": torch.zeros(2, 2).bool()}
    config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [0.75]}})
    with pytest.raises(RunError, match=f"level 1: criterion '{criterion}' scores all 4 kept weights 0, as where noth"):
        Pruner.of(config)(by_hand(dead), to=1)
    assert int(Pruner.of(config, inverted=True)(by_hand(dead), to=1)["0.weight"].sum()) == 2
