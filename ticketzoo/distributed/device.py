import os
import re

import torch

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.util.text import for_terminal

_KNOWN = re.compile(r"(cpu|cuda|mps|xpu|hpu|mtia|privateuseone)(:\d{1,3})?")


def training_device(name: str | None = None) -> torch.device:
    """Return the device called `name`, or the best one there is; of several processes each takes a GPU of its own.

    Raises:
        RunError: there is no such device here, or there are fewer GPUs than processes.
    """
    if processes.count() > 1:
        return _own_device(name)
    if name is None:
        from accelerate import PartialState

        device: torch.device = PartialState().device
        return device
    if not _KNOWN.fullmatch(name):
        hint = "say cuda for a GPU (mps on a Mac)" if name.lower().startswith("gpu") else "say cpu, cuda, cuda:1 or mps"
        raise RunError(f"there is no device {for_terminal(repr(name))[:80]}: {hint}")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # not of "meta"
    except (RuntimeError, AssertionError) as error:
        raise RunError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return device


def _own_device(name: str | None) -> torch.device:
    if name not in (None, "cpu", "cuda"):
        raise RunError(f"device {name!r} is not for several processes; give cpu or cuda, of which each takes its own")
    if name == "cpu" or (name is None and not torch.cuda.is_available()):
        return torch.device("cpu")
    number, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= there:
        raise RunError(f"process {number + 1} on a machine with {there} GPUs; start one for each GPU, or --device cpu")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)
