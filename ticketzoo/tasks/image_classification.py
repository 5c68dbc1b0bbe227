"""Image classification: cross-entropy and accuracy on images in memory or streamed through workers."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.images.augment import Augmentation, DrawnApart, Normalization, normalized
from ticketzoo.data.images.batches import Batch, Images, MemoryImages
from ticketzoo.data.images.splits import ImageDataset, batches, in_turn, load_images
from ticketzoo.data.labels import named
from ticketzoo.data.splits import balanced_batches
from ticketzoo.distributed.processes import share_of, summed
from ticketzoo.errors import DataError
from ticketzoo.models.signature import Classes, Image, Signature
from ticketzoo.recipe import DataName
from ticketzoo.tasks.adversarial import AdversarialConfig, Adversary
from ticketzoo.tasks.image_refusals import refusal
from ticketzoo.tasks.metrics import ACCURACY, ROBUST_ACCURACY, guessed_classes
from ticketzoo.tasks.table import TASKS, TaskSection
from ticketzoo.tasks.task import SCORED_PER_CLASS, Models, OneModel, Resident, StaticBatch

EVALUATION_VALUES = 4_000_000
"""Pixel values in a batch of evaluation, at most."""
EVALUATION_IMAGES, EVALUATION_IMAGES_ON_CPU = 1000, 128
"""Images in it, at most. A CPU's memory for larger activations is mapped and unmapped at every layer, which may take
longer than the layer."""
EVALUATED_AT_ONCE = 32_000_000
"""Pixel values in it times models that are evaluated at once, at most."""


class ImageClassificationConfig(TaskSection):
    """The `task:` section of a recipe for image classification.

    Attributes:
        dataset: images to train and test on, with their labels.
        name: name of the data in results and file names; by default made of the data set's name and classes.
        normalize: how pixels become float32: "dataset" (by mean and standard deviation of the training images, per
            channel), "imagenet" (by torchvision's constants), "unit" (values in [0, 1]), or `[mean, std]`.
        augment: random changes of the training images; none by default.
        label_smoothing: fraction of a label's weight that is spread over all classes in the loss; none by default.
        adversarial: training and evaluation on images that are changed against the network; by default none.
    """

    type: Literal["image-classification"]
    dataset: ImageDataset
    name: DataName | None = None
    normalize: Normalization = Normalization("dataset")
    augment: Augmentation = Augmentation()
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    adversarial: AdversarialConfig | None = Field(default=None, exclude_if=lambda section: section is None)

    @model_validator(mode="after")
    def _crops_have_a_size(self) -> "ImageClassificationConfig":
        if self.augment.random_resized_crop is not None and self.dataset.image_size is None:
            raise ValueError("augment.random_resized_crop needs dataset.image_size")
        return self


@TASKS.add("image-classification", config=ImageClassificationConfig, words="image classification")
class ImageClassification:
    """The `Task` (see `ticketzoo.tasks.task`) of classifying images, normalized on the training device."""

    metric = ACCURACY

    def __init__(self, config: ImageClassificationConfig) -> None:
        """Load the data.

        Raises:
            DataError: it is missing or is not a labelled image data set.
        """
        self._crop = config.augment.random_resized_crop
        data = load_images(config.dataset, crop_train=self._crop is not None)
        self.name = config.name or config.dataset.short_name + "-adversarial" * bool(config.adversarial)
        self.signature = Signature(Image(*data.in_shape), Classes(data.num_classes))
        self.has_validation = len(data.validation) > 0
        self.examples = {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)}
        self.identity = {
            "type": config.type,
            "fingerprint": data.fingerprint,
            "normalize": config.normalize.model_dump(mode="json"),
            "augment": config.augment.model_dump(mode="json", exclude_defaults=True),
            "label_smoothing": config.label_smoothing,
            **config.dataset.model_dump(mode="json", include={"label_noise"}),
            **config.model_dump(mode="json", include={"adversarial"}, exclude_defaults=True),
        }
        self.source = {
            "dataset": config.dataset.id,
            "revision": config.dataset.revision,
            "fingerprint": data.fingerprint,
            **({"laid_out": data.laid_out} if data.laid_out else {}),
            **named(data.class_names),
        }
        self._label_smoothing, self._classes = config.label_smoothing, data.num_classes
        self._unreadable = data.unreadable
        self._normalize = config.normalize.build(data.train)
        self.normalised = {name: getattr(self._normalize, name).flatten().tolist() for name in ("mean", "std")}
        self._augment = config.augment.build()
        self._adversary = Adversary(config.adversarial, self._normalize) if config.adversarial else None
        if self._adversary:
            self.metric = ROBUST_ACCURACY
        self._train = data.train if self._augment else self._normalized_once(data.train)
        self.train_labels = self._train.labels
        self._held_out = {
            "validation": self._normalized_once(data.validation),
            "test": self._normalized_once(data.test),
        }
        self.measures_training = data.train.clean is not None
        if data.train.clean is not None:
            both = torch.stack([data.train.labels, data.train.clean], 1)
            self._held_out["train"] = self._normalized_once(data.train.labelled(both))

    @property
    def left_out(self) -> int:
        """The number of images met so far that cannot be read (`on_error: skip`)."""
        return len(self._unreadable.met)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training images, the last smaller batch included."""
        return math.ceil(len(self._train) / batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Batch]:
        """Yield the batches of iterations `start` to `stop - 1`."""
        crop, per_epoch = None, self.steps_per_epoch(batch_size)
        if self._crop is not None:
            side = self._train.in_shape[1]
            crop = partial(self._crop.at, seed=seed, steps_per_epoch=per_epoch, image_size=side)
        order = batches(self._train, batch_size=batch_size, seed=seed, start=start, stop=stop, device=device, crop=crop)
        for step, images, labels in order:
            whole = min(batch_size, len(self._train) - step % per_epoch * batch_size)
            yield Batch(images, labels, share_of(whole))

    def resident(self, device: torch.device) -> Resident | str:
        """Return the training images on `device`, if they are in memory and not cropped out of larger ones."""
        if self._crop is not None or not isinstance(self._train, MemoryImages):
            return f"the images of {self.name} are not kept in memory"
        if self._adversary:
            return f"the images of {self.name} are changed against the network"
        return Resident(self._train.on(device), _ready_batch, DrawnApart(self._augment) if self._augment else None)

    def static(self, batch: Batch) -> StaticBatch:
        """Return a batch, augmented, as tensors."""
        return StaticBatch(self._augmented(batch)[:2], _ready_batch)

    def score_batches(
        self, batch_size: int, seed: int, count: int, device: torch.device, per_class: int = SCORED_PER_CLASS
    ) -> Iterator[Batch]:
        """Yield `count` batches for scores: `per_class` images of each, neither cropped at random nor augmented."""
        chosen = list(islice(balanced_batches(self.train_labels, batch_size, seed, per_class=per_class), count))
        order = [share_of(len(part)).of(part) for part in chosen]
        for part, (images, labels) in zip(chosen, self._train.in_order(order, device), strict=True):
            if not len(labels):
                raise DataError(f"none of the images of {self.name} for scores can be read: fix those named above")
            yield Batch(images, labels, share_of(len(part)), augment=False)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, in nats, of one batch of images (augmented and normalized here).

        Raises:
            DataError: the model cannot take images of the size that progressive resizing has come to.
            RecipeError: its BatchNorm has a single image to take statistics of.
        """
        images, labels, share, _ = self._augmented(batch)
        try:
            changed = self._adversary.against(model, images, labels, share) if self._adversary else images
            scores = model(self._ready(changed))
        except (RuntimeError, AssertionError, ValueError) as error:
            if known := refusal(error, share, self._train, images.shape[-1]):
                raise known from error
            raise
        return F.cross_entropy(scores, labels, label_smoothing=self._label_smoothing)

    def size(self, batch: Batch) -> int:
        """Return the number of images in a batch."""
        return len(batch.labels)

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return the mean cross-entropy (`loss`) and the fraction classified right (`accuracy`) of a held-out split.

        Of the training split, where its labels have noise, the same, and `clean_accuracy` by the labels without.

        Raises:
            DataError: none of its images can be read.
        """
        return self.evaluate_each(OneModel(model), split, device)[0]

    @torch.no_grad()
    def evaluate_each(self, models: Models, split: str, device: torch.device) -> list[dict[str, float]]:
        """Return what `evaluate` does, of each of several models. Raises as it does."""
        held_out = self._held_out[split]
        values = math.prod(held_out.in_shape)
        most = EVALUATION_IMAGES_ON_CPU if device.type == "cpu" else EVALUATION_IMAGES
        most = min(most, EVALUATION_VALUES // values, EVALUATED_AT_ONCE // (values * models.size))
        adversary = self._adversary if split != "train" else None
        names = adversary.names if adversary else ("loss", "accuracy", "clean_accuracy")[: 1 + held_out.labels.dim()]
        sums_of = adversary.tally if adversary else self._tally
        sums, count = list[Tensor](), 0
        for images, labels in in_turn(held_out, batch_size=max(16, most), device=device):

            def tally(model: nn.Module, images: Tensor = images, labels: Tensor = labels) -> tuple[Tensor, ...]:
                return (sums_of(model, images, labels),)

            sums += models.of_each(tally)
            count += len(labels)
        parts = torch.stack(sums, 2).tolist() if sums else [[[]] * len(names)] * models.size
        *summed_up, seen = summed(*(sum(of_one) for part in parts for of_one in part), count)
        if not seen:
            raise DataError(f"no {split} image of {self.name} can be read")
        means = iter(total / seen for total in summed_up)
        return [{name: next(means) for name in names} for _ in range(models.size)]

    def _tally(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return the sum of the cross-entropy, and how many are right by the labels [b], or each column of [b, 2]."""
        scores, labels = model(self._ready(images)), labels.view(len(labels), -1)
        loss = F.cross_entropy(scores, labels[:, 0], reduction="sum")
        return torch.cat([loss.view(1), (scores.argmax(1, keepdim=True) == labels).sum(0).to(loss.dtype)])

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return the share of each class in a held-out split, the accuracy of guessing it throughout."""
        shares = guessed_classes(self._held_out[split].labels, self._classes)["accuracy"]
        return {"accuracy": shares} | ({"robust_accuracy": shares} if self._adversary else {})

    def _augmented(self, batch: Batch) -> Batch:
        if not (self._augment and batch.augment):
            return batch
        images, _ = self._augment(batch.images, batch.share)
        return batch._replace(images=images, augment=False)

    def _ready(self, images: Tensor) -> Tensor:
        return images if images.is_floating_point() else self._normalize(images)

    def _normalized_once(self, images: Images) -> Images:
        once = isinstance(images, MemoryImages) and not self._adversary
        return normalized(images, self._normalize) if once else images


def _ready_batch(rows: Sequence[Tensor]) -> Batch:
    return Batch(rows[0], rows[1], share_of(len(rows[1])), augment=False)
