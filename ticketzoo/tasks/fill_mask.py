"""Masked language modeling: cross-entropy, accuracy and perplexity at the masked positions."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.order import evaluation_order, on_device, whole_order
from ticketzoo.data.text.columns import check_columns
from ticketzoo.data.text.corpus import CorpusDataset, Form, tokenize_corpus
from ticketzoo.data.text.remarks import remark_on_texts
from ticketzoo.data.text.rows import split_rows
from ticketzoo.data.text.sequences import EVALUATION_TOKENS, Inputs, Sequences, check_model, fingerprint
from ticketzoo.data.text.token_masks import mask_tokens
from ticketzoo.data.text.tokenizer import Tokenizer, check_max_length
from ticketzoo.distributed.processes import mine, share_of, summed
from ticketzoo.errors import DataError, RecipeError
from ticketzoo.masks.plain import plain_model
from ticketzoo.models.signature import Signature, Tokens, Vocabulary
from ticketzoo.recipe import DataName
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.metrics import ACCURACY
from ticketzoo.tasks.table import TASKS, TaskSection
from ticketzoo.tasks.task import StaticBatch

_ROOM = 16
"""Masked positions of captured batches come in multiples of this."""
_NO_TOKEN = -100
"""The token of a position that is there for room alone."""


class FillMaskConfig(TaskSection):
    """The `task:` section of a recipe for masked language modeling.

    Attributes:
        dataset: texts to train and test on, of one column.
        name: name of the data in results and file names; by default the data set's.
        tokenizer: folder or Hub id of the tokenizer that cuts texts into tokens; by default the model's own.
        sequences: form of a sequence: "blocks" (texts one after the other, cut to `max_length`) or "lines" (a sequence
            a text).
        max_length: number of tokens in a sequence, special ones included.
        mask: probability with which a token is hidden and to be guessed.
    """

    type: Literal["fill-mask"]
    dataset: CorpusDataset
    name: DataName | None = None
    tokenizer: str | None = None
    sequences: Form = "blocks"
    max_length: Annotated[int, Field(ge=4)] = 128
    mask: Annotated[float, Field(gt=0, lt=1)] = 0.15


@dataclass(frozen=True)
class Batch:
    """A model's inputs, and the masked positions: int64 [m], in the flattened [b * t], and their tokens [m]."""

    inputs: Inputs
    positions: Tensor
    tokens: Tensor


