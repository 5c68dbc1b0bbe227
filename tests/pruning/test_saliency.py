"""SNIP, GraSP and SynFlow with numbers worked by hand, and over iterations."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from net_of_four import WEIGHTS, by_hand, close, ones
from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.saliency import GraspConfig
from ticketzoo.pruning.score_data import too_few


def test_snip_of_a_network_by_hand() -> None:
    scores = CRITERIA["snip"].scores(by_hand())
    close(scores, [[0.012866, 0.008577], [0.356734, 1.459101]], [[0.004289, 1.210556], [0.008577, 0.605278]], atol=1e-6)


def test_grad_of_a_network_by_hand() -> None:
    """The gradient of a pruned weight is 0, so it is among the lowest."""
    scores = CRITERIA["grad"].scores(by_hand())
    close(scores, [[0.012866, 0.004289], [0.713468, 1.459101]], [[0.004289, 1.210556]] * 2, atol=1e-6)
    config = PruningConfig(prune={"criterion": "grad", "schedule": {"levels": [0.5]}})
    found = Pruner.of(config)(by_hand(), to=1)
    assert [mask.tolist() for mask in found.values()] == [[[False, False], [True, True]], [[False, True]] * 2]


def test_snip_takes_absolute_values_after_the_mean_over_examples() -> None:
    """Of each example first they would be larger in the second row, where the examples pull against each other."""
    probe = by_hand()
    (images, labels), weight = next(probe.task.batches(2, 0, 0, 1, torch.device("cpu"))), WEIGHTS["0.weight"]
    single = torch.zeros(2, 2)
    for image, label in zip(images, labels, strict=True):
        model = probe.model()
        nn.functional.cross_entropy(model(image[None]), label[None]).backward()
        single += (model[0].weight.grad * weight).abs() / 2
    assert single[1].tolist() == pytest.approx([0.376033, 1.471967], abs=1e-6)
    assert CRITERIA["snip"].scores(probe)["0.weight"][1].tolist() == pytest.approx([0.356734, 1.459101], abs=1e-6)


def grasp(temperature: float) -> dict[str, Tensor]:
    config = GraspConfig(temperature=temperature)
    return {name: -score for name, score in CRITERIA["grasp"].configured(config).scores(by_hand()).items()}


def test_grasp_of_a_network_by_hand() -> None:
    """Tables give -theta H g, the score with the other sign."""
    first, second = [[-0.145535, 0.097023], [-0.781679, -2.815073]], [[0.048659, -2.202579], [-0.097317, -1.101290]]
    close(grasp(1), first, second, atol=2e-6)


def test_grasp_at_temperature_200() -> None:
    first, second = [[-8.890, 5.927], [0.3583, -0.04537]], [[15.17, -11.23], [-30.34, -5.616]]
    millions = {name: 1e6 * score for name, score in grasp(200).items()}
    close(millions, first, second, atol=6e-3)
    torch.testing.assert_close(millions["0.weight"][1], torch.tensor([0.3583, -0.04537]).double(), atol=1e-4, rtol=0)


def test_grasp_abs_is_its_absolute_value() -> None:
    assert GraspConfig().temperature == 200
    plain, absolute = (CRITERIA[name].scores(by_hand()) for name in ("grasp", "grasp-abs"))
    assert all(torch.equal(absolute[name], plain[name].abs()) for name in plain)
    assert (plain["0.weight"] < 0).any()


def test_grasp_keeps_what_the_norm_of_the_gradient_needs() -> None:
    """Half the change of the squared norm, when a weight shrinks by a small part, is -theta H g times that part."""

    def norm(weights: dict[str, Tensor]) -> float:
        probe = by_hand()
        moved = type(probe)(**{**probe.__dict__, "weights": weights})
        return sum(float(part.double().square().sum()) for part in moved.gradients().values())

    part, name = 1e-3, "2.weight"
    for row, column in ((0, 1), (1, 0)):
        shrunk = {key: weight.clone() for key, weight in WEIGHTS.items()}
        grown = {key: weight.clone() for key, weight in WEIGHTS.items()}
        shrunk[name][row, column] *= 1 - part
        grown[name][row, column] *= 1 + part
        change = (norm(shrunk) - norm(grown)) / (2 * part) / 2
        assert change == pytest.approx(float(grasp(1)[name][row, column]), rel=1e-2)


def test_synflow_of_a_network_by_hand() -> None:
    scores = CRITERIA["synflow"].scores(by_hand())
    close(scores, [[3, 6], [0.75, 1.5]], [[3, 1.5], [6, 0.75]], atol=1e-12)
    assert {float(score.sum()) for score in scores.values()} == {11.25}
    assert all(score.dtype == torch.float64 for score in scores.values())


def test_iterations_score_anew_under_the_masks_so_far() -> None:
    """All flow of a pruned weight's path is gone: from eight weights to two, which are on one path.

    With one iteration the two highest scores, both 6, stay: those are W1[0, 1] and W2[1, 0], on one path as well. With
    the ninth of 11.25 gone the others follow.
    """
    once, often = ({"name": "synflow", "iterations": count} for count in (1, 4))
    found = {}
    for key in (once, often):
        config = PruningConfig(prune={"criterion": key, "schedule": {"levels": [0.75]}})
        found[key["iterations"]] = Pruner.of(config)(by_hand(), to=1)
    for masks in found.values():
        assert masks["0.weight"].tolist() == [[False, True], [False, False]]
        assert masks["2.weight"].tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("criterion", ["snip", "grasp", "synflow"])
def test_iterated_levels_nest_with_exact_counts(criterion: str) -> None:
    config = PruningConfig(
        prune={"criterion": {"name": criterion, "iterations": 5}, "schedule": {"levels": [0.25, 0.5]}}
    )
    dense, prune = ones(), Pruner.of(config)
    first = prune(by_hand(), to=1)
    second = prune(by_hand(), to=2, masks=first)
    assert [sum(int(mask.sum()) for mask in masks.values()) for masks in (dense, first, second)] == [8, 6, 4]
    assert not any((second[name] & ~first[name]).any() for name in second)


def test_iterations_ask_for_scores_of_the_network_under_each_mask() -> None:
    seen: list[int] = []

    @CRITERIA.add("counts-survivors", cite="none", words="none")
    def counting(probe: Any) -> Any:
        seen.append(sum(int(mask.sum()) for mask in probe.masks.values()))
        return probe.weights

    criterion = {"name": "counts-survivors", "iterations": 3}
    Pruner.of(PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [7 / 8]}}))(by_hand(), to=1)
    assert seen == [8, 4, 2]  # and 1 in the end: each time half


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Tanh(), "'1', a Tanh, gives other than twice the output for twice the input; .*: put ReLU in its place"),
        (nn.GELU(), "'1', a GELU, gives other .*: put ReLU in its place, or choose criterion snip, phew or magnitude$"),
        (nn.LayerNorm(2), "'1', a LayerNorm, gives other than twice .*: put BatchNorm in its place"),
        (nn.Sequential(nn.ReLU(), nn.Sigmoid()), r"'1\.1', a Sigmoid, gives other than twice"),
        (nn.Threshold(100, 0), "nothing flows from input to output"),
    ],
)
def test_networks_in_which_the_flow_is_not_conserved(layer: nn.Module, message: str) -> None:
    probe = by_hand()

    class Other(type(probe)):  # type: ignore[misc]
        def model(self) -> nn.Module:
            model = super().model()
            model[1] = layer
            return model

    with pytest.raises(RunError, match=message) as caught:
        CRITERIA["synflow"].scores(Other(**probe.__dict__))
    assert "\n" not in str(caught.value)


def test_a_scale_of_zero_stops_the_flow() -> None:
    probe = by_hand()

    class Normed(type(probe)):  # type: ignore[misc]
        def model(self) -> nn.Module:
            model = super().model()
            model[1] = nn.BatchNorm1d(2)
            nn.init.zeros_(model[1].weight)
            return model

    with pytest.raises(RunError, match="'synflow': 2 of 2 scales of 1 are 0: nothing passes"):
        CRITERIA["synflow"].scores(Normed(**probe.__dict__))


def test_more_examples_of_a_class_than_there_are_are_told() -> None:
    """Of three classes, with 2, 4 and 1 to train on."""
    task: Any = SimpleNamespace(train_labels=torch.tensor([0, 2, 2, 0, 2, 4, 2]))
    assert too_few(task, None) == too_few(task, 1) == ""
    said = "examples_per_class: 3 are asked for, but 2 of 3 classes have fewer (the smallest 1): all of these are taken"
    assert too_few(task, 3).startswith(said)


def test_classes_are_asked_for_where_there_are_none() -> None:
    config = PruningConfig(prune={"criterion": {"name": "snip", "examples_per_class": 5}})
    with pytest.raises(RunError, match="examples_per_class: hand has no classes to take examples of; leave it out"):
        Pruner.of(config)(by_hand(), to=1)
