"""SynFlow and PHEW on a user's own network: the shape of its inputs is that of its data; what cannot be is one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import ticketzoo
from ticketzoo.errors import RecipeError, RunError

LABELS = torch.arange(40) % 3
DRAWN = torch.Generator().manual_seed(0)


def table() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))


def images() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


class Two(nn.Module):
    """A network of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.last = nn.Linear(4, 10), nn.Linear(6, 10), nn.Linear(10, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        scores: Tensor = self.last(torch.relu(self.left(left) + self.right(right)))
        return scores


class Pairs(Dataset[Any]):
    """Examples of two inputs."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> Any:
        return {"left": torch.full((4,), index / 40), "right": torch.full((6,), 1 - index / 40)}, LABELS[index]


def tokens() -> nn.Module:
    return nn.Sequential(nn.Embedding(9, 5), nn.Flatten(), nn.Linear(20, 3))


TABLE, IMAGES = torch.rand(40, 8, generator=DRAWN), torch.rand(40, 2, 6, 6, generator=DRAWN)


def find(
    folder: Path, criterion: Any, model: Callable[[], nn.Module], data: Any, method: str = "at-init"
) -> ticketzoo.Ticket:
    return ticketzoo.find(
        model=model,
        train=data,
        evaluate=lambda network: {"accuracy": 0.5, "loss": 1.0},
        prune={"criterion": criterion},
        finder={"method": method, "levels": 1, "rate": 0.4},
        training={"steps": "2it", "batch_size": 20},
        seeds=[0],
        arms=[],
        out=folder,
        device="cpu",
        progress=False,
    )


@pytest.mark.parametrize("criterion", ["synflow", "phew"])
@pytest.mark.parametrize(("model", "data"), [(table, (TABLE, LABELS)), (images, (IMAGES, LABELS))])
def test_of_a_table_and_of_images(
    criterion: str, model: Callable[[], nn.Module], data: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ticket = find(tmp_path, criterion, model, data)
    assert sum(int(mask.sum()) for mask in ticket.masks.values()) == round(0.6 * ticket.config.prunable_weights)
    assert "Traceback" not in capfd.readouterr().err


def test_synflow_of_two_inputs(tmp_path: Path) -> None:
    assert find(tmp_path, "synflow", Two, Pairs()).sparsity == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    ("criterion", "model", "data", "said"),
    [
        ("phew", Two, Pairs(), "criterion 'phew': walks begin at one input, and the network takes 2"),
        ("synflow", tokens, (LABELS.expand(4, 40).T, LABELS), "no input of ones for a model that takes integers"),
        ("phew", tokens, (LABELS.expand(4, 40).T, LABELS), "no input of ones for a model that takes integers"),
        ("synflow", lambda: nn.Sequential(table(), nn.Sigmoid()), (TABLE, LABELS), "'1', a Sigmoid, gives other"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_is_trained(
    criterion: str, model: Callable[[], nn.Module], data: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=said) as refused:
        find(tmp_path, criterion, model, data)
    assert "\n" not in str(refused.value)
    assert not [*tmp_path.rglob("*record*"), *tmp_path.rglob("*.safetensors")]


def places() -> nn.Module:
    """Return a network that scores classes at each of two places."""
    return nn.Sequential(nn.Linear(8, 6), nn.Unflatten(1, (3, 2)))


@pytest.mark.parametrize(
    ("criterion", "model", "data", "said"),
    [
        ("obd", places, (TABLE, LABELS[:, None].expand(40, 2)), "'obd': .* whose output is scores of classes, one row"),
        ("obd", table, (TABLE, TABLE[:, :3]), "'obd': variants exact and lecun are of the mean cross-entropy"),
        (
            "obd",
            lambda: nn.Sequential(nn.Conv1d(8, 3, 1), nn.Flatten()),
            (TABLE[..., None], LABELS),
            "of '0.weight', wh",
        ),
        ({"name": "obd", "variant": "lecun"}, lambda: nn.Sequential(table(), nn.Tanh()), (TABLE, LABELS), "no second"),
        (
            {"name": "snip", "examples_per_class": 3},
            table,
            (TABLE, LABELS),
            "examples_per_class: own data has no classes",
        ),
        ({"name": "given", "masks": "no-such-file"}, table, (TABLE, LABELS), "no-such-file: cannot be read"),
    ],
)
def test_what_imp_cannot_score_is_refused_before_dense_is_trained(
    criterion: Any, model: Callable[[], nn.Module], data: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises((RunError, RecipeError), match=said) as refused:
        find(tmp_path, criterion, model, data, method="imp")
    assert "\n" not in str(refused.value)
    assert not [*tmp_path.rglob("*record*"), *tmp_path.rglob("*.safetensors")]
