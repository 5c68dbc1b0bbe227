"""Criteria with numbers worked by hand, and what a criterion of a user may and may not give."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.models.state import State
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA, Ranking
from ticketzoo.pruning.probe import Probe, Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.task_probe import TaskProbe
from ticketzoo.runs.store import Store

CPU = torch.device("cpu")
W0 = torch.tensor([0.5, -0.4, 0.1, -0.2, 0.3, -0.6])
W = torch.tensor([0.6, 0.3, -0.5, -0.25, 0.05, -0.1])


def ones(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}


def kept(criterion: str, count: int) -> list[int]:
    """The weights that stay of six, by the recipe's way to say so."""
    config = PruningConfig(prune={"criterion": criterion, "schedule": {"levels": [1 - count / 6]}})
    probe = Weights({"w": W}, ones({"w": W}), {"w": W0})
    return Pruner.of(config)(probe, to=1)["w"].nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("magnitude", [0, 1, 2]),
        ("large-init", [0, 1, 5]),
        ("magnitude-increase", [0, 2, 3]),  # of 0.1, -0.1, 0.4, 0.05, -0.25, -0.5
        ("movement", [1, 2, 5]),  # of 0.1, 0.7, 0.6, 0.05, 0.25, 0.5
        ("large-final-same-sign", [0, 3, 5]),  # of 0, 3, 4, 5, which kept their signs
    ],
)
def test_three_of_six_weights(criterion: str, expected: list[int]) -> None:
    assert kept(criterion, 3) == expected


def test_the_best_of_the_others_fill_up_and_are_counted() -> None:
    """0, 3, 4 and 5 kept their signs; of the others 2 ends larger than 1."""
    assert kept("large-final-same-sign", 4) == [0, 3, 4, 5]
    config = PruningConfig(prune={"criterion": "large-final-same-sign", "schedule": {"levels": [1 / 6]}})
    said: list[str] = []
    masks = Pruner.of(config)(Weights({"w": W}, ones({"w": W}), {"w": W0}), to=1, warn=said.append)
    assert masks["w"].nonzero().flatten().tolist() == [0, 2, 3, 4, 5]
    assert said == ["1 of 5 kept weights are not eligible by criterion 'large-final-same-sign'"]


def test_a_negative_score_that_is_eligible_stays_before_a_higher_one_that_is_not() -> None:
    """Scores are 0.1, -0.1, 0.4, 0.05, -0.25, -0.5; where others than 0, 3, 4, 5 scored 0 the first four would stay."""

    @CRITERIA.add("increase-same-sign", cite="none", words="none", of_single_weights=True)
    def increase(probe: Probe) -> Ranking:
        return Ranking(CRITERIA["magnitude-increase"].scores(probe), {"w": W.sign() == W0.sign()})

    assert kept("increase-same-sign", 4) == [0, 3, 4, 5]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("global", ([0, 3, 5], [])),  # the four that are eligible are of a: 0.6, 0.25, 0.05, 0.1
        ("layerwise", ([0, 3], [1])),  # a third of six, and of three
        ("uniform", ([0, 3], [1])),
        ("erk", ([0, 3], [1])),
    ],
)
def test_eligible_weights_stay_in_every_scope(scope: str, expected: tuple[list[int], list[int]]) -> None:
    weights = {"a": W.view(2, 3), "b": torch.tensor([[0.9, -0.95, 0.8]])}
    start = {"a": W0.view(2, 3), "b": torch.tensor([[-1.0, 1, -1]])}
    config = PruningConfig(
        prune={"criterion": "large-final-same-sign", "scope": scope, "schedule": {"levels": [6 / 9]}}
    )
    masks = Pruner.of(config)(Weights(weights, ones(weights), start), to=1)
    assert tuple(mask.flatten().nonzero().flatten().tolist() for mask in masks.values()) == expected


def test_it_goes_with_single_weights() -> None:
    with pytest.raises(ValueError, match="scores single weights: it goes with structure: weight"):
        PruningConfig(prune={"criterion": "large-final-same-sign", "structure": "filter"})


