"""Masks by name (open_lth, and files of masks alone), and checkpoints in which pruned weights are 0.0."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ticketzoo.bridges.brought import Brought, Options, Source
from ticketzoo.bridges.buffers import as_mask, inner
from ticketzoo.bridges.formats import FORMATS
from ticketzoo.errors import TicketError

EMBEDDING = re.compile(
    r"(^|\.)(embed\w*|\w*embeddings?|wte|wpe|shared|\w*pos_embed\w*|pos_embedding|(cls|class|dist|mask|reg)_token"
    r"|relative_position_bias_table|relative_attention_bias)(\.|$)"
)
"""Names of embeddings, of tokens and of positions, whose zeros (of padding, say) are no masks."""


def _by_name(source: Source) -> bool:
    tensors = inner(source)
    whole = all(one.dtype in (torch.bool, torch.int32, torch.uint8, torch.int64) for one in tensors.values())
    return whole and any(one.ndim > 1 for one in tensors.values())


@FORMATS.add(
    "masks",
    words="masks by the names of parameters: mask.pth of open_lth, and exports of masks",
    claims=_by_name,
    cite="Frankle et al. 2020, arXiv 1912.05671",
)
def read_by_name(source: Source, options: Options) -> Brought:
    """Return masks; the weights are those of a base model."""
    return Brought({name: as_mask(one, name, source.where) for name, one in inner(source).items()})


def masks_of_zeros(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the masks that zeros in weights are: of matrices and kernels that have some, and are not 0.0 altogether.

    Raises:
        TicketError: there are no zeros, or NaN.
    """
    masks = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or not tensor.is_floating_point() or EMBEDDING.search(name):
            continue
        if tensor.isnan().any():
            raise TicketError(f"{where}: '{name}' holds NaN: it is damaged, or its training diverged")
        mask = tensor != 0
        if not mask.all() and mask.any():
            masks[name] = mask
    if not masks:
        raise TicketError(f"{where}: no weight of it is 0.0: it is dense; name the pruned checkpoint")
    return masks


@FORMATS.add(
    "zeros",
    words="a checkpoint whose pruned weights are 0.0",
    claims=lambda source: any(one.is_floating_point() and one.ndim > 1 for one in inner(source).values()),
    is_general=True,
)
def read_zeros(source: Source, options: Options) -> Brought:
    """Return the masks that zeros are, and the weights."""
    tensors = inner(source)
    return Brought(masks_of_zeros(tensors, source.where), tensors)
