"""A user's own model and data: found, packaged and applied in a few lines, without a recipe file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset

import ticketzoo
from ticketzoo.errors import DataError, ModelError, RecipeError, TicketzooError
from ticketzoo.tasks.metrics import Metric

DIGITS = load_digits()
IMAGES = torch.tensor(DIGITS.images, dtype=torch.float32).flatten(1)[:300] / 16
LABELS = torch.tensor(DIGITS.target)[:300]
TRAINING = {"steps": "30it", "batch_size": 20, "optimizer": {"lr": 0.3}}


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 30), nn.Linear(30, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(torch.relu(self.first(x)))
        return scores


def find(folder: Path, **keys: Any) -> ticketzoo.Ticket:
    given: dict[str, Any] = {
        "model": Mlp,
        "train": (IMAGES[:200], LABELS[:200]),
        "evaluate": (IMAGES[200:], LABELS[200:]),
        "finder": {"levels": 2, "rate": 0.4},
        "training": TRAINING,
        "seeds": [0, 1],
    }
    return ticketzoo.find(**(given | keys), out=folder, device="cpu", progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[ticketzoo.Ticket, Path]:
    folder = tmp_path_factory.mktemp("own")
    return find(folder), folder


def test_it_is_packaged_with_all_arms_and_a_verdict(run: tuple[ticketzoo.Ticket, Path]) -> None:
    ticket, folder = run
    assert ticket.name == "mlp.own-imp"
    assert {row["arm"] for row in ticket.results} == {"ticket", "dense", "random_reinit", "random_mask"}
    verdict = ticketzoo.judge(ticket)
    assert verdict.metric == "test_accuracy"
    assert verdict == ticket.config.verdict
    ticketzoo.verify(folder / ticket.name)


def test_the_ticket_fits_the_users_network_and_trains_in_any_loop(run: tuple[ticketzoo.Ticket, Path]) -> None:
    ticket = ticketzoo.load_ticket(str(run[1] / "mlp.own-imp"), level=2)
    model = Mlp()
    ticket.apply(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
        optimizer.step()
    for name, mask in ticket.masks.items():
        assert (model.get_parameter(name)[~mask] == 0).all()
        assert (model.get_parameter(name)[mask] != 0).any()


def test_what_cannot_be_built_says_so_in_one_line(run: tuple[ticketzoo.Ticket, Path]) -> None:
    with pytest.raises(ModelError, match=r"'Mlp' is a network of the ticket's author: build it yourself"):
        run[0].build()


def test_the_same_call_trains_nothing_anew(run: tuple[ticketzoo.Ticket, Path]) -> None:
    ticket, folder = run
    before = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*/cell.json")}
    assert find(folder).config.mask_sha256 == ticket.config.mask_sha256
    assert {path: path.stat().st_mtime_ns for path in folder.glob("cells/*/cell.json")} == before


def test_other_data_are_other_trainings(tmp_path: Path) -> None:
    finder = {"levels": 1}
    one = find(tmp_path / "one", seeds=[0], finder=finder, arms=["ticket"])
    other = find(tmp_path / "other", seeds=[0], finder=finder, arms=["ticket"], train=(IMAGES[:199], LABELS[:199]))
    assert one.config.source.fingerprint != other.config.source.fingerprint


class Pairs(Dataset[Any]):
    """Sums of three numbers."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor]:
        x = torch.rand(3, generator=torch.Generator().manual_seed(index))
        return {"x": x}, x.sum(0, keepdim=True)


def linear() -> nn.Module:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 8)
            self.out = nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.out(self.layer(x))
            return y

    return Linear()


def test_a_data_set_of_dicts_a_criterion_by_name_and_an_evaluation_of_ones_own(tmp_path: Path) -> None:
    def evaluate(model: nn.Module) -> dict[str, float]:
        x = torch.eye(3)
        return {"worst": float((model(x) - 1).abs().max())}

    worst = Metric("worst", higher_is_better=False)
    ticket = find(
        tmp_path, model=linear, train=Pairs(), evaluate=evaluate, metric=worst, prune="movement",
        finder={"levels": 1, "rewind": "5it"}, arms=["ticket", "dense"], name="sums.own-imp",
    )  # fmt: skip
    assert ticket.config.pruning.criterion == "movement"
    assert {row["metric"] for row in ticket.results} == {"test_worst", "test_loss", "train_loss"}
    assert ticketzoo.judge(ticket).metric == "test_worst"


SHARED = Mlp()
WRONG: list[tuple[dict[str, Any], type[TicketzooError], str]] = [
    ({"model": Mlp()}, ModelError, "model: give a function that makes the network"),
    ({"model": lambda: SHARED}, ModelError, "must make a new network at each call"),
    ({"train": (IMAGES, LABELS[:5])}, DataError, "train: has 300 and 5 inputs and targets"),
    ({"train": []}, DataError, "train: has no examples"),
    ({"train": [1, 2]}, DataError, "train: an example must be a pair of an input and a target, not int"),
    ({"evaluate": None}, RecipeError, "give a recipe, or all of model, train and evaluate"),
    ({"prune": "magnitud"}, RecipeError, "did you mean magnitude"),
    ({"training": {"step": "3it"}}, RecipeError, "unknown key 'training.step', did you mean 'steps'"),
    ({"metric": "f1"}, DataError, "metric 'f1' is not among what evaluate gives: loss, accuracy"),
]


@pytest.mark.parametrize(("keys", "error", "message"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, keys: dict[str, Any], error: type[TicketzooError], message: str
) -> None:
    with pytest.raises(error) as caught:
        find(tmp_path, **keys)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_and_a_model_are_not_given_together() -> None:
    make: Callable[[], nn.Module] = Mlp
    with pytest.raises(RecipeError, match="a recipe, or model, train and evaluate, not both"):
        ticketzoo.find("quickstart", model=make)  # type: ignore[call-overload]


def test_a_recipe_by_name_with_overrides(tmp_path: Path) -> None:
    small = ["task.dataset.examples=100", "task.dataset.validation=20", "training.steps=5it", "finder.levels=1"]
    ticket = ticketzoo.find(
        "quickstart", set=[*small, "seeds=[0]", "arm_levels=[1]"], out=tmp_path, device="cpu", progress=False
    )
    assert ticket.name == "lenet-300-100.digits-0-4-imp"
    with pytest.raises(RecipeError, match="for another command"):
        ticketzoo.transfer("quickstart", out=tmp_path)
