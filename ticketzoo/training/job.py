"""A training as a pure function: what decides its numbers, the model it starts with, what goes wrong in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ticketzoo.errors import RunError
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models import create_from_architecture, load_model_state
from ticketzoo.models.state import State
from ticketzoo.tasks.task import Task
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.forward import is_compilers
from ticketzoo.training.parametrisation import WEIGHTS, Parametrisation
from ticketzoo.util.os_errors import in_words


@dataclass(frozen=True)
class Job:
    """One training: everything that decides its numbers, and nothing else.

    Attributes:
        architecture: as `ticketzoo.models.architecture_of` gives it.
        state: parameters and buffers to start from, tied ones once. Weights that `masks` prunes have no effect, unless
            `learn` freezes them where they are.
        masks: bool, True = kept, by parameter name; empty for a dense training.
        task: gives batches, loss and metrics.
        training: how to train.
        seed: of data order and augmentation, and of what `learn` draws.
        start_step: updates that count as done when it starts (the rewind step).
        learn: what training moves, and what of it is kept.
    """

    architecture: dict[str, Any]
    state: State
    masks: Masks
    task: Task
    training: TrainingConfig
    seed: int
    start_step: int = 0
    learn: Parametrisation = WEIGHTS

    @property
    def iterations(self) -> int:
        """Updates of the whole training, the ones before `start_step` included."""
        return self.training.steps.iterations(self.task.steps_per_epoch(self.training.batch_size))

    def specification(self) -> dict[str, Any]:
        """Return the job as JSON: large tensors by their digests, keys at their defaults left out.

        So a key that a later version adds moves no cell.
        """
        pruned = self.masks if self.learn.masked == "zero" else {}
        start = self.state | {name: self.state[name].where(mask, 0) for name, mask in pruned.items()}
        return {
            "architecture": self.architecture,
            "state": state_sha256(start),
            "masks": masks_sha256(self.masks) if self.masks else None,
            "task": self.task.identity,
            "training": self.training.model_dump(mode="json", exclude_defaults=True),
            "seed": self.seed,
            "start_step": self.start_step,
            **self.learn.identity,
        }

    def model(self, device: torch.device) -> nn.Module:
        """Return what is trained, on `device`: the state under the masks, frozen but for what is learned."""
        model = create_from_architecture(self.architecture, seed=0)
        load_model_state(model, self.state)
        model.to(device)
        moved = {id(parameter) for parameter in self.learn.install(model, self.masks, self.seed)}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in moved)
        return model


@contextmanager
def in_one_line(label: str, job: Job, device: torch.device) -> Iterator[None]:
    """Raise as RunError, in one line, what training `job` runs into: divergence, lack of memory, files, a compiler."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{label}: {error}") from None
    except torch.OutOfMemoryError:
        raise RunError(f"{label}: {_too_large(job.training.batch_size, device)}") from None
    except OSError as error:
        raise RunError(f"{label}: {in_words(error)} and run again") from error
    except Exception as error:
        if "DefaultCPUAllocator: can't allocate memory" in str(error):
            raise RunError(f"{label}: {_too_large(job.training.batch_size, device)}") from None
        if not is_compilers(error):
            raise
        why = str(error).strip().splitlines()[0]
        raise RunError(f"{label}: training.compile does not work here ({why}); set it to false") from error


def _too_large(batch_size: int, device: torch.device) -> str:
    if batch_size == 1:
        return f"not even batches of 1 fit the memory of {device}; train on a larger device or a smaller model"
    return f"the batches of {batch_size} do not fit the memory of {device}; try training.batch_size={batch_size // 2}"
