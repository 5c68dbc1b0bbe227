"""Causal language modelling: cross-entropy, perplexity and bits per byte of each token after those before it."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.order import on_device, training_order
from ticketzoo.data.text.carried import Carried, Part, in_rows, parts_of_row
from ticketzoo.data.text.columns import check_columns
from ticketzoo.data.text.corpus import CorpusDataset
from ticketzoo.data.text.remarks import remark_on_texts
from ticketzoo.data.text.rows import split_rows
from ticketzoo.data.text.sequences import check_model
from ticketzoo.data.text.stream import Stream, fingerprint_of, tokenize_stream
from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.data.text.trained_tokenizer import BYTES, train_tokenizer
from ticketzoo.data.text.words import END, WordsConfig, count_words
from ticketzoo.distributed.processes import mine, share_of, summed
from ticketzoo.errors import DataError
from ticketzoo.models.signature import CarriedTokens, NextTokens, Signature, Tokens
from ticketzoo.recipe import DataName
from ticketzoo.tasks.metrics import PERPLEXITY
from ticketzoo.tasks.table import TASKS, TaskSection

EVALUATION_TOKENS = 1024
"""Tokens in a batch of evaluation, of which each has a score for the whole vocabulary."""


class CausalLanguageModellingConfig(TaskSection):
    """The `task:` section of a recipe for causal language modelling.

    All texts of a split, one after the other, are cut into contiguous blocks; nothing is padded, and a rest that fills
    no block is left out.

    Attributes:
        dataset: texts to train and test on, of one column.
        name: name of the data in results and file names; by default the data set's.
        tokenizer: folder or Hub id of the tokenizer that cuts texts into tokens; by default the model's own.
        vocabulary: number of tokens of a byte-level BPE tokenizer that is trained on the training split, for a model
            that brings none; at least the 256 bytes.
        tokens: `{kind: words, min_count: 3}` takes whole words, those that stand so often in the training split, for a
            model that brings no tokenizer; each text ends with the token <eos>.
        length: number of tokens in a block; the first of them is given, all others are to be said.
        carry_state: true trains along `batch_size` contiguous rows of the training split, `length` tokens an update,
            each from the state that the one before left, without gradients into it; for models that have a state, such
            as lstm-lm. All tokens but the first of a row are to be said. By default blocks come in random order.
        separator: text that follows every text of the data set; with `tokens` it is <eos>.
        evaluated_blocks: largest number of blocks that a held-out split is measured on, the first ones; all by default.
    """

    type: Literal["causal-language-modelling"]
    dataset: CorpusDataset
    name: DataName | None = None
    tokenizer: str | None = None
    vocabulary: Annotated[int, Field(ge=BYTES, le=2_000_000)] | None = None
    tokens: WordsConfig | None = None
    length: Annotated[int, Field(ge=2, le=131_072)] = 128
    carry_state: bool = False
    separator: Annotated[str, Field(max_length=100)] = "\n"
    evaluated_blocks: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_tokenizer(self) -> "CausalLanguageModellingConfig":
        if self.tokenizer is not None and self.vocabulary is not None:
            raise ValueError("tokenizer names one and vocabulary trains one: leave one of them out")
        if self.tokens is not None and (self.tokenizer is not None or self.vocabulary is not None):
            other = "vocabulary" if self.tokenizer is None else "tokenizer"
            raise ValueError(f"tokens takes whole words and {other} other tokens: leave one of them out")
        if self.tokens is not None and self.separator != type(self).model_fields["separator"].default:
            raise ValueError(f"with tokens every text ends with {END}: leave separator out")
        return self


@TASKS.add(
    "causal-language-modelling",
    config=CausalLanguageModellingConfig,
    words="causal language modelling",
    texts=Signature(Tokens(), NextTokens()),
    pads=False,
)
class CausalLanguageModelling:
    """The `Task` (see `ticketzoo.tasks.task`) of saying the next token.

    A batch is int64 [b, length], its tokens; where a state is carried on, a `ticketzoo.data.text.carried.Part`.
    """

    metric = PERPLEXITY

    def __init__(self, config: CausalLanguageModellingConfig, tokenizer: Tokenizer | None) -> None:
        """Load and tokenize the data.

        Raises:
            DataError: it is missing, or a split is too short for one block.
        """
        tables = config.dataset.load()
        rows = split_rows(config.dataset, tables)
        column = config.dataset.find_column(rows["train"].table)
        check_columns(rows, [column])
        laid_out = remark_on_texts(config.dataset, rows, [column], tables.remarks)
        if config.tokens is not None:
            tokenizer = count_words(rows["train"], column, config.tokens)
        elif tokenizer is None:
            tokenizer = train_tokenizer(rows["train"], column, config.vocabulary or BYTES)
        _check_length(tokenizer, config.length)
        separator = config.separator if config.tokens is None else END
        streams = {name: tokenize_stream(part, column, tokenizer, separator) for name, part in rows.items()}
        blocks = {
            name: stream.blocks(config.length, f"{config.dataset.path}: what {_USES[name]}")
            if len(rows[name])
            else torch.empty(0, config.length, dtype=torch.int32)
            for name, stream in streams.items()
        }
        for name in ("validation", "test"):
            blocks[name] = blocks[name][: config.evaluated_blocks]
        self.name = config.name or config.dataset.short_name
        said = (CarriedTokens if config.carry_state else NextTokens)(tokenizer.vocabulary)
        self.signature = Signature(Tokens(tokenizer.vocabulary), said)
        self.has_validation = len(blocks["validation"]) > 0
        self.examples = {name: len(part) for name, part in blocks.items()}
        data = fingerprint_of(blocks, streams)
        self.identity = {
            "type": config.type,
            "fingerprint": data,
            "length": config.length,
            "vocabulary": tokenizer.vocabulary,
            **({} if config.tokens is None else {"words": tokenizer.digest}),
            **({"carry_state": True} if config.carry_state else {}),
        }
        source = {"dataset": config.dataset.id, "revision": config.dataset.revision, "fingerprint": data}
        self.source = {**source, **laid_out}
        self._tokenizer, self._blocks, self._length, self._carries = (
            tokenizer,
            blocks,
            config.length,
            config.carry_state,
        )
        writes = config.tokens is None
        self._bits = {name: _bits_of_a_nat(stream) for name, stream in streams.items()} if writes else {}

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training blocks, the last smaller batch included; or rows.

        Raises:
            DataError: a state is carried on, and there are too few tokens for so many rows.
        """
        if self._carries:
            return parts_of_row(self._blocks["train"].flatten(), batch_size, self._length)
        return math.ceil(self.examples["train"] / batch_size)

    def batches(
        self, batch_size: int, seed: int, start: int, stop: int, device: torch.device
    ) -> Iterator[Tensor] | Carried:
        """Return the batches of iterations `start` to `stop - 1`: blocks in an order drawn anew for every epoch.

        Where a state is carried on, they go along rows, from a state of zeros at `start` on; `seed` changes nothing.
        There are fewer rows than `batch_size` where the text is too short for so many, which trainings refuse.
        """
        blocks = self._blocks["train"]
        if self._carries:
            count = min(batch_size, max(1, blocks.numel() // (self._length + 1)))
            return Carried(in_rows(blocks.flatten(), count), self._length, start, stop, device)
        order = training_order(len(blocks), batch_size, seed, start, stop)
        return (on_device(blocks[indices].long(), device) for indices in order)

    def loss(self, model: nn.Module, batch: Tensor | Part) -> Tensor:
        """Return the mean cross-entropy, in nats, of every token of a block but the first."""
        check_model(model, self._length, self._tokenizer)
        logits, targets = batch.scores(model) if isinstance(batch, Part) else _shifted(model, batch)
        return F.cross_entropy(logits, targets)

    def size(self, batch: Tensor | Part) -> int:
        """Return the number of tokens to be said in a batch."""
        tokens = batch.tokens if isinstance(batch, Part) else batch
        return tokens[:, 1:].numel()

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return the mean cross-entropy in nats a token (`loss`), e^loss (`perplexity`) and `bits_per_byte`.

        Bits per byte are bits per token times the tokens per byte of UTF-8 of the whole split, so that they compare
        across tokenizers; of whole words, which cannot write a text, there are none. Where a state is carried on, it is
        so along rows of the split too, from zeros on: as many as blocks fit 1,024 tokens, of ten blocks at least.
        """
        check_model(model, self._length, self._tokenizer)
        loss, count = 0.0, 0
        for logits, targets in self._said(model, split, device):
            loss += F.cross_entropy(logits.float(), targets, reduction="sum").item()
            count += len(targets)
        loss, tokens = summed(loss, count)
        mean = loss / tokens
        scores = {"loss": mean, "perplexity": math.inf if mean >= 700 else math.exp(mean)}
        return scores | ({"bits_per_byte": mean * self._bits[split]} if self._bits else {})

    def _said(self, model: nn.Module, split: str, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield scores [n, vocabulary] and the tokens [n] that are right, of this process's part of a split."""
        if not self._carries:
            for blocks in mine(self._blocks[split].split(max(1, EVALUATION_TOKENS // self._length))):
                yield _shifted(model, on_device(blocks.long(), device))
            return
        rows = self._rows(split)
        rows, state = on_device(share_of(len(rows)).of(rows).long(), device), None
        for start in range(0, rows.shape[1] - 1, self._length):
            tokens = rows[:, start : start + self._length + 1]
            said = model(input_ids=tokens[:, :-1], state=state)
            state = said.state
            yield said.logits.flatten(0, 1), tokens[:, 1:].flatten()

    def _rows(self, split: str) -> Tensor:
        """Return int32 [b, n]: a held-out split in rows along which a state is carried, or else its blocks."""
        blocks = self._blocks[split]
        if not self._carries:
            return blocks
        return in_rows(blocks.flatten(), max(1, min(len(blocks) // 10, EVALUATION_TOKENS // self._length)))

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return what the frequencies of the held-out tokens score, which take no notice of what comes before."""
        counts = self._rows(split)[:, 1:].flatten().bincount().double()
        shares = (counts / counts.sum())[counts > 0]
        entropy = float(-(shares * shares.log()).sum())
        scores = {"perplexity": [math.exp(entropy)]}
        return scores | ({"bits_per_byte": [entropy * self._bits[split]]} if self._bits else {})


_USES = {"train": "is trained on", "validation": "is validated on", "test": "is tested on"}


def _shifted(model: nn.Module, blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores [n, vocabulary] of every place of `blocks` [b, t] but the last, and the tokens [n] after them."""
    logits = model(input_ids=blocks, return_dict=True).logits[:, :-1]
    return logits.flatten(0, 1), blocks[:, 1:].flatten()


def _bits_of_a_nat(stream: Stream) -> float:
    """Return the bits per byte of one nat per token."""
    return len(stream.ids) / max(1, stream.bytes) / math.log(2)


def _check_length(tokenizer: Tokenizer, length: int) -> None:
    if tokenizer.limit is not None and length > tokenizer.limit:
        takes = f"the {tokenizer.limit} tokens that the model of {tokenizer.described} takes"
        raise DataError(f"task.length: {length} is more than {takes}: lower it")
