"""The masks of several levels as a ticket holds them, in memory as in its file: encoded."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.masks import bits as bit
from ticketzoo.masks.bits import Bits
from ticketzoo.masks.digests import digest_of_digests, packed_masks_sha256
from ticketzoo.masks.masks import Masks, check_masks
from ticketzoo.ticket.encoding import Encoded, encode

T = TypeVar("T")

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Shape of every masked parameter, by name."""

MaskBits: TypeAlias = dict[str, Bits]
"""The masks of one level, a bit per weight, by parameter name."""

FEW = 2**20
"""Masks of fewer weights are decoded before threads for them have started."""

REMEMBERED = 8
"""How many times the encoded masks' bytes the decoded ones, a bit per weight and level, may take to be remembered."""


@dataclass(frozen=True, eq=False)
class PackedLevels(Mapping[int, Masks]):
    """The masks of one replicate by level, ascending: held encoded, given as fresh bool tensors.

    `digests` are those of levels of which they are known: whoever made the masks here had them at hand.
    """

    shapes: Shapes
    encoded: dict[int, dict[str, Encoded]]
    digests: Mapping[int, str] = field(default_factory=dict)
    _decoded: dict[int, MaskBits] = field(default_factory=dict, init=False, repr=False)

    def __getitem__(self, level: int) -> Masks:
        return self.masks(level)

    def __iter__(self) -> Iterator[int]:
        return iter(self.encoded)

    def __len__(self) -> int:
        return len(self.encoded)

    def __contains__(self, level: object) -> bool:
        return level in self.encoded

    @property
    def densest(self) -> int:
        """The first packaged level; of nested masks, the one that keeps most."""
        return next(iter(self.encoded))

    @property
    def weights(self) -> int:
        """The number of prunable weights, kept or not."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def _bytes(self) -> int:
        return sum(len(one.content) for masks in self.encoded.values() for one in masks.values())

    @property
    def first_format(self) -> int:
        """The first format that knows all the encodings."""
        return max(one.encoding.first_format for masks in self.encoded.values() for one in masks.values())

    def nested(self, level: int) -> bool:
        """Tell whether a level keeps only weights that the packaged level before keeps; the first one does."""
        return level not in self._moved

    @cached_property
    def _moved(self) -> set[int]:
        """The levels that are not nested; of encodings that hold no others nothing is decoded."""
        free = {level: [name for name, one in masks.items() if not one.encoding.relative]
                for level, masks in self.encoded.items() if level != self.densest}  # fmt: skip
        found: set[int] = set()
        outer: MaskBits = {}
        for level, masks in self.walk() if any(free.values()) else ():
            if any((masks[name] & ~outer[name]).any() for name in free.get(level, ())):
                found.add(level)
            outer = masks
        return found

    def kept(self, level: int) -> dict[str, int]:
        """Return how many weights of each parameter a packaged level keeps."""
        return {name: one.kept() for name, one in self.encoded[level].items()}

    def bits(self, level: int) -> MaskBits:
        """Return the masks of a packaged level, a bit per weight."""
        if level in self._decoded:
            return dict(self._decoded[level])
        names = list(self.encoded[level])
        with _mapping(self.weights) as each:
            return dict(zip(names, each(partial(self._decode, level), names), strict=True))

    def _decode(self, level: int, name: str) -> Bits:
        """Decode the levels that a mask is relative to, from the first of them on, and the mask."""
        needed = []
        for before in reversed([one for one in self.encoded if one <= level]):
            needed.append(self.encoded[before][name])
            if not needed[-1].encoding.relative:
                break
        found = needed.pop().decode(None)
        while needed:
            found = needed.pop().decode(found)
        return found

    def masks(self, level: int) -> Masks:
        """Return the masks of a packaged level, as fresh bool tensors."""
        return unpack(self.bits(level), self.shapes)

    def walk(self) -> Iterator[tuple[int, MaskBits]]:
        """Yield each level and its masks, a bit per weight; faster than asking for one level after the other.

        Where they take little memory they are remembered: whoever checks masks and then takes them decodes them once.
        """
        remembers = self.weights // 8 * len(self) <= REMEMBERED * self._bytes
        outer: MaskBits = {}
        with _mapping(self.weights) as each:
            for level, encoded in self.encoded.items():
                if level not in self._decoded:
                    before = [outer.get(name) for name in encoded]
                    outer = dict(zip(encoded, each(Encoded.decode, encoded.values(), before), strict=True))
                    if remembers:
                        self._decoded[level] = outer
                else:
                    outer = self._decoded[level]
                yield level, dict(outer)

    def union(self) -> MaskBits:
        """Return the weights that any packaged level keeps, a bit per weight."""
        found = self.bits(self.densest)
        for masks in self.encoded.values():
            free = {name: one for name, one in masks.items() if not one.encoding.relative}
            found |= {name: found[name] | one.decode(None) for name, one in free.items()}
        return found

    def renamed(self, rename: Callable[[dict[str, Any]], dict[str, Any]]) -> "PackedLevels":
        """Return the same masks under other parameter names; `rename` gives a dict by old names under new ones."""
        return PackedLevels(rename(self.shapes), {level: rename(encoded) for level, encoded in self.encoded.items()})

    def encoded_as(self, asked: str) -> "PackedLevels":
        """Return the same masks, encoded as a writer does that is asked for `bits` or `range`."""
        encoded: dict[int, dict[str, Encoded]] = {}
        outer: MaskBits = {}
        for level, masks in self.walk():
            encoded[level] = _of_each(self.shapes, partial(_encode, masks, self.shapes, outer, asked))
            outer = masks
        return PackedLevels(self.shapes, encoded)

    def sha256(self) -> str:
        """Return the digest over the masks of all packaged levels."""
        known = self.digests
        if known.keys() != self.encoded.keys():
            known = {level: _digest(packed, self.shapes) for level, packed in self.walk()}
        return digest_of_digests((f"level-{level}", known[level]) for level in self.encoded)


def _digest(masks: MaskBits, shapes: Shapes) -> str:
    return packed_masks_sha256({name: (shapes[name], bits) for name, bits in masks.items()})


def unpack(bits: Mapping[str, Bits], shapes: Shapes) -> Masks:
    """Return fresh bool tensors of masks given a bit per weight."""
    return _of_each({name: shapes[name] for name in bits}, partial(_unpack, bits, shapes))


def _unpack(bits: Mapping[str, Bits], shapes: Shapes, name: str) -> Tensor:
    return torch.from_numpy(bit.unpack(bits[name], math.prod(shapes[name]))).view(shapes[name])


def everything(shapes: Shapes) -> MaskBits:
    """Return masks that keep all weights, a bit per weight."""
    return {name: bit.ones(math.prod(shape)) for name, shape in shapes.items()}


def pack_levels(levels: Iterable[tuple[int, Mapping[str, Tensor]]], asked: str = "") -> PackedLevels:
    """Pack bool masks, each level's as it comes, in ascending order. They need not be nested.

    Args:
        levels: the masks of each level.
        asked: the name of encodings to consider beside those that need not be asked for, such as `range`.

    Raises:
        TicketError: there is none, or they do not cover the same parameters.
    """
    shapes: Shapes = {}
    encoded: dict[int, dict[str, Encoded]] = {}
    digests: dict[int, str] = {}
    outer: MaskBits = {}
    for level, masks in levels:
        shapes = shapes or {name: tuple(mask.shape) for name, mask in masks.items()}
        check_masks(masks, shapes)
        if missing := [name for name in shapes if name not in masks]:
            raise TicketError(f"level {level} has no mask for {', '.join(missing)}")
        packed = _of_each(shapes, partial(_pack, masks))
        with _mapping(sum(map(math.prod, shapes.values()))) as each:
            made = each(partial(_encode, packed, shapes, outer, asked), shapes)
            digests[level] = _digest(packed, shapes)  # while threads, if there are any, encode
            encoded[level] = dict(zip(shapes, made, strict=True))
        outer = packed
    if not shapes:
        raise TicketError("there are no masks to package")
    return PackedLevels(shapes, encoded, digests)


def _encode(masks: MaskBits, shapes: Shapes, outer: MaskBits, asked: str, name: str) -> Encoded:
    """Return a mask of a level, encoded, given those of the level before."""
    return encode(masks[name], shapes[name], outer.get(name), asked)


def _pack(masks: Mapping[str, Tensor], name: str) -> Bits:
    return bit.pack(masks[name].cpu().numpy())


def _of_each(shapes: Shapes, make: Callable[[str], T]) -> dict[str, T]:
    """Return what `make` gives for each parameter."""
    with _mapping(sum(map(math.prod, shapes.values()))) as each:
        return dict(zip(shapes, each(make, shapes), strict=True))


@contextmanager
def _mapping(weights: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give `map`; of many weights in threads, of use since numpy lets go of the interpreter as it works."""
    if weights < FEW:
        yield map
        return
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield pool.map
