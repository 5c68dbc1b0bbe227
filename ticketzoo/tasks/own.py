"""A task of a user's own examples: any pairs of inputs and targets, any loss, any metric."""

import math
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.order import training_order
from ticketzoo.distributed import processes
from ticketzoo.errors import DataError
from ticketzoo.models.signature import End, Features, Integers, Named, Observation, Signature
from ticketzoo.recipe import DataName
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.metrics import ACCURACY, LOSS, METRICS, Metric, metric_called
from ticketzoo.tasks.own_copies import Copies
from ticketzoo.tasks.own_examples import (
    EVALUATION_BATCH,
    Content,
    Examples,
    Given,
    NotFinite,
    batches_of,
    drawn,
    examples_of,
    fingerprint_of,
    moved,
)
from ticketzoo.tasks.table import TASKS, TaskSection
from ticketzoo.tasks.task import Task
from ticketzoo.util.digest import digest_of

Loss: TypeAlias = Callable[[Any, Tensor], Tensor]
"""`loss(outputs, targets)`: a scalar, the mean over the examples of a batch."""

Evaluate: TypeAlias = Callable[[nn.Module], Mapping[str, float]]
"""`evaluate(model)`: numbers by name, among them the deciding metric; the model is in evaluation mode."""


class OwnSection(TaskSection):
    """The `task:` section of a recipe whose model and data a program gave. It says what they were called.

    Attributes:
        name: name of the data in results and file names, as the program gave it.
    """

    type: Literal["own"]
    name: DataName | None = None