def test_signed_scores_are_ranked_with_their_signs() -> None:
    """A score of -5 is the lowest of [-5, 1, 2, 3], not the highest."""

    @CRITERIA.add("the-weights-themselves", cite="none", words="sign")
    def signed(probe: Probe) -> Mapping[str, Tensor]:
        return probe.weights

    weights = {"w": torch.tensor([-5.0, 1, 2, 3])}
    config = PruningConfig(prune="the-weights-themselves", rate=0.25)
    assert Pruner.of(config)(Weights(weights, ones(weights)), to=1)["w"].tolist() == [False, True, True, True]


def test_random_levels_nest_and_follow_the_seed() -> None:
    weights = {"a": torch.zeros(40, 5), "b": torch.zeros(30)}
    config = PruningConfig(prune="random", rate=0.5)
    prune = Pruner.of(config)
    levels = [ones(weights)]
    for to in (1, 2, 3):
        levels.append(prune(Weights(weights, levels[-1], seed=4), to=to))
    assert [sum(int(mask.sum()) for mask in level.values()) for level in levels] == [230, 115, 57, 29]  # half to even
    assert not torch.equal(levels[1]["a"], prune(Weights(weights, levels[0], seed=5), to=1)["a"])
    assert torch.equal(levels[1]["a"], prune(Weights(weights, levels[0], seed=4), to=1)["a"])


@dataclass(frozen=True)
class TwoTwoTwo:
    """Two examples of two classes: the data of a network 2-2-2 whose numbers are worked by hand."""

    name: str = "hand"
    identity: Any = "hand"

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Any]:
        yield from [(torch.tensor([[1.0, 2], [3, 1]]), torch.tensor([0, 1]))] * (stop - start)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    def size(self, batch: tuple[Tensor, Tensor]) -> int:
        return len(batch[1])


WEIGHTS = {"0.weight": torch.tensor([[1.0, -2], [0.5, 1]]), "2.weight": torch.tensor([[1.0, -1], [2, 0.5]])}


@dataclass(frozen=True)
class HandMade(TaskProbe):
    def model(self) -> nn.Module:
        model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
        model.load_state_dict({name: self.weights[name] * mask for name, mask in self.masks.items()})
        return model.to(self.device).train()


def at_once(kind: str, specification: Mapping[str, Any], compute: Callable[[], State]) -> State:
    return compute()


def probe(masks: dict[str, Tensor] | None = None, remember: Any = at_once) -> TaskProbe:
    task: Any = TwoTwoTwo()
    start: Any = None
    return HandMade({}, task, WEIGHTS, start, masks or ones(WEIGHTS), 0, CPU, remember)


