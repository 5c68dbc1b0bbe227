"""The global random generators that a training step draws from: seeded anew for each, and restored in the end."""

from contextlib import AbstractContextManager

import torch


def restored_generators(device: torch.device) -> AbstractContextManager[None]:
    """Return a context after which the generators of the CPU and of `device` are as they were before."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def seed_generators(device: torch.device, seed: int) -> None:
    """Do what `torch.manual_seed` does, for the generators a step may use; it itself takes longer than many a step."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
