"""A ticket small enough to work out by hand, and ways to damage it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.ticket import Found, Ticket
from ticketzoo.zoo.verify import verify_ticket

MASKS, REWIND = "seed-7/masks.safetensors", "seed-7/rewind.safetensors"

# Which of the ten weights of fc1 (two rows of five) and the two of fc2 each level keeps.
KEPT = {1: ([0, 2, 3, 5, 6, 7, 8, 9], [0, 1]), 2: ([0, 3, 5, 6, 7, 8], [0, 1]), 4: ([0, 5, 6, 7], [1])}

ROW: dict[str, Any] = {
    "ticket": "toy.numbers-imp", "level": 1, "sparsity": 2 / 12, "arm": "ticket", "target": "toy", "seed": 7, "draw": 0,
    "at": "final", "step": 10, "metric": "test_accuracy", "value": 0.5,
}  # fmt: skip


class Toy(nn.Module):
    """12 prunable weights; biases, normalisation and its integer buffer are not pruned."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.fc1 = nn.Linear(5, 2)
        self.norm = nn.BatchNorm1d(2)
        self.fc2 = nn.Linear(2, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.norm(self.fc1(x)))


def mask(shape: tuple[int, ...], kept: list[int]) -> Tensor:
    flat = torch.zeros(shape, dtype=torch.bool).reshape(-1)
    flat[kept] = True
    return flat.view(shape)


def masks(level: int, mirrored: bool = False) -> dict[str, Tensor]:
    fc1, fc2 = KEPT[level]
    both = {"fc1.weight": mask((2, 5), fc1), "fc2.weight": mask((1, 2), fc2)}
    return {name: one.flip(1) if mirrored else one for name, one in both.items()}


def rewind_state() -> dict[str, Tensor]:
    """fc1's weights are 0..9: the first is a kept zero."""
    return {
        "fc1.weight": torch.arange(10.0).view(2, 5),
        "fc1.bias": torch.tensor([10.0, 11.0]),
        "norm.weight": torch.tensor([12.0, 13.0]),
        "norm.bias": torch.tensor([14.0, 15.0]),
        "norm.running_mean": torch.tensor([16.0, 17.0]),
        "norm.running_var": torch.tensor([18.0, 19.0]),
        "norm.num_batches_tracked": torch.tensor(20),
        "fc2.weight": torch.tensor([[21.0, 22.0]]),
        "fc2.bias": torch.tensor([23.0]),
    }


def verdict(labels: dict[int, str]) -> dict[str, Any]:
    sparsities = {1: 2 / 12, 2: 4 / 12, 4: 7 / 12}
    levels = [
        {"level": n, "sparsity": sparsities[n], "target": "toy", "label": label, "seeds": 3, "reason": "measured"}
        for n, label in labels.items()
    ]
    best = min(labels.values(), key=["winning", "matching", "not matching"].index)
    of_best = [sparsities[n] for n, label in labels.items() if label == best]
    return {
        "rule": "a rule",
        "metric": "test_accuracy",
        "at": "final",
        "label": best,
        "sparsity": max(of_best),
        "levels": levels,
    }


def fields(**changed: Any) -> dict[str, Any]:
    """Arguments of `Ticket.create`."""
    return {
        "name": "toy.numbers-imp",
        "architecture": {"library": "ticketzoo", "name": "toy", "kwargs": {}},
        "task": "image-classification",
        "source": {"dataset": "numbers"},
        "pruning": {"method": "imp", "scope": "global", "rate": 0.2},
        "rewind_step": 0,
        "replicates": [
            Found(7, {level: masks(level) for level in KEPT}, rewind_state()),
            Found(3, {level: masks(level, mirrored=True) for level in KEPT}, rewind_state()),
        ],
        "recipe_text": "name: toy.numbers-imp\n",
        "results": [{"ticket": "toy.numbers-imp", "level": 1, "value": 0.5}],
        **changed,
    }


def toy_ticket(**changed: Any) -> Ticket:
    return Ticket.create(**fields(**changed))


def edit_config(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change ticket.json as `edit` says."""
    path = folder / "ticket.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))


def forge(folder: Path, name: str, content: bytes) -> None:
    """Write `content` into a file of the ticket, and its size and digest into ticket.json."""
    (folder / name).write_bytes(content)

    def declare(config: dict[str, Any]) -> None:
        entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        files = [one["files"] for one in config["replicates"] if name in one["files"]] or [config["files"]]
        files[0][name] = entry

    edit_config(folder, declare)


def forge_tensors(folder: Path, name: str, edit: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors of a safetensors file of the replicate of seed 7, with a digest to match."""
    with safe_open(folder / name, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    edit(tensors)
    if metadata:
        metadata = {"encoding": json.dumps(dict.fromkeys(tensors, "survivor-bits"))}
    forge(folder, name, save(tensors, metadata))


def assert_refused(folder: Path, message: str) -> None:
    """Assert that one line says what is wrong with the ticket in `folder`: it matches `message`, names the folder."""
    with pytest.raises(TicketError, match=message) as raised:
        verify_ticket(folder)
    assert str(raised.value).isprintable()
    assert str(folder) in str(raised.value)
