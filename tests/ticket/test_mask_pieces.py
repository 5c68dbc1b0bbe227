"""masks.safetensors is written a tensor at a time, and is what safetensors writes whole."""

import json

import safetensors.numpy
import torch

from ticketzoo.ticket.levels import pack_levels
from ticketzoo.ticket.masks_file import mask_pieces, masks_to_bytes


def test_the_pieces_are_the_file_that_safetensors_writes() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"layers.10.weight": (7, 9), "layers.9.weight": (64,), 'a"b\\é': (3, 1, 2), "empty.weight": (1,)}
    first = {name: torch.rand(shape, generator=generator) < 0.7 for name, shape in shapes.items()}
    second = {name: mask & (torch.rand(mask.shape, generator=generator) < 0.7) for name, mask in first.items()}
    packed = pack_levels([(1, first), (12, second)])
    contents = {f"level-{level}/{name}": one for level, each in packed.encoded.items() for name, one in each.items()}
    stated = {"encoding": json.dumps({key: one.encoding.name for key, one in contents.items()}, separators=(",", ":"))}
    whole = safetensors.numpy.save({key: one.content for key, one in contents.items()}, metadata=stated)
    assert masks_to_bytes(packed) == whole
    assert len(list(mask_pieces(packed))) == 1 + len(contents)
