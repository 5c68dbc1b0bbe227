"""A training of a few updates on made images, and the cells that it is kept in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from made_task import CPU, MadeImages

from ticketzoo.models import architecture_of, create_from_architecture
from ticketzoo.runs.store import Job, Store
from ticketzoo.training import TrainingConfig

STEPS = 6


def training(**keys: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({"steps": f"{STEPS}it", "batch_size": 8, "evaluate_every": "2it", **keys})


def job(**keys: Any) -> Job:
    kwargs = {"in_shape": [1, 2, 2], "num_classes": 2, "width": 0.02}  # 4 inputs, 6 and 2 hidden units, 2 classes
    architecture = architecture_of("lenet-300-100", kwargs)
    state = create_from_architecture(architecture, seed=1).state_dict()
    masks = {"fc1.weight": torch.arange(24).view(6, 4) % 2 == 0}
    return replace(Job(architecture, state, masks, MadeImages(), training(), seed=0), **keys)


@contextmanager
def cells_in(folder: Path, **keys: Any) -> Iterator[Store]:
    with Store(folder, device=CPU, **keys) as cells:
        yield cells


def files_in(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )
