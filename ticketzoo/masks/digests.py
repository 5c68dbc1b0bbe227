"""Digests of masks and weights that depend on their content alone: not on file layout, order, device or machine."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ticketzoo.masks.bits import Bits, pack

_INTEGER_OF_WIDTH = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def masks_sha256(masks: Mapping[str, Tensor]) -> str:
    """Return the digest of one level's masks: of names, shapes and bits, whatever the order or the layout of files."""
    packed = {name: (tuple(mask.shape), pack(mask.cpu().numpy())) for name, mask in masks.items()}
    return packed_masks_sha256(packed)


def packed_masks_sha256(packed: Mapping[str, tuple[Sequence[int], Bits]]) -> str:
    """Return `masks_sha256` of masks given as shape and packed bits."""
    digest = hashlib.sha256()
    for name, (shape, bits) in sorted(packed.items()):
        digest.update(_header(name, "mask", shape))
        digest.update(bits.data)
    return digest.hexdigest()


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the digest of a state dict: of names, dtypes, shapes and little-endian bytes of its tensors, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(_header(name, str(tensor.dtype).removeprefix("torch."), tensor.shape))
        integers = tensor.detach().cpu().contiguous().view(_INTEGER_OF_WIDTH[tensor.element_size()]).reshape(-1).numpy()
        digest.update(integers.astype(integers.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()


def digest_of_digests(named: Iterable[tuple[str, str]]) -> str:
    """Return one digest over several, each under a name: the masks of all levels, or of all replicates."""
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in named).encode()).hexdigest()


def _header(name: str, kind: str, shape: Sequence[int]) -> bytes:
    return json.dumps([name, kind, list(shape)]).encode() + b"\n"
