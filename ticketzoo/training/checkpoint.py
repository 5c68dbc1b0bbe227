"""A half-finished training on disk: one safetensors file, replaced atomically."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

State = dict[str, Tensor]


@dataclass
class Checkpoint:
    """A training after `step` updates. Random streams are functions of the step, so none is stored."""

    step: int
    model: State
    optimizer: dict[str, Tensor]
    snapshot: State
    snapshot_step: int | None
    """The step that `snapshot` is of, or will be once it is reached."""
    record: dict[str, Any]
    """History and best values so far, as JSON."""


def optimizer_tensors(optimizer: Optimizer) -> State:
    """The optimiser's state, flat: `"<parameter index>/<key>"`."""
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


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A temporary path whose file takes the place of `path` after the block: `path` is ever the old file or the new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that after any crash `path` is either the old file or the whole new one. Raises OSError."""
    with replacing_file(path) as temporary:
        temporary.write_bytes(content)


def write_tensors(path: Path, tensors: State, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file as `write_atomically` does, without a copy of it in memory. Raises OSError."""
    with replacing_file(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:  # it states the system's error by number alone
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(*((int(number[1]), os.strerror(int(number[1]))) if number else (str(error),))) from error


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, atomically."""
    parts = {"model": checkpoint.model, "optimizer": checkpoint.optimizer, "snapshot": checkpoint.snapshot}
    tensors = {f"{part}:{name}": t.contiguous() for part, state in parts.items() for name, t in state.items()}
    meta = {"step": checkpoint.step, "snapshot_step": checkpoint.snapshot_step, "record": checkpoint.record}
    write_tensors(path, tensors, {"checkpoint": json.dumps(meta)})


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`; None when there is none or it cannot be read."""
    parts: dict[str, State] = {"model": {}, "optimizer": {}, "snapshot": {}}
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["checkpoint"])
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                part, name = key.split(":", 1)
                parts[part][name] = file.get_tensor(key)
        return Checkpoint(meta["step"], snapshot_step=meta.get("snapshot_step"), record=meta["record"], **parts)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
        return None
