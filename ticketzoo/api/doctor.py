"""A look at the installation: versions, devices, caches, the Hub, and where tickets are looked for."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ticketzoo import __version__
from ticketzoo.errors import TicketzooError
from ticketzoo.hub.calls import call_hub, client, is_offline
from ticketzoo.util.text import counted
from ticketzoo.watching.loggers import LOGGERS
from ticketzoo.zoo.places import registries, ticket_folders

PACKAGES = (
    *("torch", "torchvision", "transformers", "datasets", "accelerate", "huggingface_hub", "safetensors"),
    *("numpy", "scipy", "scikit-learn", "pydantic", "matplotlib"),
)
OPTIONAL = ("ray", "gguf", "peft", "timm", "lightning")

Found = dict[str, str]
"""A thing and what was found of it, a line each."""


def diagnose(*, ask_hub: bool = True) -> dict[str, Found]:
    """Return what a report of a fault needs: names and versions, and no token, user name or text of a ticket.

    Args:
        ask_hub: whether to ask the Hub for an answer; nothing else here needs a network.

    Returns:
        Lines by section: `system`, `packages`, `loggers`, `devices`, `folders`, `hub`, `tickets`.
    """
    return {
        "system": {"python": f"{platform.python_version()}, {sys.executable}", "platform": platform.platform()},
        "packages": {"ticketzoo": __version__, **_packages()},
        "loggers": _loggers(),
        "devices": _devices(),
        "folders": _folders(),
        "hub": _hub(ask_hub),
        "tickets": {str(place): _tickets(place) for place in registries()},
    }


def _packages() -> Found:
    return {name: found for name in (*PACKAGES, *OPTIONAL) if (found := _version(name))}


def _version(name: str) -> str:
    """Return a package's version: that it is missing, or "" for an optional one that is."""
    return _installed(name) or ("" if name in OPTIONAL else "missing: install it with pip")


def _installed(name: str) -> str:
    """Return a package's version, "" where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _loggers() -> Found:
    """Return what `--log` may name, and which version of its package is installed, or how to install it."""
    found = {}
    for entry in LOGGERS.values():
        installed = _installed(entry.package) if entry.package else "comes with ticketzoo"
        found[entry.name] = installed or f"not installed: pip install 'ticketzoo[{entry.name}]'"
    return found


def _devices() -> Found:
    found = {"cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch"}
    for number in range(torch.cuda.device_count()):
        of = torch.cuda.get_device_properties(number)
        found[f"cuda:{number}"] = f"{of.name}, {of.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    if torch.backends.mps.is_available():
        found["mps"] = "there"
    return found


def _folders() -> Found:
    from huggingface_hub.constants import HF_HUB_CACHE

    own = Path(os.environ.get("TICKETZOO_CACHE") or "~/.cache/ticketzoo").expanduser()
    return {"cache": _room(own), "Hub's cache": _room(Path(HF_HUB_CACHE)), "here": _room(Path.cwd())}


def _room(folder: Path) -> str:
    """Return a folder, whether it is there and can be written to, and the free space where it is or would be."""
    there = folder
    while not there.exists():
        there = there.parent
    state = "" if folder.exists() else ", not there yet"
    locked = "" if os.access(there, os.W_OK) else ", CANNOT BE WRITTEN TO"
    return f"{folder}{state}{locked}, {shutil.disk_usage(there).free / 2**30:.1f} GiB free"


def _hub(ask: bool) -> Found:
    from huggingface_hub import get_token
    from huggingface_hub.constants import ENDPOINT

    token = "there" if get_token() else "none: `hf auth login` keeps one; publishing needs it, fetching does not"
    found = {"address": ENDPOINT, "token": token}
    if is_offline():
        return found | {"answers": "not asked: HF_HUB_OFFLINE forbids it"}
    return found | {"answers": _told(_ask) if ask else "not asked"}


def _ask() -> str:
    call_hub(lambda: next(iter(client(token=False).list_models(limit=1)), None), "the Hub", repeat=False)
    return "yes"


def _tickets(place: Path) -> str:
    return _told(lambda: counted(len(ticket_folders(place)), "ticket")) if place.is_dir() else "not there"


def _told(look: Callable[[], str]) -> str:
    """Return what `look` finds, or its error in a line: a look at what is broken has to end."""
    try:
        return look()
    except TicketzooError as error:
        return f"NO: {error}"
