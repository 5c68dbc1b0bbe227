"""A user's own model and data: found, packaged and applied in a few lines, without a recipe file."""

import math
import pickle
import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset

import ticketzoo
from ticketzoo.errors import DataError, ModelError, RecipeError, TicketzooError
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.tasks.metrics import Metric
from ticketzoo.tasks.own import OwnTask
from ticketzoo.tasks.own_fit import check_fit

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
    assert {row["arm"] for row in ticket.results} == {"ticket", "dense", "chance", "random_reinit", "random_mask"}
    verdict = ticketzoo.judge(ticket)
    assert verdict.metric == "test_accuracy"
    assert verdict == ticket.config.verdict
    ticketzoo.verify(folder / ticket.name)


def test_a_notebook_shows_what_it_is_and_the_verdict(run: tuple[ticketzoo.Ticket, Path]) -> None:
    shown = run[0]._repr_html_()
    assert "<b>mlp.own-imp</b>" in shown
    assert "Mlp" in shown
    assert ticketzoo.judge(run[0])._repr_html_() in shown
    assert "ticket.apply(network)" in (run[1] / "mlp.own-imp" / "README.md").read_text()


def test_a_metric_that_no_row_has_is_named(run: tuple[ticketzoo.Ticket, Path]) -> None:
    with pytest.raises(TicketzooError, match="judge: no row has metric 'accuracy'; there are test_accuracy"):
        ticketzoo.judge(run[0], metric="accuracy")


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
    assert {row["metric"] for row in ticket.results} == {"test_worst", "train_loss"}
    assert ticketzoo.judge(ticket).metric == "test_worst"