def test_gradients_and_snip() -> None:
    gradients = probe().gradients()
    (batch,) = TwoTwoTwo().batches(2, 0, 0, 1, CPU)
    assert TwoTwoTwo().loss(probe().model(), batch).item() == pytest.approx(1.890930, abs=1e-6)
    expected = {
        "0.weight": [[-0.012866, -0.004289], [0.713468, 1.459101]],
        "2.weight": [[0.004289, -1.210556], [-0.004289, 1.210556]],
    }
    for name, values in expected.items():
        torch.testing.assert_close(gradients[name], torch.tensor(values), atol=1e-6, rtol=0)
    scores = CRITERIA["snip"].scores(probe())
    first, second = [[0.012866, 0.008577], [0.356734, 1.459101]], [[0.004289, 1.210556], [0.008577, 0.605278]]
    torch.testing.assert_close(scores["0.weight"], torch.tensor(first).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(scores["2.weight"], torch.tensor(second).double(), atol=1e-6, rtol=0)


def test_the_mean_over_two_equal_batches_is_that_of_one() -> None:
    one, two = probe().gradients(), probe().gradients(batches=2)
    for name in one:
        torch.testing.assert_close(one[name], two[name])


def test_hessian_times_the_weights() -> None:
    """GraSP's score is the weight times this product: -theta * Hg at the gradient g."""
    gradients = probe().gradients()
    product = probe().hessian_vector(gradients)
    first, second = [[-0.145535, 0.097023], [-0.781679, -2.815073]], [[0.048659, -2.202579], [-0.097317, -1.101290]]
    torch.testing.assert_close(-WEIGHTS["0.weight"] * product["0.weight"], torch.tensor(first), atol=2e-6, rtol=0)
    torch.testing.assert_close(-WEIGHTS["2.weight"] * product["2.weight"], torch.tensor(second), atol=2e-6, rtol=0)


def test_norms_of_inputs() -> None:
    """The inputs are (1, 2) and (3, 1); hidden units max(0, x - 2y) = 0, 1 and 0.5x + y = 2.5, 2.5."""
    norms = probe().input_norms()
    torch.testing.assert_close(norms["0.weight"], torch.tensor([10.0, 5]).sqrt())
    torch.testing.assert_close(norms["2.weight"], torch.tensor([1.0, 12.5]).sqrt())


def test_pruned_weights_have_no_gradient_and_change_the_others() -> None:
    masks = ones(WEIGHTS)
    masks["2.weight"][0, 1] = False
    gradients = probe(masks).gradients()
    assert gradients["2.weight"][0, 1] == 0
    assert not torch.allclose(gradients["2.weight"][1, 1], probe().gradients()["2.weight"][1, 1])


def test_scores_are_computed_once_for_the_same_network(tmp_path: Path) -> None:
    computed: list[str] = []
    with Store(tmp_path, device=CPU) as store:

        def remember(kind: str, specification: Mapping[str, Any], compute: Callable[[], State]) -> State:
            def counted() -> State:
                computed.append(kind)
                return compute()

            return store.remember(kind, specification, counted)

        first = probe(remember=remember).gradients()
        again = probe(remember=remember).gradients()
        probe(remember=remember).gradients(batches=2)
    assert computed == ["gradients", "gradients"]
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "returned no scores of 'w', only of nothing"),
        ({"v": torch.ones(4), "u": torch.ones(4)}, "returned no scores of 'w', only of 'v', 'u'"),
        (torch.ones(4), "returned float32 [4], not a tensor for each parameter"),
        ({"w": torch.ones(3)}, "returned for 'w' float32 [3], not float [4]"),
        ({"w": torch.ones(4, dtype=torch.int64)}, "returned for 'w' int64 [4], not float [4]"),
        ({"w": [1.0, 2, 3, 4]}, "returned for 'w' a list, not float [4]"),
        (Ranking({"w": torch.ones(4)}, {}), "returned as eligible of 'w' a NoneType, not bool [4]"),
        (Ranking({"w": torch.ones(4)}, {"w": torch.ones(4)}), "as eligible of 'w' float32 [4], not bool [4]"),
        ({"w": torch.tensor([1, float("nan"), 2, 3])}, ": the score of 'w' is NaN where its mask keeps the weight"),
    ],
)
def test_what_is_no_score_is_named(given: Any, message: str) -> None:
    @CRITERIA.add("a-users", cite="none", words="none")
    def wrong(probe: Probe) -> Any:
        return given

    weights = {"w": torch.ones(4)}
    with pytest.raises(RunError) as caught:
        Pruner.of(PruningConfig(prune="a-users", rate=0.5))(Weights(weights, ones(weights)), to=1)
    assert str(caught.value).startswith("criterion 'a-users'")
    assert message in str(caught.value)


def test_weights_alone_are_not_enough_for_gradients() -> None:
    with pytest.raises(RunError, match="needs gradients, and only weights are given"):
        CRITERIA["snip"].scores(Weights({"w": W}, ones({"w": W})))


def test_an_unknown_criterion_is_named_with_the_near_ones() -> None:
    with pytest.raises(RecipeError, match="unknown criterion 'magnitud'; did you mean magnitude"):
        CRITERIA["magnitud"]
