"""Tasks on made data, small enough to follow by hand."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.models.signature import Classes, Image, Signature, Tokens, Vocabulary
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.metrics import ACCURACY

CPU = torch.device("cpu")


class Stopped(Exception):
    """Stands for a crash in the middle of a training."""


class MadeImages:
    """Tells 24 random images of 1x2x2 apart, in batches of any size; training adds random noise to them."""

    name = "made"
    metric = ACCURACY
    has_validation = True

    def __init__(self, *, noise: float = 0.1) -> None:
        generator = torch.Generator().manual_seed(5)
        self.images = torch.randn(24, 1, 2, 2, generator=generator)
        self.labels = (self.images.sum((1, 2, 3)) > 0).long()
        self.noise = noise
        self.identity: dict[str, Any] = {"noise": noise}
        self.signature = Signature(Image(1, 2, 2), Classes(2))
        self.examples = {"train": 16, "validation": 4, "test": 4}
        self.seen: list[list[int]] = []
        self.noises: list[float] = []
        self.stop_after: int | None = None

    def steps_per_epoch(self, batch_size: int) -> int:
        return -(-16 // batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[list[int]]:
        for step in range(start, stop):
            epoch, position = divmod(step, self.steps_per_epoch(batch_size))
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
            yield torch.randperm(16, generator=generator).split(batch_size)[position].tolist()

    def loss(self, model: nn.Module, batch: list[int]) -> Tensor:
        if self.stop_after is not None and len(self.seen) >= self.stop_after:
            raise Stopped
        noise = torch.randn(len(batch), 1, 2, 2)
        if model.training:  # a batch that the number of threads is chosen by is none of the training's
            self.seen.append(batch)
            self.noises.append(noise.sum().item())
        return nn.functional.cross_entropy(model(self.images[batch] + self.noise * noise), self.labels[batch])

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        images, labels = {"validation": slice(16, 20), "test": slice(20, 24)}[split], self.labels
        scores = model(self.images[images])
        loss = nn.functional.cross_entropy(scores, labels[images])
        return {"loss": loss.item(), "accuracy": (scores.argmax(1) == labels[images]).double().mean().item()}


class OneWeight:
    """A model of one weight w and the loss that `loss_of` makes of it; what validation and test say of w is given."""

    name = "one-weight"
    metric = ACCURACY

    def __init__(
        self,
        loss_of: Callable[[Tensor], Tensor],
        *,
        validation: Callable[[float], float] | None = None,
        test: Callable[[float], float] = lambda weight: weight,
    ) -> None:
        self.identity: dict[str, Any] = {}
        self.signature = Signature(Tokens(), Vocabulary())
        self.loss_of = loss_of
        self.has_validation = validation is not None
        self.splits = {"validation": validation, "test": test}
        self.looked_at: list[tuple[str, float]] = []

    def steps_per_epoch(self, batch_size: int) -> int:
        return 4

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[int]:
        return iter(range(start, stop))

    def loss(self, model: nn.Module, batch: int) -> Tensor:
        return self.loss_of(model.weight.sum())

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        weight = model.weight.sum().item()
        self.looked_at.append((split, weight))
        value = self.splits[split]
        assert value is not None
        return {"loss": value(weight), "accuracy": 0.0}


def one_weight(value: float) -> nn.Module:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(value)
    return model
