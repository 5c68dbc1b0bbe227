"""Masks of several levels and rewind weights as a ticket holds them: bits, and the values of survivors."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.masks.digests import digest_of_digests, packed_masks_sha256
from ticketzoo.masks.masks import Masks, check_masks
from ticketzoo.util.text import show_sparsity

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Shape of every masked parameter, by name."""

NEARLY_EMPTY = 0.001
"""Density of a parameter below which cards and commands name it."""


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
        """The number of prunable weights, kept or not."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def masks(self, level: int) -> Masks:
        """Return the masks of a packaged level, as fresh bool tensors."""
        return {
            name: torch.from_numpy(bit.unpack(bits, math.prod(self.shapes[name]))).view(self.shapes[name])
            for name, bits in self.levels[level].items()
        }

    def renamed(self, rename: Callable[[dict[str, Any]], dict[str, Any]]) -> "PackedLevels":
        """Return the same masks under other parameter names; `rename` gives a dict by old names under new ones."""
        return PackedLevels(rename(self.shapes), {level: rename(packed) for level, packed in self.levels.items()})

    def kept(self, level: int) -> dict[str, int]:
        """Return how many weights of each parameter a packaged level keeps."""
        return {name: bit.popcount(bits) for name, bits in self.levels[level].items()}

    def sha256(self) -> str:
        """Return the digest over the masks of all packaged levels."""
        digests = []
        for level, packed in self.levels.items():
            named = {name: (self.shapes[name], bits) for name, bits in packed.items()}
            digests.append((f"level-{level}", packed_masks_sha256(named)))
        return digest_of_digests(digests)


def pack_levels(levels: Iterable[tuple[int, Mapping[str, Tensor]]]) -> PackedLevels:
    """Pack bool masks, each level's as it comes, in ascending order.

    Raises:
        TicketError: there is none, or they are not nested or do not cover the same parameters.
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


def empty_layers(levels: PackedLevels, sparsities: Mapping[int, float]) -> list[str]:
    """Return a line for each parameter of which next to nothing is left, less than a weight in a thousand.

    Args:
        levels: the packed masks.
        sparsities: of the levels.
    """
    lines = []
    kept = {level: levels.kept(level) for level in levels}
    for name, shape in levels.shapes.items():
        size = math.prod(shape)
        few = [level for level in levels if 0 < kept[level][name] < NEARLY_EMPTY * size]
        none = [level for level in levels if kept[level][name] == 0]
        said = [f"{kept[level][name]:,} of {size:,} weights at level {level}" for level in few[:1]]
        said += [f"nothing from level {level} (sparsity {show_sparsity(sparsities[level])}) on" for level in none[:1]]
        if said:
            lines.append(f"{name} keeps {' and '.join(said)}")
    return lines
