"""Masks of all levels before anything is trained, for methods whose masks do not follow from trainings of levels."""

from collections.abc import Iterator

import torch

from ticketzoo.finding.method import Lab, Start, Trained
from ticketzoo.masks.bits import Bits, pack, unpack
from ticketzoo.masks.masks import Masks


def masks_ahead(lab: Lab, at: Trained | Start, *, anew: bool = False) -> Iterator[Masks]:
    """Return the masks of levels 1, 2, ...: all are made now, and kept as bits until they are asked for.

    Args:
        lab: prunes.
        at: the weights that are scored.
        anew: whether each level is pruned from the dense network, not from the level before.

    Raises:
        RunError: a level cannot be pruned, or keeps no weight of a layer.
    """
    masks, levels = lab.dense, list[dict[str, Bits]]()
    for level in range(1, lab.levels + 1):
        masks = lab.prune(at, lab.dense if anew else masks, to=level)
        lab.refuse_dead(masks, to=level)
        levels.append({name: pack(mask.cpu().numpy()) for name, mask in masks.items()})
    return (_unpacked(bits, lab.dense) for bits in levels)


def _unpacked(bits: dict[str, Bits], like: Masks) -> Masks:
    return {name: torch.from_numpy(unpack(bits[name], mask.numel())).view_as(mask) for name, mask in like.items()}
