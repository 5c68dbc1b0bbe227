"""Addition of residues: a task small enough to be learned by heart, and simple enough to be understood later.

Power et al. 2022 (arXiv 2201.02177) call it grokking where a network that fits all training examples generalises long
after.
"""

import hashlib
import math
from collections.abc import Iterator
from operator import itemgetter
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.order import on_device, training_order
from ticketzoo.distributed.processes import share_of, summed
from ticketzoo.errors import DataError
from ticketzoo.models.signature import Classes, Signature, Symbols
from ticketzoo.recipe import DataName, Seed
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.metrics import ACCURACY
from ticketzoo.tasks.table import TASKS, TaskSection
from ticketzoo.tasks.task import StaticBatch


class ModularAdditionConfig(TaskSection):
    """The `task:` section of a recipe for addition modulo a number: (a + b) mod p, of the pairs with a <= b.

    As each pair stands once, (b, a) is never tested where (a, b) is trained on.

    Attributes:
        modulus: the number p: how many symbols and classes there are.
        train_fraction: share of the pairs that is trained on, rounded down; the others are the test split.
        split_seed: seed of which pairs these are, the same for every training.
        name: name of the data in results and file names; by default `addition-mod-` and the modulus.
    """

    type: Literal["modular-addition"]
    modulus: Annotated[int, Field(ge=2, le=1000)] = 67
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.4
    split_seed: Seed = 0
    name: DataName | None = None


@TASKS.add("modular-addition", config=ModularAdditionConfig, words="addition modulo a number")
class ModularAddition:
    """The `Task` (see `ticketzoo.tasks.task`) of adding two residues, told as two symbols.

    A batch is int64 [b, 3]: the two symbols and their sum.
    """

    metric, has_validation = ACCURACY, False
    measures_course: ClassVar[bool] = True
    train_labels: Tensor

    def __init__(self, config: ModularAdditionConfig) -> None:
        """Make the pairs and split them. Raises DataError where a split is left without any."""
        pairs = torch.combinations(torch.arange(config.modulus), with_replacement=True)
        rows = torch.cat([pairs, pairs.sum(1, keepdim=True) % config.modulus], 1)
        trained = math.floor(config.train_fraction * len(rows))
        if not trained:
            most = f"{config.train_fraction} of {len(rows)} pairs"
            raise DataError(f"task.train_fraction: {most} leave none to train on: raise it")
        generator = torch.Generator().manual_seed(derive_seed(config.split_seed, "split"))
        order = torch.randperm(len(rows), generator=generator)
        self._rows = {"train": rows[order[:trained].sort().values], "test": rows[order[trained:].sort().values]}
        self.train_labels = self._rows["train"][:, 2]
        self.name = config.name or f"addition-mod-{config.modulus}"
        self.examples = {"train": trained, "validation": 0, "test": len(rows) - trained}
        self.signature = Signature(Symbols(config.modulus, 2), Classes(config.modulus))
        content = b"".join(rows.numpy().astype("<i8").tobytes() for rows in self._rows.values())
        data = hashlib.sha256(content).hexdigest()
        self.identity = {"type": config.type, "fingerprint": data, "modulus": config.modulus}
        self.source = {"dataset": self.name, "revision": None, "fingerprint": data}

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training pairs."""
        return math.ceil(self.examples["train"] / batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Tensor]:
        """Yield the batches of iterations `start` to `stop - 1`; where all pairs fit into one, always these."""
        rows = on_device(self._rows["train"], device)
        if batch_size >= len(rows):
            whole = share_of(len(rows)).of(rows)
            yield from (whole for _ in range(start, stop))
            return
        for indices in training_order(len(rows), batch_size, seed, start, stop):
            yield rows[indices.to(device)]

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        """Return the mean cross-entropy, in nats."""
        return F.cross_entropy(model(batch[:, :2]), batch[:, 2])

    def static(self, batch: Tensor) -> StaticBatch:
        """Return a batch as tensors."""
        return StaticBatch((batch,), itemgetter(0))

    def size(self, batch: Tensor) -> int:
        """Return the number of pairs in a batch."""
        return len(batch)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return the mean cross-entropy (`loss`) and the fraction of sums that are right (`accuracy`)."""
        rows = on_device(self._rows[split], device)
        mine = share_of(len(rows)).of(rows)
        scores = model(mine[:, :2])
        loss = F.cross_entropy(scores, mine[:, 2], reduction="sum").item()
        right = (scores.argmax(1) == mine[:, 2]).sum().item()
        loss, right = summed(loss, right)
        return {"loss": loss / len(rows), "accuracy": right / len(rows)}

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return the share of each sum in a split, the accuracy of saying it throughout."""
        labels = self._rows[split][:, 2]
        return {"accuracy": (labels.bincount().double() / len(labels)).tolist()}
