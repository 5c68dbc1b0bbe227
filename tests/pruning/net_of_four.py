"""A network 2-2-2 without biases and two examples, whose numbers are worked by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.masks.attach import attach
from ticketzoo.masks.masks import Masks
from ticketzoo.models.signature import Classes, Observation, Signature
from ticketzoo.models.state import State
from ticketzoo.pruning.task_probe import TaskProbe

WEIGHTS = {"0.weight": torch.tensor([[1.0, -2], [0.5, 1]]), "2.weight": torch.tensor([[1.0, -1], [2, 0.5]])}


@dataclass(frozen=True)
class TwoExamples:
    """(1, 2) of class 0 and (3, 1) of class 1, all in each batch."""

    name: str = "hand"
    identity: Any = "hand"
    signature: Signature = field(default=Signature(Observation((2,)), Classes(2)))

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Any]:
        yield from [(torch.tensor([[1.0, 2], [3, 1]]), torch.tensor([0, 1]))] * (stop - start)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    def size(self, batch: tuple[Tensor, Tensor]) -> int:
        return len(batch[1])


@dataclass(frozen=True)
class HandMade(TaskProbe):
    def model(self) -> nn.Module:
        model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
        model.load_state_dict(dict(self.weights))
        attach(model, self.masks)
        return model.to(self.device).eval()


def at_once(kind: str, specification: Mapping[str, Any], compute: Any) -> State:
    return dict(compute())


def ones(weights: Mapping[str, Tensor] = WEIGHTS) -> Masks:
    return {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}


def by_hand(masks: Masks | None = None) -> TaskProbe:
    """The probe of the network of four and four weights."""
    task: Any = TwoExamples()
    start: Any = None
    return HandMade({}, task, WEIGHTS, start, masks or ones(), 0, torch.device("cpu"), at_once)


def close(found: Mapping[str, Tensor], first: Any, second: Any, *, atol: float) -> None:
    """Hold the two tensors against numbers written down."""
    for name, values in {"0.weight": first, "2.weight": second}.items():
        torch.testing.assert_close(found[name].double(), torch.tensor(values).double(), atol=atol, rtol=0)
