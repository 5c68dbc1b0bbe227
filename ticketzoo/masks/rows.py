"""The weights of highest score of every output alone."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks


def keep_in_rows(
    scores: Mapping[str, Tensor],
    masks: Masks,
    counts: Mapping[str, int],
    *,
    inputs_first: Collection[str] = (),
    by_magnitude: bool = False,
    eligible: Mapping[str, Tensor] | None = None,
) -> Masks:
    """Return masks of the survivors of highest score of each output; of equal ones the later stay.

    Args:
        scores: floats by parameter name; [outputs, inputs, ...], or as `inputs_first` says.
        masks: bool, True = survivor, of the same shapes.
        counts: how many weights stay of all outputs of a parameter, the same number of each.
        inputs_first: names of the parameters that are [inputs, outputs].
        by_magnitude: whether absolute values count, as float32; otherwise scores are compared as float64.
        eligible: bool by parameter name; survivors that are not go before all others. All by default.

    Returns:
        bool masks, where the given ones are.

    Raises:
        RunError: the score of a survivor is NaN, or an output has fewer survivors than are to stay.
    """
    found: Masks = {}
    for name, mask in masks.items():
        turned = name in inputs_first
        values, here = _rows(scores[name].detach().to(mask.device), turned), _rows(mask, turned)
        if bool((values.isnan() & here).any()):
            raise RunError(f"the score of '{name}' is NaN where its mask keeps the weight")
        keep, over = divmod(counts[name], max(len(values), 1))
        if over:
            raise RunError(f"{counts[name]:,} weights of '{name}' are no whole number an output")
        if len(values) and keep > int(here.sum(1).min()):
            raise RunError(f"'{name}' has outputs of fewer than {keep:,} weights left: rank other groups together")
        order = (values.abs().float() if by_magnitude else values.double()).argsort(dim=1, stable=True)
        for first in [] if eligible is None else [_rows(eligible[name].to(mask.device), turned)]:
            order = _later(order, first)
        order = order if bool(here.all()) else _later(order, here)
        best = torch.zeros_like(here).scatter_(1, order[:, values.shape[1] - keep :], True)
        found[name] = (best.T.contiguous() if turned else best).view(mask.shape)
    return found


def _rows(tensor: Tensor, turned: bool) -> Tensor:
    return tensor.T if turned else tensor.flatten(1) if tensor.dim() > 1 else tensor[:, None]


def _later(order: Tensor, chosen: Tensor) -> Tensor:
    """Return the order of each row with those that are `chosen` after all others, otherwise as before."""
    return order.gather(1, chosen.gather(1, order).byte().argsort(dim=1, stable=True))
