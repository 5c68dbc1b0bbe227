"""Masks drawn at random, each layer as dense as a given one."""

import torch

from ticketzoo.masks.masks import Masks


def random_masks(masks: Masks, seed: int) -> Masks:
    """Return masks that keep as many weights of each layer as `masks`, at positions drawn uniformly."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name, mask in masks.items():
        flat = torch.zeros(mask.numel(), dtype=torch.bool)
        flat[torch.randperm(mask.numel(), generator=generator)[: int(mask.sum())]] = True
        drawn[name] = flat.view(mask.shape)
    return drawn


def shuffled_masks(masks: Masks, seed: int) -> Masks:
    """Return the entries of each mask, permuted uniformly within its layer."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator)].view(mask.shape)
        for name, mask in masks.items()
    }
