"""LeNet-300-100 trained by nothing but PyTorch, as fast as a plain loop can be: what finding is measured against."""

import torch
from measuring import Stopwatch
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.images.batches import Images, MemoryImages
from ticketzoo.data.images.splits import ImageSplits

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


class BareLoop:
    """Normalised float tensors in memory, a fused optimiser, evaluation on validation and test images every epoch."""

    def __init__(self, images: ImageSplits, batch_size: int, optimizer: str, lr: float) -> None:
        pixels = _pixels(images.train)
        self.mean, self.std = pixels.mean(), pixels.std()
        self.train = self._prepared(images.train)
        self.held_out = [self._prepared(split) for split in (images.validation, images.test)]
        self.size = len(images.train)
        self.batch_size, self.optimizer, self.lr = batch_size, OPTIMIZERS[optimizer], lr

    def epochs(self, count: int) -> float:
        """Seconds of so many epochs of training a fresh network."""
        inputs = self.train[0].shape[1]
        model = nn.Sequential(nn.Linear(inputs, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
        optimizer = self.optimizer(model.parameters(), lr=self.lr, fused=True)
        images, labels = self.train
        with Stopwatch() as watch:
            for _ in range(count):
                for batch in torch.randperm(self.size).split(self.batch_size):
                    loss = F.cross_entropy(model(images.index_select(0, batch)), labels.index_select(0, batch))
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                self._evaluate(model)
        return watch.seconds

    @torch.no_grad()
    def _evaluate(self, model: nn.Module) -> None:
        for images, labels in self.held_out:
            for batch, expected in zip(images.split(1000), labels.split(1000), strict=True):
                scores = model(batch)
                F.cross_entropy(scores, expected, reduction="sum").item()
                (scores.argmax(1) == expected).sum().item()

    def _prepared(self, images: Images) -> tuple[Tensor, Tensor]:
        return ((_pixels(images) - self.mean) / self.std).flatten(1), images.labels


def _pixels(images: Images) -> Tensor:
    if not isinstance(images, MemoryImages):
        raise SystemExit("these images are too many to be kept in memory")
    return images.pixels.float().div(255)
