"""Masks: which weights of a network are kept, and what can be said about a set of them."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.ticket.bits import Bits, pack

Masks: TypeAlias = dict[str, Tensor]
"""Bool tensors, True = kept, each of its parameter's shape, by parameter name."""

_INTEGER_OF_WIDTH = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def kept(masks: Mapping[str, Tensor]) -> int:
    """How many weights the masks keep."""
    return sum(int(mask.count_nonzero()) for mask in masks.values())


def total(masks: Mapping[str, Tensor]) -> int:
    """How many prunable weights there are, kept or not."""
    return sum(mask.numel() for mask in masks.values())


def sparsity(masks: Mapping[str, Tensor]) -> float:
    """Fraction of the prunable weights removed, in [0, 1]."""
    return sparsity_of(kept(masks), total(masks))


def sparsity_of(kept: int, total: int) -> float:
    """Fraction removed when `kept` of `total` weights remain: `(total - kept) / total`, so that 8 of 10 give 0.2."""
    return (total - kept) / total


def is_subset(inner: Mapping[str, Tensor], outer: Mapping[str, Tensor]) -> bool:
    """Whether `outer` keeps every weight that `inner` keeps. Both name the same parameters."""
    return inner.keys() == outer.keys() and not any((mask & ~outer[name]).any() for name, mask in inner.items())


def check_masks(masks: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> None:
    """Raise TicketError unless every mask is a bool tensor of the shape of the parameter it names in `shapes`."""
    for name, mask in masks.items():
        if name not in shapes:
            raise TicketError(f"mask '{name}' has no parameter of that name in the model")
        if mask.dtype is not torch.bool:
            raise TicketError(f"mask '{name}' must be a bool tensor, True = kept, not {mask.dtype}")
        if tuple(mask.shape) != tuple(shapes[name]):
            fit = f"it has shape {tuple(mask.shape)}, its parameter {tuple(shapes[name])}"
            raise TicketError(f"mask '{name}' does not fit the model: {fit}")


def masks_sha256(masks: Mapping[str, Tensor]) -> str:
    """Digest of one level's masks: of names, shapes and bits, whatever the order or the layout of files."""
    packed = {name: (tuple(mask.shape), pack(mask.cpu().numpy())) for name, mask in masks.items()}
    return packed_masks_sha256(packed)


def packed_masks_sha256(packed: Mapping[str, tuple[Sequence[int], Bits]]) -> str:
    """`masks_sha256` of masks given as shape and packed bits."""
    digest = hashlib.sha256()
    for name, (shape, bits) in sorted(packed.items()):
        digest.update(_header(name, "mask", shape))
        digest.update(bits.data)
    return digest.hexdigest()


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Digest of a state dict: of the names, dtypes, shapes and little-endian bytes of its tensors, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(_header(name, str(tensor.dtype).removeprefix("torch."), tensor.shape))
        integers = tensor.detach().cpu().contiguous().view(_INTEGER_OF_WIDTH[tensor.element_size()]).reshape(-1).numpy()
        digest.update(integers.astype(integers.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()


def digest_of_digests(named: Iterable[tuple[str, str]]) -> str:
    """One digest over several, each under a name: the masks of all levels, or of all replicates."""
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in named).encode()).hexdigest()


def _header(name: str, kind: str, shape: Sequence[int]) -> bytes:
    return json.dumps([name, kind, list(shape), math.prod(shape)]).encode() + b"\n"
