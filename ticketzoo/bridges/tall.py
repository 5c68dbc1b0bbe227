"""TALL masks: for each task a string of bits over all weights of a base model."""

import numpy as np
import torch

from ticketzoo.bridges.brought import Brought, Options, Source
from ticketzoo.bridges.formats import FORMATS
from ticketzoo.errors import TicketError


def _strings(source: Source) -> bool:
    tensors = source.tensors
    return bool(tensors) and all(one.dtype is torch.uint8 and one.ndim == 1 for one in tensors.values())


@FORMATS.add(
    "tall",
    words="a string of bits for each task: TALL masks",
    claims=_strings,
    cite="Wang et al. 2024, arXiv 2405.07813",
    needs_base=True,
)
def read_strings(source: Source, options: Options) -> Brought:
    """Return the masks of one task: the first bit of a byte is its highest, parameters are sorted by name."""
    if options.base is None:
        raise TicketError(f"{source.where}: TALL masks state no shapes: give --base, the model they were made of")
    if options.task is None and len(source.tensors) > 1:
        raise TicketError(f"{source.where}: has masks of several tasks: give --task {'|'.join(source.tensors)}")
    task = options.task or next(iter(source.tensors))
    if task not in source.tensors:
        raise TicketError(f"{source.where}: has no mask of '{task}': choose {', '.join(source.tensors)}")
    mask = source.tensors[task]
    if mask.dtype is not torch.uint8 or mask.ndim != 1:
        raise TicketError(f"{source.where}: '{task}' is no string of bits, but {mask.dtype} of {mask.ndim} dimensions")
    floats = {name: one for name, one in sorted(options.base.items()) if one.is_floating_point()}
    total = sum(one.numel() for one in floats.values())
    content = mask.numpy()
    if len(content) != (total + 7) // 8:
        held = f"{len(content)} bytes, and the base's {total} weights need {(total + 7) // 8}"
        raise TicketError(f"{source.where}: the mask of '{task}' has {held}: the base is another")
    bits = torch.from_numpy(np.unpackbits(content, count=total).view(np.bool_))
    parts = bits.split([one.numel() for one in floats.values()])
    masks = {name: part.view(floats[name].shape).clone() for name, part in zip(floats, parts, strict=True)}
    return Brought(masks, masked="frozen")
