"""A half-finished training on disk: its two last checkpoints, each one safetensors file, written whole or not at all.

No random state is stored. Data order, augmentation and dropout of a step are functions of the training's seed and the
step alone (`ticketzoo.seeds`), the learning rate is one of the step, and what a task draws it draws so; with weights,
buffers and the optimiser's state a training therefore goes on from a checkpoint with the bits it would have had.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from ticketzoo.errors import RunError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.state import State
from ticketzoo.util.files import write_tensors, writing_into
from ticketzoo.util.os_errors import remedy, why

KEPT = 2
"""Checkpoints of a training: should the newest be damaged, there is the one before."""


@dataclass
class Checkpoint:
    """A training after `step` updates."""

    step: int
    model: State
    optimizer: dict[str, Tensor]
    record: dict[str, Any]
    """History and best values so far, as JSON."""
    batches: State = field(default_factory=dict)
    """Of `StatefulBatches` (see `ticketzoo.tasks.task`)."""


def optimizer_tensors(optimizer: Optimizer) -> State:
    """Return the optimizer's state, flat: `"<parameter index>/<key>"`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}/{key}": value
        for index, entries in state.items()
        for key, value in entries.items()
        if isinstance(value, Tensor)
    }


def load_optimizer_tensors(optimizer: Optimizer, tensors: State) -> None:
    """Put back what `optimizer_tensors` gave."""
    state: dict[int, State] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if value.shape == parameter.shape:  # in the parameter's layout, which fused optimisers take for granted
                entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` into `folder`, and remove all but the newest `KEPT`.

    Raises:
        RunError: it cannot be written.
    """
    parts = {"model": checkpoint.model, "optimizer": checkpoint.optimizer, "batches": checkpoint.batches}
    tensors = {f"{part}:{name}": t.cpu().contiguous() for part, state in parts.items() for name, t in state.items()}
    meta = json.dumps({"step": checkpoint.step, "record": checkpoint.record})
    path = folder / f"checkpoint-{checkpoint.step}.safetensors"
    with writing_into(folder):
        write_tensors(path, tensors, {"checkpoint": meta, "sha256": _digest(meta, tensors)})
        for old in list(_newest_first(folder).values())[KEPT:]:
            old.unlink(missing_ok=True)


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in `folder`, whole or not, the newest first."""
    return list(_newest_first(folder))


def load_checkpoint(folder: Path, warn: Callable[[str], None], at: int | None = None) -> Checkpoint | None:
    """Return the newest whole checkpoint in `folder`; None if there is none. Damaged ones are removed, with a warning.

    Args:
        folder: where they are.
        warn: called with a message about each damaged one.
        at: look for the one after so many updates alone.

    Raises:
        RunError: the system does not let one be read. It may be whole, so nothing is removed.
    """
    found, damaged = None, []
    for step, path in _newest_first(folder).items():
        if at not in (None, step):
            continue
        try:
            found = _read(path)
            break
        except (SafetensorError, KeyError, TypeError, ValueError):
            damaged.append(path)
        except OSError as error:
            raise RunError(f"{path}: cannot be read ({why(error)}); {remedy(error)} and run again") from None
    for path in damaged:
        instead = f"the training goes on from iteration {found.step}" if found else "the training starts over"
        warn(f"{path}: damaged checkpoint removed; {instead}")
        path.unlink()
    return found


def remove_checkpoints(folder: Path) -> None:
    """Remove all checkpoints in `folder`."""
    for path in folder.glob("checkpoint*.safetensors"):
        path.unlink(missing_ok=True)


def remove_later_checkpoints(folder: Path, step: int) -> None:
    """Remove the checkpoints in `folder` from after more than `step` updates."""
    for later, path in _newest_first(folder).items():
        if later > step:
            path.unlink(missing_ok=True)


def _newest_first(folder: Path) -> dict[int, Path]:
    steps = {path: re.fullmatch(r"checkpoint-([0-9]+)\.safetensors", path.name) for path in folder.glob("checkpoint-*")}
    found = {int(match[1]): path for path, match in steps.items() if match}
    return dict(sorted(found.items(), reverse=True))


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    if _digest(metadata["checkpoint"], tensors) != metadata["sha256"]:
        raise ValueError("its content is not what was written")
    meta = json.loads(metadata["checkpoint"])
    parts: dict[str, State] = {"model": {}, "optimizer": {}, "batches": {}}
    for key, tensor in tensors.items():
        part, name = key.split(":", 1)
        parts[part][name] = tensor
    return Checkpoint(meta["step"], record=meta["record"], **parts)


def _digest(meta: str, tensors: State) -> str:
    return hashlib.sha256(f"{meta}\n{state_sha256(tensors)}".encode()).hexdigest()
