"""The files of a store: JSON documents and tensors, each written whole or not at all, damage noticed when read."""

import json
import platform
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open

import ticketzoo
from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models.state import State
from ticketzoo.util.files import sync_folder, write_atomically, write_tensors, writing_into


class Row(Protocol):
    """A named tuple of JSON values."""

    def _asdict(self) -> dict[str, Any]: ...


RowT = TypeVar("RowT", bound=Row)


def read_document(path: Path, key: str) -> Any:
    """Return what the JSON document in `path` has under `key`. Raises RunError where it cannot be read."""
    try:
        return json.loads(path.read_bytes())[key]
    except (OSError, ValueError, KeyError, TypeError):
        raise unreadable(path) from None


def read_rows(path: Path, key: str, row: Callable[..., RowT]) -> list[RowT]:
    """Return the rows that the JSON document in `path` has under `key`, none where there is no such file.

    Raises:
        RunError: the file cannot be read, or `row` does not take what it holds.
    """
    if not path.is_file():
        return []
    try:
        return [row(**fields) for fields in read_document(path, key)]
    except TypeError:
        raise unreadable(path) from None


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as JSON. Raises OSError."""
    write_atomically(path, json.dumps(content).encode())


def read_state(path: Path) -> State:
    """Return the tensors in `path`, on the CPU. Raises RunError where they are not what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            digest = (file.metadata() or {}).get("sha256")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (OSError, SafetensorError) as error:
        raise unreadable(path, f" ({error})") from None
    if digest is not None and state_sha256(state) != digest:  # the first stores wrote no digest
        raise RunError(f"{path}: damaged since it was written; delete {path.parent.name} and run again")
    return state


def write_state(path: Path, state: State, facts: Mapping[str, Any] | None = None) -> None:
    """Write tensors as safetensors, with their digest and, as JSON, `facts` about them. Raises OSError."""
    owned: State = {}
    seen: set[int] = set()
    for name, tensor in state.items():  # a file cannot hold tensors that share memory
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        owned[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    metadata = {"sha256": state_sha256(owned), **{key: json.dumps(value) for key, value in (facts or {}).items()}}
    write_tensors(path, owned, metadata)


def write_into(folder: Path, write: Callable[[], None]) -> None:
    """Make `folder` where there is none, and call `write`, which writes there. Raises RunError where it cannot."""
    with writing_into(folder):
        if not folder.is_dir():
            folder.mkdir()
            sync_folder(folder.parent)
        write()


def unreadable(path: Path, why: str = "") -> RunError:
    """Return the error of a file of the store that cannot be read; `why` follows in parentheses."""
    return RunError(f"{path}: cannot be read{why}; delete {path.parent.name} and run again")


def environment(device: torch.device) -> dict[str, Any]:
    """Return the versions, device and threads that numbers are measured with, for the record."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "ticketzoo": ticketzoo.__version__,
        "torch": torch.__version__,
        "device": where,
        "threads": torch.get_num_threads(),
        **({"processor": name} if (name := _processor()) else {}),
        **({"processes": processes.count()} if processes.count() > 1 else {}),
    }


@cache
def _processor() -> str:
    """Return the processor's name; empty where the system does not tell."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