class OwnTask:
    """The `Task` (see `ticketzoo.tasks.task`) of a user's own examples."""

    def __init__(
        self,
        train: Given,
        evaluate: Given | Evaluate,
        *,
        validation: Given | None = None,
        loss: Loss | None = None,
        metric: str | Metric | None = None,
        name: str = "own",
    ) -> None:
        """Take in the examples. Each is read once, to know the data again by a fingerprint, and to find copies.

        Copies are held-out examples whose inputs are, to the bit, those of examples to train on. Looking for them takes
        digests of each example as it is read, some 200 bytes of memory an example while this runs. Inputs that are
        drawn or augmented anew at each read are not known again.

        Args:
            train: examples to train on, or arrays of inputs and targets, [n, ...] each. An input is a tensor or a
                dict of them (the model's keyword arguments).
            evaluate: held-out examples, or a function of the model that gives numbers by name.
            validation: further held-out examples, looked at during training; none by default.
            loss: by default cross-entropy for integer targets, the mean squared error for others.
            metric: what decides between arms, as `evaluate` gives it: a registered name, or a `Metric`. By default
                `accuracy` for integer targets, else `loss`, of which less is better.
            name: of the data, for tables and tickets.

        Raises:
            DataError: there are no examples, they are no pairs, two reads of one differ, or the metric's name is not
                registered.
        """
        self._train = examples_of(train, "train")
        self._held_out = {"validation": examples_of(validation, "validation") if validation is not None else None}
        self._evaluate = evaluate if callable(evaluate) else None
        self._held_out["test"] = None if self._evaluate else examples_of(cast(Examples, evaluate), "evaluate")
        first, targets = drawn(self._train, [0], seed=0)
        classes = not targets.is_floating_point()
        self._loss = loss or (F.cross_entropy if classes else F.mse_loss)
        self.takes_squares = self._loss is F.mse_loss
        self.metric = _metric(metric) if metric is not None else ACCURACY if classes else LOSS
        self.name, self.signature = name, Signature(_input_of(first), Features(1))
        self.has_validation = validation is not None
        self._splits: dict[str, Examples | None] = {"train": self._train, **self._held_out}
        self.examples = {split: 0 if examples is None else len(examples) for split, examples in self._splits.items()}
        not_finite: dict[int, NotFinite] = {}
        contents: list[list[Content]] = []
        fingerprint = fingerprint_of([*self._splits.values()], not_finite=not_finite, contents=contents)
        self.copies = Copies.among(contents[0], dict(zip(self._held_out, contents[1:], strict=True)))
        self._not_finite = {list(self._splits)[at]: noted for at, noted in not_finite.items()}
        self.identity = {
            "type": "own",
            "fingerprint": fingerprint,
            "loss": _code_of(self._loss),
            "evaluate": _code_of(self._evaluate),
            "metric": self.metric.name,
        }
        laid_out = {"laid_out": sentences} if (sentences := self.copies.sentences()) else {}
        self.source = {"dataset": name, "revision": None, "fingerprint": fingerprint, **laid_out}

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training examples, the last smaller batch included."""
        return math.ceil(len(self._train) / batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Any]:
        """Yield (inputs, targets) of iterations `start` to `stop - 1`, this process's share of each.

        Examples that draw random numbers draw those of (`seed`, iteration, process).
        """
        order = training_order(len(self._train), batch_size, seed, start, stop)
        for step, chosen in enumerate(order, start):
            drawn_from = derive_seed(seed, "examples", step, processes.rank())
            yield moved(drawn(self._train, chosen.tolist(), drawn_from), device)

    def loss(self, model: nn.Module, batch: tuple[Any, Tensor]) -> Tensor:
        """Return the loss of a batch."""
        inputs, targets = batch
        return self._loss(_outputs(model, inputs), targets)

    def size(self, batch: tuple[Any, Tensor]) -> int:
        """Return the number of examples in a batch."""
        return len(batch[1])

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return `loss`, of integer targets `accuracy`, of examples; on the test split what the user's function gives.

        Raises:
            DataError: the deciding metric is not among them, or one that ticketzoo knows is beyond its bounds.
        """
        examples = self._held_out[split]
        if examples is not None:
            found = self._measured(model, examples, device)
        else:
            given = self._evaluate(model) if self._evaluate else {}
            if not isinstance(given, Mapping):
                raise DataError(f"evaluate: must return a dict of numbers by name, not {type(given).__name__}")
            found = {key: float(value) for key, value in given.items()}
            self._check_bounds(found)
        if split == "test" and self.metric.name not in found:
            gives = ", ".join(found) or "nothing"
            raise DataError(f"metric {self.metric.name!r} is not among what evaluate gives: {gives}")
        return found

    def _check_bounds(self, found: Mapping[str, float]) -> None:
        """Raise DataError for a number that rows refuse by its name, or that the deciding metric cannot be."""
        for name, value in found.items():
            for metric in (metric_called(name), *([self.metric] if name == self.metric.name else [])):
                if not metric.can_be(value):
                    low, high = metric.bounds
                    advice = "not in percent: correct it, or give it another name"
                    raise DataError(f"evaluate: {name} is {value}, and must be from {low:g} to {high:g}, {advice}")

    def check_finite(self, model: nn.Module, device: torch.device) -> None:
        """Raise DataError if the loss of an example that holds NaN or infinite numbers is not finite."""
        for split, noted in self._not_finite.items():
            examples = cast(Examples, self._splits[split])
            loss = float(self.loss(model, moved(drawn(examples, [noted.first], noted.first), device)))
            if not math.isfinite(loss):
                which = "evaluate" if split == "test" else split
                hold = f"{noted.count:,} of {len(examples):,} examples hold NaN or infinite numbers"
                first = f"the loss of the first, example {noted.first}, is {loss}"
                raise DataError(f"{which}: {hold}, and {first}: mend them or leave them out")

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return the share of each class in a held-out split; nothing where there are no classes or no examples."""
        examples = self._held_out[split]
        if examples is None or self.metric != ACCURACY:
            return {}
        targets = torch.cat([targets for _, targets in batches_of(examples)])
        labels = targets[targets >= 0]  # others, such as the -100 of cross-entropy, are no class
        if targets.is_floating_point() or targets.dim() != 1 or not len(labels):
            return {}
        return {"accuracy": (labels.bincount().double() / len(targets)).tolist()}

    def _measured(self, model: nn.Module, examples: Examples, device: torch.device) -> dict[str, float]:
        losses, right, whole = 0.0, 0.0, False
        for chosen in processes.mine(torch.arange(len(examples)).split(EVALUATION_BATCH)):
            inputs, targets = moved(drawn(examples, chosen.tolist(), int(chosen[0])), device)
            outputs = _outputs(model, inputs)
            losses += self._loss(outputs, targets).item() * len(targets)
            whole = isinstance(outputs, Tensor) and not targets.is_floating_point() and outputs.dim() == 2
            right += (outputs.argmax(1) == targets).sum().item() if whole else 0
        loss, rightly, classes = processes.summed(losses, right, float(whole))
        accuracy = {"accuracy": rightly / len(examples)} if classes else {}
        return {"loss": loss / len(examples), **accuracy}


@TASKS.add("own", config=OwnSection, words="a task of its author's own")
def _from_a_recipe(section: OwnSection) -> Task:
    raise DataError(
        "task.type: own: model and data of this recipe are in a program: run ticketzoo.find(model=..., ...)"
    )


def _input_of(inputs: Any) -> End:
    """Return the input of a model that takes these: a batch of one example."""
    if isinstance(inputs, Tensor):
        return Observation(tuple(inputs.shape[1:])) if inputs.is_floating_point() else Integers()
    if not all(tensor.is_floating_point() for tensor in inputs.values()):
        return Integers()
    return Named(tuple((name, tuple(tensor.shape[1:])) for name, tensor in inputs.items()))


def _metric(given: str | Metric) -> Metric:
    if isinstance(given, str) and given not in METRICS:
        raise DataError(f"metric {given!r} is unknown: give Metric({given!r}, higher_is_better=...)")
    return METRICS[given] if isinstance(given, str) else given


def _code_of(function: Callable[..., Any] | None) -> str | None:
    """Return a digest of a function with all it refers to; a random one, so that nothing is reused, of unknown code."""
    if function is None:
        return None
    return digest_of(function) or f"unknown {processes.from_each(secrets.token_hex(16))[0]}"


def _outputs(model: nn.Module, inputs: Any) -> Any:
    outputs = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    return getattr(outputs, "logits", outputs)
