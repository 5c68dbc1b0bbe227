"""Tensors of a checkpoint: a safetensors file, several with an index, a peft adapter's folder, a `.pth` or GGUF."""

import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ticketzoo.bridges.brought import Source
from ticketzoo.bridges.pth import read_pth
from ticketzoo.errors import TicketError
from ticketzoo.models.gguf import SUFFIX, folder_of
from ticketzoo.util import lfs
from ticketzoo.util.text import for_terminal

WHOLE, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
SETTINGS = {ADAPTER: "adapter_config.json", WHOLE: "config.json", INDEX: "config.json"}
PICKLED = (".pth", ".pt", ".bin", ".npy", ".tar", ".ckpt")
_SHARD = re.compile(r"\w[\w.-]*\.safetensors", re.ASCII)
_MAX_JSON = 64 * 2**20
_WRAPPERS = ("module.", "_orig_mod.")


def open_source(path: Path) -> Source:
    """Return what is in a file or folder.

    Raises:
        TicketError: there is nothing that can be read, or it is damaged; the message names the file.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise TicketError(f"{path}: there is no such file or folder")
    if path.suffix == SUFFIX:
        return _gguf(path)
    if path.suffix in PICKLED:
        tensors, facts = read_pth(path, str(path))
    else:
        tensors, facts = read_safetensors(path)
    return Source(str(path), _unwrapped(tensors), facts, _settings_beside(path))


def read_safetensors(path: Path, names: list[str] | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a safetensors file, or those of `names`, and its metadata. Raises TicketError."""
    if not path.is_file():
        raise TicketError(f"{path}: missing: {INDEX} places tensors there; fetch the whole checkpoint")
    if lfs.is_pointer(path):
        raise TicketError(f"{path}: is {lfs.REMEDY}")
    try:
        with safe_open(path, framework="pt") as file:
            there = list(file.keys())
            if absent := sorted(set(names or ()) - set(there)):
                raise TicketError(
                    f"{path}: has no tensor '{for_terminal(absent[0])[:200]}', which {INDEX} places there"
                )
            return {name: file.get_tensor(name) for name in names or there}, dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError) as error:
        raise TicketError(f"{path}: cannot be read: {for_terminal(error)[:300]}") from None


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of a file of JSON, an object. Raises TicketError."""
    if path.stat().st_size > _MAX_JSON:
        raise TicketError(f"{path}: has {path.stat().st_size} bytes, more than the {_MAX_JSON} it may have")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise TicketError(f"{path}: is not a JSON object")
    return content


def _folder(folder: Path) -> Source:
    name = next((name for name in SETTINGS if (folder / name).is_file()), None)
    if name is None:
        names = ", ".join(SETTINGS)
        raise TicketError(f"{folder}: has none of {names}: name the file itself, such as {folder / 'mask.pth'}")
    tensors, facts = _sharded(folder) if name == INDEX else read_safetensors(folder / name)
    settings = folder / SETTINGS[name]
    return Source(str(folder), _unwrapped(tensors), facts, read_settings(settings) if settings.is_file() else {})


def _gguf(path: Path) -> Source:
    """Return the tensors of a decoder in a GGUF file, as transformers reads them: quantised weights are float32."""
    source = _folder(folder_of(path))
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as kinds

    settings = {**source.settings, "architectures": [kinds[str(source.settings["model_type"])]]}
    return Source(str(path), source.tensors, source.facts, settings)


def _sharded(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    places = read_settings(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise TicketError(f"{folder / INDEX}: has no weight_map")
    shards: dict[str, list[str]] = {}
    for name, shard in places.items():
        if not isinstance(shard, str) or not _SHARD.fullmatch(shard):
            shown = for_terminal(shard)[:200]
            raise TicketError(f"{folder / INDEX}: '{shown}' is not the name of a safetensors file beside it")
        shards.setdefault(shard, []).append(name)
    if missing := [shard for shard in shards if not (folder / shard).is_file()]:
        raise TicketError(f"{folder}: shard {missing[0]} is missing ({len(missing)} of {len(shards)}): fetch it too")
    tensors: dict[str, Tensor] = {}
    for shard, names in shards.items():
        tensors |= read_safetensors(folder / shard, names)[0]
    return tensors, {}


def _settings_beside(path: Path) -> dict[str, Any]:
    settings = path.with_name(SETTINGS.get(path.name, "config.json"))
    return read_settings(settings) if path.suffix == ".safetensors" and settings.is_file() else {}


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without what DataParallel and `torch.compile` put before all names."""
    groups: dict[str, list[str]] = {}
    for name in tensors:
        outer, slash, _ = name.rpartition("/")
        groups.setdefault(outer + slash, []).append(name)
    short: dict[str, str] = {}
    for group, names in groups.items():
        inside = [name.removeprefix(group) for name in names]
        for wrapper in _WRAPPERS:
            if all(name.startswith(wrapper) for name in inside):
                inside = [name.removeprefix(wrapper) for name in inside]
        short |= {name: group + one for name, one in zip(names, inside, strict=True)}
    return {short[name]: tensor for name, tensor in tensors.items()}
