"""Self-supervised pre-training by SimCLR (Chen et al. 2020, arXiv 2002.05709): two views of an image are to be alike.

Its tickets are those of Chen et al. 2021 (arXiv 2012.06908).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from ticketzoo.data.images.augment import Normalization
from ticketzoo.data.images.batches import Batch, Images, batches
from ticketzoo.data.images.splits import ImageDataset, load_images
from ticketzoo.data.images.views import ViewsConfig
from ticketzoo.data.splits import balanced_subset, evenly_spread
from ticketzoo.distributed.processes import from_first, mine, share_of, shared_out, summed
from ticketzoo.errors import DataError, RecipeError
from ticketzoo.models.signature import Image, Projections, Signature
from ticketzoo.recipe import DataName
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.linear_probe import features_of, linear_accuracy, untrained
from ticketzoo.tasks.metrics import LINEAR_ACCURACY, guessed_classes
from ticketzoo.tasks.simclr import nt_xent, retrieved
from ticketzoo.tasks.table import TASKS, TaskSection
from ticketzoo.tasks.task import StaticBatch

PAIRS = 256
"""Images in a batch of evaluation, two views of each: retrieval is harder in a larger one."""
EVALUATED = 10 * PAIRS
"""Images of a split whose views are looked at in evaluation, evenly spread over it, at most."""
AT_ONCE = 250
"""Images that features are made of at a time."""
UNTRAINED = 5
"""Untrained networks, the best of which is the floor of a verdict: of a narrow one, draws differ much."""

Units = Annotated[int, Field(ge=1, le=65_536)]


class SelfSupervisedConfig(TaskSection):
    """The `task:` section of a recipe for self-supervised training. Labels of images are for evaluation alone.

    Attributes:
        dataset: images to train and test on, with their labels.
        name: name of the data in results and file names; by default made of the data set's name and `-simclr`.
        objective: loss to train with: `simclr` has the two views of an image be nearer to each other than to those of
            all other images of the batch.
        views: number of views of each image: 2.
        temperature: number that similarities are divided by in the loss.
        augment: random changes that make views of images.
        projection: units of the two layers of the projection head, which takes the place of the network's last layer,
            is not pruned, and stays behind when a ticket moves on.
        normalize: how pixels become float32, as of image classification.
        labelled: training images whose labels the linear classifier sees by which networks are compared, as many of
            each class; all where there are fewer.
    """

    type: Literal["self-supervised"]
    dataset: ImageDataset
    name: DataName | None = None
    objective: Literal["simclr"] = "simclr"
    views: Literal[2] = 2
    temperature: PositiveFloat = 0.5
    augment: ViewsConfig = ViewsConfig()
    projection: tuple[Units, Units] = (512, 128)
    normalize: Normalization = Normalization("dataset")
    labelled: Annotated[int, Field(ge=2)] = 10_000

    @model_validator(mode="after")
    def _every_image_is_read(self) -> "SelfSupervisedConfig":
        if self.dataset.on_error == "skip":
            raise ValueError("dataset.on_error: skip goes with image classification: take the images out that it names")
        return self


@TASKS.add("self-supervised", config=SelfSupervisedConfig, words="self-supervised training (SimCLR)")
class SelfSupervised:
    """The `Task` (see `ticketzoo.tasks.task`) of telling views of one image from those of others.

    Both views of all images go through the network in one pass, so that BatchNorm sees them together.
    """

    metric = LINEAR_ACCURACY

    def __init__(self, config: SelfSupervisedConfig) -> None:
        """Load the data.

        Raises:
            DataError: it is missing or is not a labelled image data set, or views are to be larger than the images.
        """
        data = load_images(config.dataset)
        height, width = data.in_shape[1:]
        if (size := config.augment.size) is not None and size > min(height, width):
            what = f"views of {size}x{size} pixels are larger than the images of {config.dataset.path}"
            raise DataError(f"task.augment.size: {what}, {height}x{width}: {min(height, width)} is the most")
        self.name = config.name or f"{config.dataset.short_name}-simclr"
        self.signature = Signature(Image(*data.in_shape), Projections(config.projection[1], config.projection[0]))
        self.has_validation = len(data.validation) > 0
        self.examples = {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)}
        self.identity = {
            **config.model_dump(mode="json", exclude={"dataset", "name"}),
            "fingerprint": data.fingerprint,
        }
        self.source = {
            "dataset": config.dataset.id,
            "revision": config.dataset.revision,
            "fingerprint": data.fingerprint,
            **({"laid_out": data.laid_out} if data.laid_out else {}),
        }
        self._config, self._data = config, data
        self._normalize = config.normalize.build(data.train)
        chosen = balanced_subset(data.train.labels, config.labelled, config.dataset.split_seed)
        self._labelled = chosen.nonzero()[:, 0]
        self._floors: dict[str, float] = {}

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training images, the last smaller batch included."""
        return math.ceil(len(self._data.train) / batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Batch]:
        """Yield the batches of iterations `start` to `stop - 1`: two views of each image, float32 [2, b, C, H, W].

        They follow from the images, `seed` and the iteration alone.
        """
        train, per_epoch = self._data.train, self.steps_per_epoch(batch_size)
        order = batches(train, batch_size=batch_size, seed=seed, start=start, stop=stop, device=device)
        for step, images, labels in order:
            share = share_of(min(batch_size, len(train) - step % per_epoch * batch_size))
            made = self._views(images, share.total, share.start, derive_seed(seed, "views", step))
            yield Batch(made, labels, share)

    def static(self, batch: Batch) -> StaticBatch:
        """Return a batch as tensors."""

        def again(tensors: Sequence[Tensor]) -> Batch:
            return batch._replace(images=tensors[0], labels=tensors[1])

        return StaticBatch((batch.images, batch.labels), again)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, in nats, of telling the other view of each view's image from all others.

        Raises:
            DataError: the model cannot take views of that size.
            RecipeError: there is one image in the batch, with no other to tell it from.
        """
        if batch.share.total < 2:
            few = "has only 1, with no other to tell its views from"
            what = f"a batch of the {self.examples['train']:,} training images {few}"
            raise RecipeError(f"training.batch_size: {what}; choose another size, or task.dataset.examples")
        try:
            projections = model(batch.images.flatten(0, 1))
        except (RuntimeError, AssertionError, ValueError) as error:
            if self._config.augment.size is None or isinstance(error, torch.OutOfMemoryError):
                raise
            sides = f"{self._config.augment.size} pixels, only of {self.signature.input.width}"  # type: ignore[attr-defined]
            raise DataError(f"task.augment.size: the model takes no images of {sides}: leave it out") from error
        return nt_xent(projections.view(2, -1, projections.shape[1]), self._config.temperature, batch.share)

    def size(self, batch: Batch) -> int:
        """Return the number of images in a batch."""
        return len(batch.labels)

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return `loss` and `retrieval_accuracy`; on "test" `linear_accuracy` and `untrained_linear_accuracy`, too.

        The first two are of views of at most 2,560 images of the split, in batches of 256, the same each time.
        Retrieved is a view whose features have those of the other view of its image nearest to them; of k that are
        equally near, it counts 1/k. The linear classifier learns features of labelled training images and is tested on
        the whole split. What it makes of the features of an untrained network, the best of five, is the last number
        and the floor of a verdict.
        """
        scores = self._of_views(model, getattr(self._data, split), device)
        if split != "test":
            return scores
        scores["linear_accuracy"] = self._probed(model, device)
        layers = str([(name, tuple(one.shape)) for name, one in model.state_dict().items()])
        if layers not in self._floors:
            self._floors[layers] = max(self._of_untrained(model, device, draw) for draw in range(UNTRAINED))
        return {**scores, "untrained_linear_accuracy": self._floors[layers]}

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return the share of each class in a held-out split, the accuracy of guessing it throughout."""
        labels = getattr(self._data, split).labels
        return {"linear_accuracy": guessed_classes(labels, self._data.num_classes)["accuracy"]}

    def _views(self, images: Tensor, total: int, start: int, seed: int) -> Tensor:
        """Return two views of each image, normalised: float32 [2, b, C, H, W]."""
        views = (self._config.augment.of(images, total, start, derive_seed(seed, number)) for number in range(2))
        return torch.stack([self._normalize.of_pixels(view) for view in views])

    def _of_views(self, model: nn.Module, images: Images, device: torch.device) -> dict[str, float]:
        parts = evenly_spread(len(images), EVALUATED).split(PAIRS)
        whole = [part for part in parts if len(part) == len(parts[0])]
        losses, found, count = 0.0, 0.0, 0
        with features_of(model) as features:
            for number, part in mine(enumerate(whole)):
                pixels, _ = images.batch(part, device)
                views = self._views(pixels, len(part), 0, derive_seed(0, "evaluation", number))
                seen, made = features(views.flatten(0, 1))
                losses += nt_xent(made.view(2, len(part), -1), self._config.temperature).item() * len(part)
                found += retrieved(seen.view(2, len(part), -1)) / 2
                count += len(part)
        losses, found, total = summed(losses, found, count)
        return {"loss": losses / total, "retrieval_accuracy": found / total}

    def _probed(self, model: nn.Module, device: torch.device) -> float:
        """Return the accuracy on the test split of a linear classifier on features."""
        train, test = self._data.train, self._data.test
        known = self._features(model, train, self._labelled, device)
        held_out = self._features(model, test, torch.arange(len(test)), device)
        return from_first(lambda: linear_accuracy(known, train.labels[self._labelled], held_out, test.labels))

    def _of_untrained(self, model: nn.Module, device: torch.device, draw: int) -> float:
        with untrained(model, draw) as is_untrained:
            return self._probed(model, device) if is_untrained else 0.0

    def _features(self, model: nn.Module, images: Images, rows: Tensor, device: torch.device) -> Tensor:
        with features_of(model) as features:

            def made(part: Tensor) -> Tensor:
                pixels, _ = images.batch(part, device)
                return features(self._normalize.of_pixels(pixels.float() / 255))[0].float().cpu()

            return torch.cat([of_part for _, of_part in shared_out(made, rows.split(AT_ONCE))])
