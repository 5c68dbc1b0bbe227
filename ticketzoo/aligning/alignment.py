"""The table of alignments: ways to find the permutation of one network's units that brings it near another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ticketzoo.aligning.permutation import Permutations
from ticketzoo.errors import RunError
from ticketzoo.models.state import State
from ticketzoo.models.unit_groups import UnitGroups
from ticketzoo.tasks.task import Task
from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class Network:
    """The network of which two states are aligned, and the data that an alignment may look at.

    Attributes:
        architecture: as `ticketzoo.models.architecture_of` gives it.
        groups: its hidden units.
        task: its training batches are looked at.
        batch_size: examples in a batch.
        seed: of the order of those batches, and of what an alignment draws.
        device: where the network computes.
    """

    architecture: dict[str, Any]
    groups: UnitGroups
    task: Task
    batch_size: int
    seed: int
    device: torch.device


@dataclass(frozen=True)
class Alignment:
    """A row of `ALIGNMENTS`.

    Attributes:
        name: by which it is asked for.
        make: `make(network, target, moved)` gives the permutations after which `moved` is nearest to `target`.
        cite: where it comes from.
        words: what it compares.
    """

    name: str
    make: Callable[[Network, State, State], Permutations]
    cite: str
    words: str


ALIGNMENTS: Registry[Alignment] = Registry("alignment", Alignment, error=RunError)
