"""The weights of highest score: exact counts, ties by index, fast at any size."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks, total

_PIECE = 1 << 16
"""Weights looked at together: they and their temporaries fit a core's level-2 cache."""

Floats: TypeAlias = NDArray[Any]
"""float32 magnitudes, or float64 scores."""

_Values: TypeAlias = Callable[[Tensor], Floats]
"""Turns a piece of a tensor into what its weights are ranked by."""


def keep_largest(weights: Mapping[str, Tensor], masks: Masks, count: int) -> Masks:
    """Return masks of the `count` survivors of largest magnitude among all of them; of equal ones the later stay.

    Magnitudes are compared as float32 and on the CPU. The order of weights is that of `masks`, then C order.

    Args:
        weights: floats by parameter name.
        masks: bool, True = survivor, of the same shapes.
        count: how many to keep, from 0 to the number of survivors.

    Returns:
        bool masks, where the given ones are.

    Raises:
        RunError: a surviving weight is NaN, or there are fewer survivors than `count`.
    """
    return _keep_top(weights, masks, count, _magnitudes, "weight {} is NaN where its mask keeps it: the training "
                     "diverged, lower its lr")  # fmt: skip


def keep_highest(
    scores: Mapping[str, Tensor], masks: Masks, count: int, *, eligible: Mapping[str, Tensor] | None = None
) -> Masks:
    """Return masks of the `count` survivors of highest score among all of them; of equal ones the later stay.

    Scores are compared as float64, with their signs; infinities are allowed. Survivors that are not eligible go before
    all others, lowest score first.

    Args:
        scores: floats by parameter name.
        masks: bool, True = survivor, of the same shapes.
        count: how many to keep, from 0 to the number of survivors.
        eligible: bool by parameter name; all by default.

    Returns:
        bool masks, where the given ones are.

    Raises:
        RunError: the score of a survivor is NaN, or there are fewer survivors than `count`.
    """
    message = "the score of {} is NaN where its mask keeps the weight"
    if eligible is None:
        return _keep_top(scores, masks, count, _signed, message)
    first = {name: mask & eligible[name].to(mask.device) for name, mask in masks.items()}
    sure = _kept(first)
    if 0 <= count <= sure:
        return _keep_top(scores, first, count, _signed, message, checked=masks)
    others = {name: mask ^ first[name] for name, mask in masks.items()}
    _check_count(count, sure + _kept(others))
    filled = _keep_top(scores, others, count - sure, _signed, message, checked=masks)
    return {name: mask.logical_or_(first[name]) for name, mask in filled.items()}


def _magnitudes(piece: Tensor) -> Floats:
    magnitudes: Floats = piece.abs().float().numpy()
    return magnitudes


def _signed(piece: Tensor) -> Floats:
    scores: Floats = piece.double().numpy()
    return scores


def _keep_top(
    tensors: Mapping[str, Tensor],
    masks: Masks,
    count: int,
    values: _Values,
    nan: str,
    *,
    checked: Masks | None = None,
) -> Masks:
    """Keep the `count` survivors of highest value. None of `checked`, by default of the survivors, may be NaN.

    Nothing is sorted whole. A random sample brackets the value that divides what goes from what stays. One pass over
    the weights, in pieces that fit a processor's cache, drops the survivors below the bracket and collects the few
    inside it, of which exactly as many as are still missing go. A bracket that misses is opened on that side and the
    pass repeated, so chance decides how long this takes but never what is removed.
    """
    survivors = _kept(masks)
    _check_count(count, survivors)
    if not masks:
        return {}
    gone = survivors - count
    checked = masks if checked is None else checked
    low, high = _bracket(tensors, masks, gone / max(1, survivors), values)
    while True:
        splits = {
            name: _split(tensors[name], mask, checked[name], low, high, values, nan.format(f"'{name}'"))
            for name, mask in masks.items()
        }
        inside = np.concatenate([split.values for split in splits.values()])
        missing = gone - (survivors - sum(int(np.count_nonzero(split.keep)) for split in splits.values()))
        if missing < 0:
            low = -math.inf
        elif missing > len(inside):
            high = math.inf
        else:
            break
    ends = np.cumsum([len(split.positions) for split in splits.values()])
    for split, out in zip(splits.values(), np.split(_smallest(inside, missing), ends[:-1]), strict=True):
        split.keep[split.positions[out]] = False
    return {name: torch.from_numpy(splits[name].keep).view(mask.shape).to(mask.device) for name, mask in masks.items()}


