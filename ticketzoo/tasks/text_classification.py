"""Text classification, of sentences or pairs of them, and prediction of a value: the tasks of GLUE."""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.labels import named
from ticketzoo.data.order import evaluation_order, on_device, training_order
from ticketzoo.data.splits import balanced_batches
from ticketzoo.data.text.glue import MetricName
from ticketzoo.data.text.labelled import LabelledTextDataset, load_labelled_text
from ticketzoo.data.text.sequences import EVALUATION_TOKENS, Inputs, check_model, fingerprint
from ticketzoo.data.text.tokenizer import Tokenizer, check_max_length
from ticketzoo.distributed.processes import share_of, shared_out
from ticketzoo.errors import DataError
from ticketzoo.models.signature import Classes, Features, Signature, Tokens
from ticketzoo.recipe import DataName
from ticketzoo.tasks.metrics import METRICS, Metric, classification_metrics, guessed_classes, regression_metrics
from ticketzoo.tasks.table import TASKS, TaskSection
from ticketzoo.tasks.task import SCORED_PER_CLASS, StaticBatch

Batch = tuple[Inputs, Tensor]


class TextClassificationConfig(TaskSection):
    """The `task:` section of a recipe for text classification.

    Attributes:
        dataset: texts, or pairs of them, with their labels.
        name: name of the data in results and file names; by default the data set's.
        tokenizer: folder or Hub id of the tokenizer that cuts texts into tokens; by default the model's own.
        max_length: largest number of tokens in a sequence, special ones included.
        metric: name of the metric by which arms are compared; by default the GLUE task's, else accuracy, or of values
            to predict pearson.
    """

    type: Literal["text-classification"]
    dataset: LabelledTextDataset
    name: DataName | None = None
    tokenizer: str | None = None
    max_length: Annotated[int, Field(ge=4)] = 128
    metric: MetricName | None = None


@TASKS.add(
    "text-classification",
    config=TextClassificationConfig,
    words="text classification",
    texts=Signature(Tokens(), Classes(2)),
)
class TextClassification:
    """The `Task` (see `ticketzoo.tasks.task`) of classifying texts, or of predicting a value for each."""

    def __init__(self, config: TextClassificationConfig, tokenizer: Tokenizer) -> None:
        """Load and tokenize the data.

        Raises:
            DataError: it is missing or no labelled text.
        """
        check_max_length(tokenizer, config.max_length)
        data = load_labelled_text(config.dataset, tokenizer, config.max_length)
        self.name = config.name or config.dataset.short_name
        self.metric: Metric = _metric(config, data.num_classes)
        output = Features(1) if data.is_regression else Classes(data.num_classes)
        self.signature = Signature(Tokens(tokenizer.vocabulary), output)
        self.has_validation = len(data.labels["validation"]) > 0
        self.examples = {name: len(labels) for name, labels in data.labels.items()}
        labels = [data.labels[name].numpy().tobytes() for name in ("train", "validation", "test")]
        content = fingerprint(data.sequences, *labels)
        self.identity = {
            "type": config.type,
            "fingerprint": content,
            "num_labels": data.num_classes,
            "vocabulary": tokenizer.vocabulary,
        }
        self.source = {
            "dataset": config.dataset.id,
            "revision": config.dataset.revision,
            "fingerprint": content,
            **data.laid_out,
            **named(data.class_names),
        }
        self._tokenizer, self._is_regression, self._classes = tokenizer, data.is_regression, data.num_classes
        self._sequences, self._labels = data.sequences, data.labels
        self.train_labels = None if self._is_regression else data.labels["train"]
        self._longest = max(part.longest for part in data.sequences.values())

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training texts, the last smaller batch included."""
        return math.ceil(len(self._sequences["train"]) / batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Batch]:
        """Yield (inputs, labels) of iterations `start` to `stop - 1`, of texts of like length."""
        sequences, labels = self._sequences["train"], self._labels["train"]
        for indices in training_order(len(sequences), batch_size, seed, start, stop, sequences.lengths):
            width = sequences.width(indices, device)
            yield sequences.inputs(indices, device, width=width), on_device(labels[indices], device)

    def static(self, batch: Batch) -> StaticBatch:
        """Return a batch as tensors."""
        return StaticBatch.of(lambda inputs, labels: (inputs, labels), *batch)

    def score_batches(
        self, batch_size: int, seed: int, count: int, device: torch.device, per_class: int = SCORED_PER_CLASS
    ) -> Iterator[Batch]:
        """Yield `count` batches for scores: `per_class` texts of each; of values to predict the first batches."""
        if self._is_regression:
            yield from self.batches(batch_size, seed, 0, count, device)
            return
        sequences, labels = self._sequences["train"], self._labels["train"]
        for rows in islice(balanced_batches(labels, batch_size, seed, per_class=per_class), count):
            indices = share_of(len(rows)).of(rows)
            yield sequences.inputs(indices, device), on_device(labels[indices], device)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, in nats, of a batch; of values to predict the mean squared error."""
        check_model(model, self._longest, self._tokenizer)
        inputs, labels = batch
        return self._loss(model(**inputs).logits, labels)

    def size(self, batch: Batch) -> int:
        """Return the number of texts in a batch."""
        return len(batch[1])

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return the `loss`, and every metric of `text_metrics`, over a held-out split."""
        check_model(model, self._longest, self._tokenizer)
        sequences, labels = self._sequences[split], self._labels[split]

        def scores(indices: Tensor) -> Tensor:
            logits: Tensor = model(**sequences.inputs(indices, device)).logits
            return logits.float().cpu()

        scored = list(shared_out(scores, evaluation_order(sequences.lengths, EVALUATION_TOKENS)))
        logits, labels = torch.cat([part for _, part in scored]), labels[torch.cat([indices for indices, _ in scored])]
        loss = self._loss(logits, labels).item()
        if self._is_regression:
            return {"loss": loss, **regression_metrics(logits[:, 0], labels)}
        return {"loss": loss, **classification_metrics(logits, labels)}

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return what guessing each class throughout scores on a held-out split; of values to predict, 0."""
        if self._is_regression:
            return {"pearson": [0.0], "spearman": [0.0]}
        return guessed_classes(self._labels[split], self._classes)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.mse_loss(logits[:, 0], labels) if self._is_regression else F.cross_entropy(logits, labels)


def _metric(config: TextClassificationConfig, num_classes: int) -> Metric:
    """Return the metric that decides. Raises DataError when the recipe asks for one that the labels do not have."""
    glue = config.dataset.glue
    default = "pearson" if num_classes == 1 else "accuracy"
    chosen = config.metric or (glue.metric if glue else default)
    there = ["pearson", "spearman"] if num_classes == 1 else ["accuracy", "matthews", *["f1"] * (num_classes == 2)]
    if chosen not in there:
        what, other = ("values to predict", "classes") if num_classes == 1 else (f"{num_classes} classes", "values")
        advice = f"choose {' or '.join(there)}, or take the labels for {other} with task.dataset.labels: {other}"
        raise DataError(f"metric: {chosen} is not for {what}; {advice}")
    return METRICS[chosen]
