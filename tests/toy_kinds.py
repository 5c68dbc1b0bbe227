"""The toy ticket in every way that format 2 knows, small enough to work out by hand."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from toy_ticket import KEPT, Toy, mask, masks, rewind_state, toy_ticket

from ticketzoo.models import architecture_of, create_from_architecture, model_state, prunable_parameters
from ticketzoo.ticket import Found, Ticket, custom_architecture

LENET = architecture_of("lenet-300-100", {"num_classes": 2, "in_shape": [1, 2, 2], "width": 0.02})
MOVED = {1: ([0, 2, 3, 5, 6, 7, 8, 9], [0, 1]), 2: ([1, 3, 5, 6, 7, 8], [0, 1])}
"""Level 2 keeps weight 1 of fc1, which level 1 has pruned; fc2 is nested."""


def moved_masks(level: int) -> dict[str, Tensor]:
    fc1, fc2 = MOVED[level]
    return {"fc1.weight": mask((2, 5), fc1), "fc2.weight": mask((1, 2), fc2)}


def signed_state() -> dict[str, Tensor]:
    """fc1's weights are -0.5 where the index is even, else 0.5; fc2's are 2 and -2."""
    signs = torch.tensor([-1.0, 1.0]).repeat(5).view(2, 5)
    return rewind_state() | {"fc1.weight": signs / 2, "fc2.weight": torch.tensor([[2.0, -2.0]])}


def trained(level: int) -> dict[str, Tensor]:
    """All weights are the level and a half; of other tensors, the last bias alone was trained."""
    return {
        "fc1.weight": torch.full((2, 5), level + 0.5),
        "fc2.weight": torch.full((1, 2), level + 0.5),
        "fc2.bias": torch.tensor([-1.0]),
    }


def levels() -> dict[int, dict[str, Tensor]]:
    return {level: masks(level) for level in KEPT}


def filter_masks() -> dict[str, Tensor]:
    """fc1 keeps its second row, and fc2 the input that comes from it."""
    return {"fc1.weight": mask((2, 5), [5, 6, 7, 8, 9]), "fc2.weight": mask((1, 2), [1])}


def lenet_levels(density: float = 0.5) -> dict[int, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    parameters = prunable_parameters(create_from_architecture(LENET, seed=5))
    return {3: {name: torch.rand(one.shape, generator=generator) < density for name, one in parameters.items()}}


def from_seed(**changed: Any) -> Ticket:
    found = [Found(0, lenet_levels(), draw_seed=5), Found(1, lenet_levels(0.7), draw_seed=6)]
    return toy_ticket(architecture=LENET, replicates=found, rewind_kind="seed", **changed)


def of_lenet(**changed: Any) -> Ticket:
    state = model_state(create_from_architecture(LENET, seed=5))
    return toy_ticket(architecture=LENET, replicates=[Found(0, lenet_levels(), state)], **changed)


PARENT = {"name": "toy.parent", "mask_sha256": "a" * 64}
FILTERS = {"kind": "filters", "layers": {"fc1.weight": {"consumers": ["fc2.weight"], "area": 1}}}

KINDS: dict[str, Callable[[], Ticket]] = {
    "not nested": lambda: toy_ticket(replicates=[Found(0, {n: moved_masks(n) for n in MOVED}, rewind_state())]),
    "counts by seed": lambda: toy_ticket(
        replicates=[Found(7, {1: masks(1)}, rewind_state()), Found(3, {1: masks(2)}, rewind_state())]
    ),
    "frozen": lambda: toy_ticket(masked="frozen"),
    "signed": lambda: toy_ticket(
        rewind_kind="signed", replicates=[Found(seed, levels(), signed_state()) for seed in (7, 3)]
    ),
    "frozen and signed": lambda: toy_ticket(
        rewind_kind="signed", masked="frozen", replicates=[Found(7, levels(), signed_state())]
    ),
    "from a seed": from_seed,
    "levels of their own": lambda: toy_ticket(
        rewinding="learning-rate",
        replicates=[Found(7, levels(), rewind_levels={n: rewind_state() | trained(n) for n in KEPT})],
    ),
    "trained values": lambda: toy_ticket(
        replicates=[Found(7, levels(), rewind_state(), values={n: trained(n) for n in (2, 4)})]
    ),
    "a delta": lambda: toy_ticket(
        masked="frozen", use="as-is", replicates=[Found(7, levels(), rewind_state(), values={4: trained(4)})]
    ),
    "as it is": lambda: of_lenet(use="as-is"),
    "more of pruning": lambda: toy_ticket(
        pruning={"method": "snip", "scope": "global", "criterion": "snip", "schedule": "rate", "compared": "as is"}
    ),
    "filters": lambda: toy_ticket(
        pruning={"method": "imp", "scope": "global", "structure": FILTERS},
        replicates=[Found(7, {1: filter_masks()}, rewind_state())],
    ),
    "derived": lambda: toy_ticket(derived={"method": "align", "parents": [PARENT], "arguments": {"to_seed": 3}}),
    "further files": lambda: toy_ticket(files={"scores.txt": b"1 2 3"}),
    "the user's own network": lambda: toy_ticket(architecture=custom_architecture(Toy())),
}