class _Split(NamedTuple):
    """The survivors of one flattened parameter, divided by a bracket of values."""

    keep: NDArray[np.bool_]
    """True for the survivors inside the bracket or above it."""
    positions: NDArray[np.int64]
    """Where the survivors inside the bracket are, in order."""
    values: Floats
    """Their values."""


def _split(tensor: Tensor, mask: Tensor, checked: Tensor, low: float, high: float, values: _Values, nan: str) -> _Split:
    """Divide survivors by the bracket from `low` to `high`, ends included. Raises RunError if one checked is NaN."""
    flat, survives, no_nan = tensor.detach().cpu().reshape(-1), *(m.cpu().reshape(-1).numpy() for m in (mask, checked))
    keep = np.empty(len(survives), np.bool_)
    positions, inside_values = [np.empty(0, np.int64)], [values(flat[:0])]
    for start in range(0, len(keep), _PIECE):
        here = slice(start, start + _PIECE)
        value = values(flat[here])
        if np.isnan(value.max()) and np.isnan(value[no_nan[here]]).any():
            raise RunError(nan)
        keep[here] = survives[here] & (value >= low)
        inside = np.flatnonzero(keep[here] & (value <= high))
        positions.append(inside + start)
        inside_values.append(value[inside])
    return _Split(keep, np.concatenate(positions), np.concatenate(inside_values))


def _bracket(tensors: Mapping[str, Tensor], masks: Masks, fraction: float, values: _Values) -> tuple[float, float]:
    """Return values between which the `fraction`-quantile of the survivors lies, but for one time in a million.

    Of n weights n**(2/3) are sampled: then looking at the sample and ranking what it leaves open cost about the same.
    """
    share = max(1, total(masks)) ** (-1 / 3)
    generator = np.random.default_rng(0)
    drawn_values = []
    for name, mask in masks.items():
        drawn = generator.integers(max(1, mask.numel()), size=math.ceil(share * mask.numel()))
        here = torch.from_numpy(drawn)
        survives = mask.reshape(-1)[here.to(mask.device)].cpu().numpy()
        tensor = tensors[name].detach().reshape(-1)
        drawn_values.append(values(tensor[here.to(tensor.device)].cpu())[survives])
    sample = np.sort(np.concatenate(drawn_values))
    middle, spread = fraction * len(sample), math.sqrt(fraction * (1 - fraction) * len(sample))
    first, last = math.floor(middle - 5 * spread) - 1, math.ceil(middle + 5 * spread) + 1
    low = float(sample[first]) if 0 <= first < len(sample) else -math.inf
    high = float(sample[last]) if last < len(sample) else math.inf
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


def _smallest(values: Floats, count: int) -> NDArray[np.bool_]:
    """Say which are the `count` smallest; among equal ones the earlier are."""
    if count == 0:
        return np.zeros(len(values), np.bool_)
    largest = np.partition(values, count - 1)[count - 1]
    smallest: NDArray[np.bool_] = values < largest
    ties = np.flatnonzero(values == largest)
    smallest[ties[: count - np.count_nonzero(smallest)]] = True
    return smallest


def _kept(masks: Masks) -> int:
    """Return how many weights masks keep; numpy counts bools five times as fast as torch."""
    return sum(int(np.count_nonzero(mask.cpu().numpy())) for mask in masks.values())


def _check_count(count: int, survivors: int) -> None:
    if not 0 <= count <= survivors:
        raise RunError(f"cannot keep {count:,} of {survivors:,} surviving weights; keep fewer")
