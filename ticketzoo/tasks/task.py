"""The protocol of a task: all that the training loop knows of data, loss and metrics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ticketzoo.models.signature import Signature
from ticketzoo.tasks.metrics import Metric

SCORED_PER_CLASS = 10
"""Examples of a class in a batch for scores, at most (Frankle et al. 2021, appendix B)."""


class Task(Protocol):
    """The data, loss and metrics that a model is trained and measured by."""

    name: str
    """Short name of the data, e.g. `mnist` or `digits-5-9`."""

    identity: dict[str, Any]
    """All that the numbers depend on (content fingerprint, preprocessing, loss), as JSON; no place of the data."""

    source: dict[str, Any]
    """The data as a ticket names them: `dataset`, its `revision` and the `fingerprint` of its content."""

    signature: Signature
    """Input and output of the models that the task trains."""

    metric: Metric
    """The metric, of those that `evaluate` gives, by which arms are compared."""

    has_validation: bool
    """Whether there is a validation split to stop early by."""

    examples: dict[str, int]
    """The number of examples in `"train"`, `"validation"` and `"test"`."""

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training split."""
        ...

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Any]:
        """Return the batches of iterations `start` to `stop - 1`; batch i is a function of (`seed`, i) alone.

        Of several processes, each gets its share of every batch (see `ticketzoo.distributed.processes`).
        """
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Return the scalar training loss, in nats: a mean over what `size` counts."""
        ...

    def size(self, batch: Any) -> int:
        """Return the number of examples, or masked tokens, that the loss of `batch` is a mean over."""
        ...

    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return metrics on `"validation"`, at least `loss`, or on `"test"`, at least the task's `metric`.

        Processes share the work. A task with an attribute `measures_training`, true, takes `"train"`, too, and the end
        of a training is measured on it. One with `measures_course`, true, takes `"train"`, too, and trainings are
        measured on it and on `"test"` at every evaluation, to see their course; nothing is chosen by that.
        """
        ...


@runtime_checkable
class ScoringTask(Task, Protocol):
    """A task that has data of its own for pruning scores; of others the first training batches serve.

    It may have `train_labels`, int64 [n] of the training examples, or None where they have no classes: then a run says
    where it is asked for more examples of a class than there are.
    """

    def score_batches(
        self, batch_size: int, seed: int, count: int, device: torch.device, per_class: int = SCORED_PER_CLASS
    ) -> Iterator[Any]:
        """Yield `count` batches of at most `batch_size` training examples, as they are: nothing is augmented.

        They hold classes as equally as they can, and at most `per_class` examples of each. Of several processes, each
        gets its share of every batch.
        """
        ...


class Drawn(Protocol):
    """Random changes of examples, such as augmentation, in two parts."""

    def draw(self, count: int) -> dict[str, Tensor]:
        """Draw for a batch of `count` examples, from torch's generator on the CPU as `loss` does: [count] each."""
        ...

    def change(self, rows: Sequence[Tensor], drawn: dict[str, Tensor]) -> list[Tensor]:
        """Return `rows`, changed as was drawn for them; of tensors on one device alone, nothing comes from another."""
        ...


@dataclass(frozen=True)
class Resident:
    """The training examples of a task, all of them on one device.

    Attributes:
        tensors: a row of each is an example.
        batch: makes of the same rows of each the batch that the task's `loss` takes, nothing of it drawn at random.
        drawn: what is drawn at random for each example and done to it before that; None where nothing is.
    """

    tensors: tuple[Tensor, ...]
    batch: Callable[[Sequence[Tensor]], Any]
    drawn: Drawn | None = None


@dataclass(frozen=True)
class StaticBatch:
    """A batch as tensors, to be computed with where other tensors of the same shapes were before.

    Attributes:
        tensors: on the training device; a task's batches have few different shapes of them.
        batch: makes of such tensors, without a look at their values, a batch that the task's `loss` takes and gives the
            same number for, drawing nothing at random on the CPU.
    """

    tensors: tuple[Tensor, ...]
    batch: Callable[[Sequence[Tensor]], Any]

    @classmethod
    def of(cls, batch: Callable[..., Any], inputs: Mapping[str, Tensor], *targets: Tensor) -> "StaticBatch":
        """Return the batch that `batch` makes of a model's named `inputs`, a dict, and of `targets`."""
        names = tuple(inputs)

        def made(tensors: Sequence[Tensor]) -> Any:
            return batch(dict(zip(names, tensors, strict=False)), *tensors[len(names) :])

        return cls((*inputs.values(), *targets), made)


@runtime_checkable
class StaticTask(Task, Protocol):
    """A task whose updates can be captured as CUDA graphs: `loss` looks at no values of the tensors in a batch."""

    def static(self, batch: Any) -> StaticBatch:
        """Return a batch as tensors. What is drawn at random on the CPU is drawn here."""
        ...


class Models(Protocol):
    """Several models of one architecture."""

    @property
    def size(self) -> int:
        """Return how many there are."""
        ...

    def of_each(self, function: Callable[[nn.Module], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return the tensors that `function` gives of each model, stacked: [size, ...] each."""
        ...


@dataclass(frozen=True)
class OneModel:
    """One model in the place of several."""

    model: nn.Module
    size: int = 1

    def of_each(self, function: Callable[[nn.Module], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return the same as `Models.of_each`."""
        return tuple(tensor.unsqueeze(0) for tensor in function(self.model))


@runtime_checkable
class ResidentTask(Task, Protocol):
    """A task whose batches are rows of tensors, so that several models can be trained in one pass over them.

    The rows of a training of `seed` are what `ticketzoo.data.order.training_order` gives.
    """

    def resident(self, device: torch.device) -> Resident | str:
        """Return the training examples on `device`; or why their batches are more than rows of tensors, in words."""
        ...

    def evaluate_each(self, models: Models, split: str, device: torch.device) -> list[dict[str, float]]:
        """Return what `evaluate` gives, of each of `models`, all of them in evaluation mode."""
        ...


@runtime_checkable
class StatefulBatches(Protocol):
    """Batches that depend on what the model made of those before: what a task's `batches` gives may be such.

    They begin as a function of (`seed`, start); where a training goes on from a checkpoint, as that has them.
    """

    def __iter__(self) -> Iterator[Any]:
        """Return the iterator itself."""
        ...

    def __next__(self) -> Any:
        """Return the next batch."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that those to come depend on, beside seed and step: of several processes in the first one."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        ...


@runtime_checkable
class MeasuringBatches(StatefulBatches, Protocol):
    """Batches that a network brings about itself, and that show how good it is."""

    def scores(self) -> dict[str, float]:
        """Return, in all processes, metrics that take the place of what `evaluate` gives at the end of a training."""
        ...


@runtime_checkable
class GuessableTask(Task, Protocol):
    """A task of which it is known what a network scores that takes no notice of its input."""

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return, by metric, what each constant guess scores on a held-out split: of classes, the share of each."""
        ...


@runtime_checkable
class SkippingTask(Task, Protocol):
    """A task that may leave out examples which cannot be read."""

    @property
    def left_out(self) -> int:
        """The number of them met so far."""
        ...
