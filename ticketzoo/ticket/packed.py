"""Masks of several levels and rewind weights as a ticket holds them: bits, and the values of survivors."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.ticket import bits as bit
from ticketzoo.ticket.bits import Bits
from ticketzoo.ticket.digests import digest_of_digests, packed_masks_sha256
from ticketzoo.ticket.masks import Masks, check_masks

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Shape of every masked parameter, by name."""

REWIND_DTYPES = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}


@dataclass(frozen=True, eq=False)
class PackedLevels(Mapping[int, Masks]):
    """The masks of one replicate by level, ascending: held as one bit per weight, given as fresh bool tensors."""

    shapes: Shapes
    levels: dict[int, dict[str, Bits]]

    def __getitem__(self, level: int) -> Masks:
        return self.masks(level)

    def __iter__(self) -> Iterator[int]:
        return iter(self.levels)

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def densest(self) -> int:
        """The first packaged level, the one that keeps most."""
        return next(iter(self.levels))

    @property
    def weights(self) -> int:
        """How many prunable weights there are, kept or not."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def masks(self, level: int) -> Masks:
        """The masks of a packaged level, as fresh bool tensors."""
        return {
            name: torch.from_numpy(bit.unpack(bits, math.prod(self.shapes[name]))).view(self.shapes[name])
            for name, bits in self.levels[level].items()
        }

    def renamed(self, rename: Callable[[dict[str, Any]], dict[str, Any]]) -> "PackedLevels":
        """The same masks under other parameter names; `rename` gives a dict by old names under new ones."""
        return PackedLevels(rename(self.shapes), {level: rename(packed) for level, packed in self.levels.items()})

    def kept(self, level: int) -> dict[str, int]:
        """How many weights of each parameter a packaged level keeps."""
        return {name: bit.popcount(bits) for name, bits in self.levels[level].items()}

    def sha256(self) -> str:
        """Digest over the masks of all packaged levels."""
        digests = []
        for level, packed in self.levels.items():
            named = {name: (self.shapes[name], bits) for name, bits in packed.items()}
            digests.append((f"level-{level}", packed_masks_sha256(named)))
        return digest_of_digests(digests)


def pack_levels(levels: Iterable[tuple[int, Mapping[str, Tensor]]]) -> PackedLevels:
    """Pack bool masks, each level's as it comes, in ascending order.

    Raises TicketError where there is none, or they are not nested or do not cover the same parameters.
    """
    shapes: Shapes = {}
    packed: dict[int, dict[str, Bits]] = {}
    outer: dict[str, Bits] = {}
    for level, masks in levels:
        shapes = shapes or {name: tuple(mask.shape) for name, mask in masks.items()}
        check_masks(masks, shapes)
        if missing := [name for name in shapes if name not in masks]:
            raise TicketError(f"level {level} has no mask for {', '.join(missing)}")
        packed[level] = {name: bit.pack(masks[name].cpu().numpy()) for name in shapes}
        for name in outer:
            if (packed[level][name] & ~outer[name]).any():
                raise TicketError(f"level {level} keeps weights of '{name}' that an earlier level has pruned")
        outer = packed[level]
    if not shapes:
        raise TicketError("there are no masks to package")
    return PackedLevels(shapes, packed)


def pack_rewind(state: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """Copies of the rewind weights: of parameters in `masks` the values they keep, in C order, of all others the whole.

    Raises TicketError for a masked parameter that is missing, of another shape or no float, for NaN and infinity, and
    for a dtype that a ticket cannot hold.
    """
    for name, mask in masks.items():
        if name not in state:
            raise TicketError(f"the rewind weights have no '{name}', which has a mask")
        if state[name].shape != mask.shape:
            shapes = f"{tuple(state[name].shape)}, its mask {tuple(mask.shape)}"
            raise TicketError(f"rewind weight '{name}' has shape {shapes}")
    packed = {}
    for name, tensor in state.items():
        values = tensor.detach().cpu()
        packed[name] = values[masks[name]] if name in masks else values.clone(memory_format=torch.contiguous_format)
    check_rewind(packed, masks, "the rewind weights")
    return packed


def unpack_rewind(packed: Mapping[str, Tensor], levels: PackedLevels, level: int) -> dict[str, Tensor]:
    """Fresh dense rewind weights; those pruned at `level` are 0.0."""
    state = {name: tensor.clone() for name, tensor in packed.items() if name not in levels.shapes}
    known = levels.masks(levels.densest)
    masks = levels.masks(level)
    for name, mask in known.items():
        dense = torch.zeros(mask.shape, dtype=packed[name].dtype)
        dense.masked_scatter_(mask, packed[name])
        state[name] = dense if level == levels.densest else dense.masked_fill_(~masks[name], 0)
    return {name: state[name] for name in packed}


def check_rewind(packed: Mapping[str, Tensor], prunable: Mapping[str, object], where: str) -> None:
    """Raise TicketError, naming `where` and the tensor, for a dtype a ticket cannot hold, NaN or infinity."""
    for name, tensor in packed.items():
        check_rewind_dtype(name, tensor.dtype, name in prunable, where)
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise TicketError(f"{where}: '{name}' holds NaN or infinity in {bad} of {tensor.numel()} values")


def check_rewind_dtype(name: str, dtype: torch.dtype, prunable: bool, where: str) -> None:
    """Raise TicketError for a dtype a ticket cannot hold, or for prunable weights that are no floats."""
    if dtype not in REWIND_DTYPES or (prunable and not dtype.is_floating_point):
        raise TicketError(f"{where}: '{name}' has dtype {dtype}, which a ticket cannot hold")