SHARED = Mlp()
WRONG: list[tuple[dict[str, Any], type[TicketzooError], str]] = [
    ({"model": Mlp()}, ModelError, "model: give a function that makes the network"),
    ({"model": lambda: SHARED}, ModelError, "must make a new network at each call"),
    ({"train": (IMAGES, LABELS[:5])}, DataError, "train: has 300 inputs and 5 targets: give as many of each"),
    ({"train": []}, DataError, "train: has no examples"),
    ({"train": [1, 2]}, DataError, "train: an example must be a pair of an input and a target, not int"),
    ({"train": (IMAGES.numpy(), ["a"] * 300)}, DataError, "not a tuple of array [300, 64] float32 and list of 300"),
    ({"train": (IMAGES, LABELS[0])}, DataError, "[n, ...] each, or a data set of pairs, not a tuple of tensor "),
    ({"train": IMAGES.numpy()}, DataError, "a pair of an input and a target, not array [64] float32: give tensors or "),
    ({"train": (IMAGES, np.array(["a"] * 300))}, DataError, "train: targets are array [300] <U1, which torch does not"),
    ({"evaluate": None}, RecipeError, "give a recipe, or all of model, train and evaluate"),
    ({"prune": "magnitud"}, RecipeError, "did you mean magnitude"),
    ({"training": {"step": "3it"}}, RecipeError, "unknown key 'training.step', did you mean 'steps'"),
    ({"metric": "rmse"}, DataError, "metric 'rmse' is unknown: give Metric('rmse', higher_is_better=...)"),
    ({"evaluate": lambda model: [1]}, DataError, "evaluate: must return a dict of numbers by name, not list"),
    (
        {"evaluate": lambda model: {"accuracy": 97.5}},
        DataError,
        "accuracy is 97.5, and must be from 0 to 1, not in per",
    ),
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
        ticketzoo.find("quickstart", model=make)


def test_a_recipe_by_name_with_overrides(tmp_path: Path) -> None:
    small = ["task.dataset.examples=100", "task.dataset.validation=20", "training.steps=5it", "finder.levels=1"]
    ticket = ticketzoo.find(
        "quickstart", set=[*small, "seeds=[0]", "arm_levels=[1]"], out=tmp_path, device="cpu", progress=False
    )
    assert ticket.name == "lenet-300-100.digits-0-4-imp"
    with pytest.raises(RecipeError, match="for another command"):
        ticketzoo.transfer("quickstart", out=tmp_path)


def activated(activation: type[nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Linear(64, 6), activation(), nn.Linear(6, 10))


def scaled_loss(by: float, outputs: Tensor, targets: Tensor) -> Tensor:
    return by * torch.nn.functional.cross_entropy(outputs, targets)


def times(by: float) -> Callable[[nn.Module], dict[str, float]]:
    return lambda model: {"accuracy": float((model(IMAGES).argmax(1) == LABELS).float().mean()) * by}


def test_what_changes_the_numbers_is_trained_anew_in_the_same_folder(tmp_path: Path) -> None:
    first: dict[str, Any] = {
        "model": partial(activated, nn.ReLU), "loss": partial(scaled_loss, 1.0), "evaluate": times(1.0),
        "finder": {"levels": 1}, "arms": ["ticket", "dense"], "seeds": [0], "name": "small.own-imp",
        "training": {"steps": "2it", "batch_size": 20},
    }  # fmt: skip

    def cells(**changed: Any) -> int:
        find(tmp_path, **(first | changed))
        return len(list(tmp_path.glob("cells/*/cell.json")))

    assert cells() == 2
    assert cells(model=partial(activated, nn.ReLU), evaluate=times(1.0)) == 2
    assert cells(model=partial(activated, nn.Tanh)) == 4
    assert cells(loss=partial(scaled_loss, 2.0)) == 6
    assert cells(evaluate=times(0.5)) == 8
    lock = threading.Lock()
    assert cells(loss=lambda outputs, targets: scaled_loss(1.0 if lock else 2.0, outputs, targets)) == 10
    assert cells(loss=lambda outputs, targets: scaled_loss(1.0 if lock else 2.0, outputs, targets)) == 12


class Dropping(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.layer, self.p = nn.Linear(2, 2), p


def test_an_architecture_is_known_by_settings_and_travels_as_it_was_described() -> None:
    described = OwnArchitecture(partial(Dropping, 0.0))
    assert described == OwnArchitecture(partial(Dropping, 0.0))
    assert described != OwnArchitecture(partial(Dropping, 0.9))
    travelled = pickle.loads(pickle.dumps(described))
    assert travelled == described
    assert torch.equal(travelled.build(3).layer.weight, described.build(3).layer.weight)


def test_to_describe_an_architecture_draws_nothing() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    OwnArchitecture(Mlp)
    assert torch.equal(torch.rand(1), expected)


class Noisy(Dataset[Any]):
    """Inputs with noise of all three global generators; targets of 32 bits."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: NPY002
        return torch.tensor(noise, dtype=torch.float64), torch.tensor(index % 2, dtype=torch.int32)


def test_a_batch_of_random_examples_is_a_function_of_seed_and_iteration() -> None:
    task, cpu = OwnTask(Noisy(), Noisy()), torch.device("cpu")
    whole = list(task.batches(4, 0, 0, 5, cpu))
    (late,) = task.batches(4, 0, 4, 5, cpu)
    assert torch.equal(whole[4][0], late[0])
    assert not torch.equal(whole[3][0], late[0])
    assert late[0].dtype == torch.float32
    assert late[1].dtype == torch.int64
    assert task.identity == OwnTask(Noisy(), Noisy()).identity


def test_examples_that_no_seed_repeats_are_refused() -> None:
    class Counting(Noisy):
        reads = 0

        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            self.reads += 1
            return torch.tensor([float(self.reads)]), torch.tensor(0)

    with pytest.raises(DataError, match="train: an example differs between two reads: draw its random numbers"):
        OwnTask(Counting(), Noisy())


def test_validation_examples_need_not_give_a_metric_of_ones_own(tmp_path: Path) -> None:
    ticket = find(
        tmp_path, evaluate=lambda model: {"nine": 9.0}, metric=Metric("nine"), seeds=[0], arms=["ticket", "dense"],
        validation=(IMAGES[200:], LABELS[200:]), finder={"levels": 1}, training={"steps": "2it", "batch_size": 20},
    )  # fmt: skip
    assert "validation_loss" in {row["metric"] for row in ticket.results}
    assert {row["value"] for row in ticket.results if row["metric"] == "test_nine"} == {9.0}


class _Biasless(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 5, bias=False), nn.ReLU(), nn.Linear(5, 10, bias=False))


def test_a_supermask_of_a_private_class_has_a_name_and_its_last_level(tmp_path: Path) -> None:
    ticket = find(
        tmp_path, model=_Biasless, seeds=[0], arms=["ticket", "dense"], finder={"method": "edge-popup"},
        training={"steps": "2it", "batch_size": 20},
    )  # fmt: skip
    assert ticket.name == "biasless.own-edge-popup"
    assert ticket.masks


class Raising(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x)[:, None, :]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": lambda: nn.Linear(63, 10)}, r"train: the network does not take its examples \(inputs \[2, 64\] f"),
        ({"model": lambda: nn.Linear(64, 5)}, "train: has labels from 0 to 9, but the network has 5 outputs, for"),
        ({"train": (IMAGES[:200], LABELS[:200] - 1)}, "train: has labels from -1 to 8, but the network has 10 outputs"),
        ({"model": Raising}, r"loss: cannot be taken of the network's outputs \(outputs \[2, 1, 5\] float32"),
        ({"train": (IMAGES[:200], LABELS[:200].float())}, r"targets \[2\] float32 differ in shape: give classes as "),
        ({"model": lambda: nn.Linear(64, 1), "train": (IMAGES[:200], LABELS[:200] / 9)}, r"train: outputs \[2, 1\] "),
        ({"evaluate": (IMAGES[200:], LABELS[200:] + 5)}, "evaluate: the network does not fit these examples: Target 1"),
        ({"evaluate": (IMAGES[200:, 1:], LABELS[200:])}, "evaluate: the network does not fit these examples: mat1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line_before_any_training(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said) as raised:
        find(tmp_path, **changed)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "cells").exists()


def spoilt(value: float) -> Tensor:
    images = IMAGES[:200].clone()
    images[[7, 130], 3] = value
    return images


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("split", ["train", "validation", "evaluate"])
def test_inputs_that_are_no_numbers_are_named_and_not_the_learning_rate(
    tmp_path: Path, split: str, value: float
) -> None:
    said = f"{split}: 2 of 200 examples hold NaN or infinite numbers, and the loss of the first, example 7, is "
    with pytest.raises(DataError, match=said):
        find(tmp_path, **{split: (spoilt(value).numpy(), LABELS[:200].numpy())})
    assert not (tmp_path / "cells").exists()


class Filled(Mlp):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.nan_to_num())


def test_a_network_may_be_made_for_missing_numbers() -> None:
    task = OwnTask((spoilt(math.nan), LABELS[:200]), (IMAGES, LABELS))
    check_fit(task, Filled(), torch.device("cpu"))


def test_arrays_are_the_same_data_as_tensors() -> None:
    arrays = IMAGES.numpy().astype("float64"), LABELS.numpy().astype("int32")
    read_only = np.broadcast_to(arrays[0], arrays[0].shape)
    identity = OwnTask((IMAGES, LABELS), (IMAGES, LABELS)).identity
    assert OwnTask((read_only, arrays[1]), (IMAGES, LABELS)).identity == identity


def test_a_label_that_the_loss_ignores_is_no_class(tmp_path: Path) -> None:
    labels = LABELS[:200].clone()
    labels[:3] = -100
    assert find(tmp_path, train=(IMAGES[:200], labels), seeds=[0], arms=["ticket", "dense"], finder={"levels": 1})


def test_the_card_calls_data_and_task_its_author_s_own(run: tuple[ticketzoo.Ticket, Path]) -> None:
    card = (run[1] / "mlp.own-imp" / "README.md").read_text()
    assert "found on own data by" in card
    assert "**task**: its author's own" in card
    assert {row["target"] for row in run[0].results} == {"own data"}
