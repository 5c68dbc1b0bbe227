"""A real architecture's ticket, small enough to push hundreds of times."""

from pathlib import Path
from typing import Any

import torch

from ticketzoo.models import architecture_of, create_model, prunable_parameters
from ticketzoo.ticket import Found, Ticket

ZOO = "alice/zoo"
KWARGS = {"num_classes": 3, "in_shape": [1, 4, 4], "width": 0.05}
ROWS = [
    {"ticket": "lenet.digits-imp", "level": 1, "sparsity": 0.5, "arm": arm, "target": "digits", "seed": seed, "draw": 0}
    | {"at": "final", "step": 10, "metric": "test_accuracy", "value": 0.9}
    for arm in ("dense", "ticket")
    for seed in (0, 1)
]


def found(seed: int) -> Found:
    """Levels 1 and 2 keep the largest half and quarter of each layer."""
    model = create_model("lenet-300-100", seed=seed, **KWARGS)
    levels: dict[int, dict[str, torch.Tensor]] = {1: {}, 2: {}}
    for name, weights in prunable_parameters(model).items():
        order = weights.detach().abs().flatten().argsort(descending=True)
        for level in levels:
            mask = torch.zeros(weights.numel(), dtype=torch.bool)
            mask[order[: weights.numel() // 2**level]] = True
            levels[level][name] = mask.view(weights.shape)
    return Found(seed, levels, model.state_dict())


def make_ticket(**changed: Any) -> Ticket:
    fields: dict[str, Any] = {
        "name": "lenet.digits-imp",
        "architecture": architecture_of("lenet-300-100", KWARGS),
        "task": "image-classification",
        "source": {"dataset": "digits"},
        "pruning": {"method": "imp", "scope": "global", "rate": 0.5},
        "replicates": [found(0), found(1)],
        "recipe_text": "name: lenet.digits-imp\n",
        "results": ROWS,
        "license": "apache-2.0",
    }
    return Ticket.create(**{**fields, **changed})


def save_ticket(folder: Path, **changed: Any) -> Path:
    return make_ticket(**changed).save_pretrained(folder)


def equal(a: Ticket, b: Ticket) -> bool:
    """Tell whether masks and rewind weights are the same, bit for bit."""
    pairs = ((a.masks, b.masks), (a.rewind_state, b.rewind_state))
    return all(x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x) for x, y in pairs)
