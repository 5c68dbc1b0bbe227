"""Token sequences held end to end, and padded batches of them."""

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.errors import DataError, ModelError
from ticketzoo.tasks.tokenizer import Tokenizer

Inputs = dict[str, Tensor]
"""What a model is called with: `input_ids`, `attention_mask` and maybe `token_type_ids`, int64 [b, t]."""

EVALUATION_TOKENS = 8192
"""Padded tokens in a batch of evaluation."""


@dataclass(frozen=True)
class Sequences:
    """n sequences, one after the other.

    ids: int32 [tokens]. segments: uint8 [tokens], of models that tell the texts of a pair apart. offsets: int64
    [n + 1], where each begins and the last ends. pad: the id that fills up the shorter ones of a batch.
    """

    ids: Tensor
    offsets: Tensor
    pad: int
    segments: Tensor | None = None
    lengths: Tensor = field(init=False)
    """int64 [n]."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", self.offsets.diff())

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        """Tokens in the longest sequence."""
        return int(self.lengths.max()) if len(self) else 0

    def places(self, indices: Tensor) -> Tensor:
        """int64: where in `ids` the tokens of sequences `indices` are, one sequence after the other."""
        lengths = self.lengths[indices]
        ends = lengths.cumsum(0)
        first = self.offsets[indices] - (ends - lengths)
        return torch.arange(int(lengths.sum())) + first.repeat_interleave(lengths)

    def inputs(self, indices: Tensor, ids: Tensor | None = None) -> Inputs:
        """The padded sequences `indices`, with `ids` (flat, in that order) in place of their own if given.

        There is no attention mask where there is no padding.
        """
        lengths = self.lengths[indices]
        places = self.places(indices)
        real = torch.arange(int(lengths.max())) < lengths[:, None]
        made = {"input_ids": _spread(self.ids[places] if ids is None else ids, real, self.pad)}
        if self.segments is not None:
            made["token_type_ids"] = _spread(self.segments[places], real, 0)
        if not real.all():
            made["attention_mask"] = real.long()
        return made

    def update(self, digest: Any) -> None:
        """Add the tokens to a hash."""
        for tensor in (self.ids, self.offsets, self.segments):
            if tensor is not None:
                digest.update(tensor.numpy().data)


def sequences_of(token_lists: Iterable[Sequence[int]], pad: int) -> Sequences:
    """The sequences of `token_lists`, which are read one at a time; without segments."""
    tokens, ends = array("i"), array("q", [0])
    for ids in token_lists:
        tokens.extend(ids)
        ends.append(len(tokens))
    return Sequences(torch.tensor(tokens, dtype=torch.int32), torch.tensor(ends), pad)


def fingerprint(splits: Mapping[str, Sequences], *others: bytes) -> str:
    """sha256 over the tokens of every split, in order, and whatever else decides the numbers."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        digest.update(f"{name} {len(splits[name])}".encode())
        splits[name].update(digest)
    for other in others:
        digest.update(other)
    return digest.hexdigest()


def check_model(model: nn.Module, longest: int, tokenizer: Tokenizer) -> None:
    """Raise DataError when sequences of `longest` tokens, or the tokenizer's ids, are beyond what `model` takes.

    Raises ModelError for a model that is none of transformers'.
    """
    config = getattr(model, "config", None)
    if config is None:
        raise ModelError(f"{type(model).__name__} takes no text: choose a model named transformers/...")
    positions = getattr(config, "max_position_embeddings", None)
    if positions and longest > positions:
        raise DataError(f"max_length: sequences of {longest} tokens, but the model takes {positions}: lower it")
    if tokenizer.vocabulary > config.vocab_size:
        raise DataError(
            f"{tokenizer.described} has {tokenizer.vocabulary} tokens, the model {config.vocab_size}: "
            "give the model's own tokenizer"
        )


def _spread(values: Tensor, real: Tensor, fill: int) -> Tensor:
    """int64 [b, t]: flat `values` where `real`, bool [b, t], and `fill` elsewhere."""
    spread = torch.full(real.shape, fill)
    spread[real] = values.long()
    return spread
