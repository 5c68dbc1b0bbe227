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


def permuted_across(values: Mapping[str, Tensor], masks: Masks, seed: int) -> dict[str, Tensor]:
    """Return the masked tensors of `values`, the entries that masks keep in a random order over all of them."""
    kept = torch.cat([values[name][mask] for name, mask in masks.items()])
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(seed), device="cpu")
    parts = kept[order].split([int(mask.sum()) for mask in masks.values()])
    return {
        name: values[name].masked_scatter(mask, part) for (name, mask), part in zip(masks.items(), parts, strict=True)
    }


def permuted_in_rows(values: Mapping[str, Tensor], masks: Masks, seed: int) -> dict[str, Tensor]:
    """Return the masked tensors of `values`, the kept entries of each row in a random order; a filter is a row."""
    generator = torch.Generator().manual_seed(seed)
    moved = {}
    for name, mask in masks.items():
        rows = torch.arange(len(mask), device="cpu").view(-1, *[1] * (mask.dim() - 1)).expand_as(mask)[mask]
        mixed = torch.randperm(len(rows), generator=generator, device="cpu")
        order = mixed[rows[mixed].argsort(stable=True)]  # by row again, in each in the order of `mixed`
        moved[name] = values[name].masked_scatter(mask, values[name][mask][order])
    return moved
