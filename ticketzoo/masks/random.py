"""Masks and values drawn at random: each layer as dense as a given one, or its values in another order."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ticketzoo.masks.masks import Masks


def random_masks(masks: Masks, seed: int) -> Masks:
    """Return masks that keep as many weights of each layer as `masks`, at positions drawn uniformly."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name, mask in masks.items():
        flat = torch.zeros(mask.numel(), dtype=torch.bool, device="cpu")
        flat[torch.randperm(mask.numel(), generator=generator, device="cpu")[: int(mask.sum())]] = True
        drawn[name] = flat.view(mask.shape)
    return drawn


def shuffled_masks(masks: Masks, seed: int) -> Masks:
    """Return the entries of each mask, permuted uniformly within its layer."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator, device="cpu")].view(mask.shape)
        for name, mask in masks.items()
    }


def permuted(values: Mapping[str, Tensor], masks: Masks, seed: int) -> dict[str, Tensor]:
    """Return the masked tensors of `values`, in each the entries that its mask keeps in a random order."""
    generator = torch.Generator().manual_seed(seed)
    moved = {}
    for name, mask in masks.items():
        moved[name] = values[name].clone()
        order = torch.randperm(int(mask.sum()), generator=generator, device="cpu")
        moved[name][mask] = values[name][mask][order]
    return moved


def rescaled(fresh: Tensor, like: Tensor, mask: Tensor) -> Tensor:
    """Return `fresh` times the number that gives its kept entries the root mean square of those of `like`."""
    if not mask.any():
        return fresh
    have, want = (float(values[mask].double().square().mean().sqrt()) for values in (fresh, like))
    return fresh * (want / have) if have > 0 else fresh
