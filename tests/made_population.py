"""Trainings on scikit-learn's digits that differ in seed, weights and masks alone."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from made_task import CPU
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.models.state import copy_state
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.tasks.image_classification import ImageClassification, ImageClassificationConfig
from ticketzoo.training import TrainingConfig
from ticketzoo.training.job import Job

LENET = architecture_of("lenet-300-100", {"in_shape": [1, 8, 8], "num_classes": 3, "width": 0.1})
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"name": "sgd", "lr": 0.1},
    "momentum": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "adam": {"name": "adam", "lr": 0.01, "weight_decay": 0.01},
    "adamw": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
    "rmsprop": {"name": "rmsprop", "lr": 0.001, "alpha": 0.9},
}


class NormedConv(nn.Module):
    """A convolution with batch normalization, and a linear layer."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.dropout, self.fc = nn.Dropout(dropout), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores, [b, 3]."""
        return self.fc(self.dropout(F.relu(self.norm(self.conv(images))).mean((2, 3))))


CONV = OwnArchitecture(NormedConv)


@cache
def digits(*, in_memory: bool = True, **augment: Any) -> ImageClassification:
    """Return the task of telling 0, 1 and 2 apart."""
    dataset = {"path": "digits", "classes": [0, 1, 2], "examples": 100, "in_memory": in_memory, "workers": 0}
    content = {"type": "image-classification", "dataset": dataset, "augment": augment, "label_smoothing": 0.1}
    return ImageClassification(parse_recipe(content, ImageClassificationConfig, "digits"))


def training(optimizer: str = "momentum", **keys: Any) -> TrainingConfig:
    """Return settings of an epoch and a bit; its last batches are smaller."""
    content = {"steps": "2ep", "batch_size": 16, "optimizer": OPTIMIZERS[optimizer], "evaluate_every": "3it"}
    return TrainingConfig.model_validate(content | {"schedule": {"name": "cosine", "warmup": "2it"}} | keys)


def jobs_of(
    architecture: dict[str, Any], config: TrainingConfig, seeds: int = 3, arms: int = 4, **keys: Any
) -> list[Job]:
    """Return the jobs of each seed: dense, and with random masks of half of the weights."""
    jobs = []
    for seed in range(seeds):
        model = create_from_architecture(architecture, seed)
        for arm in range(arms):
            generator = torch.Generator().manual_seed(100 * seed + arm)
            masks = {
                name: torch.rand(parameter.shape, generator=generator) > 0.5
                for name, parameter in prunable_parameters(model).items()
            }
            content = {"task": digits(), "training": config, "seed": seed, "start_step": 0} | keys
            jobs.append(Job(architecture, copy_state(model), masks if arm else {}, **content))
    return jobs


class Told(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.warnings: list[str] = []
        self.trained: list[bool] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def finished(self, label: str, record: Any, metric: str, *, trained: bool) -> None:
        self.trained.append(trained)


def cells_of(folder: Path, jobs: list[Job], executor: str = "stacked", **keys: Any) -> list[Path]:
    """Train `jobs` by works of one `each`; return the folders of their cells."""
    with Store(folder, executor, device=CPU, **keys) as store:

        def work(number: int) -> Path:
            return store.run(jobs[number], f"number {number}", keep_final=True, snapshot_steps=(2,)).folder

        return store.each(work, range(len(jobs)))


def content(folder: Path) -> dict[str, Any]:
    """Return what a cell says of its training, but for times and place."""
    document = json.loads((folder / "cell.json").read_text())
    for key in ("seconds", "cpu_seconds"):
        document["record"].pop(key)
    return {key: document[key] for key in ("specification", "record")}


def tensors_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