@TASKS.add(
    "fill-mask", config=FillMaskConfig, words="masked language modeling", texts=Signature(Tokens(), Vocabulary())
)
class FillMask:
    """The `Task` (see `ticketzoo.tasks.task`) of guessing masked tokens.

    What is masked in training is a function of (seed, step); in evaluation it is always the same.
    """

    metric = ACCURACY

    def __init__(self, config: FillMaskConfig, tokenizer: Tokenizer) -> None:
        """Load and tokenize the data.

        Raises:
            DataError: it is missing, has no text, or there is no mask token.
        """
        if tokenizer.mask is None:
            raise DataError(f"{tokenizer.described} has no mask token: fill-mask needs a masked language model's")
        check_max_length(tokenizer, config.max_length)
        tables = config.dataset.load()
        rows = split_rows(config.dataset, tables)
        column = config.dataset.find_column(rows["train"].table)
        check_columns(rows, [column])
        laid_out = remark_on_texts(config.dataset, rows, [column], tables.remarks)
        splits = {
            name: tokenize_corpus(part, column, tokenizer, config.sequences, config.max_length)
            for name, part in rows.items()
        }
        self.name = config.name or config.dataset.short_name
        self.signature = Signature(Tokens(tokenizer.vocabulary), Vocabulary(tokenizer.vocabulary))
        self.has_validation = len(splits["validation"]) > 0
        self.examples = {name: len(part) for name, part in splits.items()}
        data = fingerprint(splits)
        self.identity = {
            "type": config.type,
            "fingerprint": data,
            "mask": config.mask,
            "mask_token": tokenizer.mask,
            "vocabulary": tokenizer.vocabulary,
            "special": torch.where(tokenizer.special)[0].tolist(),
        }
        source = {"dataset": config.dataset.id, "revision": config.dataset.revision, "fingerprint": data}
        self.source = {**source, **laid_out}
        self._tokenizer, self._mask = tokenizer, config.mask
        self._train = splits["train"]
        self._held_out = {name: self._masked_once(splits[name]) for name in ("validation", "test")}
        self._longest = max(part.longest for part in splits.values())

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training sequences, the last smaller batch included."""
        return math.ceil(len(self._train) / batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Batch]:
        """Yield the batches of iterations `start` to `stop - 1`, of sequences of like length."""
        order = whole_order(len(self._train), batch_size, seed, start, stop, self._train.lengths)
        for step, indices in enumerate(order, start):
            ids = self._train.ids[self._train.places(indices)]
            seen, chosen = mask_tokens(ids, self._tokenizer, self._mask, derive_seed(seed, "mask", step))
            share = share_of(len(indices))
            ends = self._train.lengths[indices].cumsum(0).tolist()
            here = slice(ends[share.start - 1] if share.start else 0, ends[share.stop - 1])
            yield _batch(self._train, share.of(indices), ids[here], seen[here], chosen[here], device, few_widths=True)

    def static(self, batch: Batch) -> StaticBatch:
        """Return a batch as tensors, with room for as many masked positions as nearly every batch of the shape has."""
        count = len(batch.tokens)
        empty = room_for(count, batch.inputs["input_ids"].numel(), self._mask) - count
        positions, tokens = F.pad(batch.positions, (0, empty)), F.pad(batch.tokens, (0, empty), value=_NO_TOKEN)
        return StaticBatch.of(Batch, batch.inputs, positions, tokens)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, in nats, at the masked positions of a batch.

        Raises:
            RecipeError: the model is compiled.
        """
        if isinstance(model, torch._dynamo.OptimizedModule):
            raise RecipeError("training.compile: every batch of fill-mask has another shape; leave it out")
        check_model(model, self._longest, self._tokenizer)
        logits = logits_at(model, batch.inputs, batch.positions)
        return F.cross_entropy(logits, batch.tokens, ignore_index=_NO_TOKEN) if len(batch.tokens) else 0 * logits.sum()

    def size(self, batch: Batch) -> int:
        """Return the number of masked tokens in a batch."""
        return len(batch.tokens)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return mean cross-entropy (`loss`), fraction guessed right (`accuracy`) and e^loss over masked positions."""
        check_model(model, self._longest, self._tokenizer)
        sequences, seen, chosen = self._held_out[split]
        loss, right, count = 0.0, 0, 0
        for indices in mine(evaluation_order(sequences.lengths, EVALUATION_TOKENS)):
            places = sequences.places(indices)
            batch = _batch(sequences, indices, sequences.ids[places], seen[places], chosen[places], device)
            if len(batch.tokens):
                logits = logits_at(model, batch.inputs, batch.positions)
                loss += F.cross_entropy(logits, batch.tokens, reduction="sum").item()
                right += int((logits.argmax(1) == batch.tokens).sum())
                count += len(batch.tokens)
        loss, rightly, seen_of_all = summed(loss, right, count)
        mean = loss / seen_of_all
        return {
            "loss": mean,
            "accuracy": rightly / seen_of_all,
            "perplexity": math.exp(mean) if mean < 700 else math.inf,
        }

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return what guesses score that ignore the context.

        `accuracy` of guessing each token that was masked, throughout; `perplexity` of the frequencies of masked tokens.
        """
        sequences, _, chosen = self._held_out[split]
        counts = sequences.ids[chosen].bincount().double()
        shares = (counts / counts.sum())[counts > 0]
        return {"accuracy": shares.tolist(), "perplexity": [(-shares * shares.log()).sum().exp().item()]}

    def _masked_once(self, sequences: Sequences) -> tuple[Sequences, Tensor, Tensor]:
        """Return sequences, what is seen of their tokens and what is to be guessed, the same in every evaluation."""
        seen, chosen = mask_tokens(sequences.ids, self._tokenizer, self._mask, derive_seed(0, "evaluation mask"))
        return sequences, seen.int(), chosen


def room_for(masked: int, tokens: int, probability: float) -> int:
    """Return how many positions to compute scores of where `masked` of `tokens` are: one number for nearly all batches.

    That is three standard deviations above the mean, and half as much again until it is enough.
    """
    if masked == 0:
        return 0
    room = tokens * probability + 3 * math.sqrt(tokens * probability * (1 - probability))
    steps = math.ceil(room / _ROOM)
    while _ROOM * steps < masked:
        steps += math.ceil(steps / 2)
    return _ROOM * steps


def logits_at(model: nn.Module, inputs: Inputs, positions: Tensor) -> Tensor:
    """Return scores [m, vocabulary] of the tokens at `positions` of the flattened [b * t], and no others.

    The encoder runs as ever; what it hands on to the head is cut down to those rows. The heads of masked language
    models act on each position alone, so the scores are the same.
    """

    def only_the_masked(_: nn.Module, arguments: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state.flatten(0, 1).index_select(0, positions)[None]
        return output

    encoder = plain_model(model).base_model
    assert isinstance(encoder, nn.Module)
    hook = encoder.register_forward_hook(only_the_masked)
    try:
        logits: Tensor = model(**inputs, return_dict=True).logits
    finally:
        hook.remove()
    return logits[0]


def _batch(
    sequences: Sequences,
    indices: Tensor,
    ids: Tensor,
    seen: Tensor,
    chosen: Tensor,
    device: torch.device,
    *,
    few_widths: bool = False,
) -> Batch:
    """Return a batch of `ids`, `seen` and `chosen`: flat, of the tokens of sequences `indices`."""
    width = sequences.width(indices, device) if few_widths else None
    real = sequences.real(indices, width).flatten()
    positions = torch.where(real)[0][chosen]
    inputs = sequences.inputs(indices, device, seen, width)
    return Batch(inputs, on_device(positions, device), on_device(ids[chosen].long(), device))
