"""Token sequences held end to end, and padded batches of them."""

import hashlib
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo.data.order import on_device
from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError, ModelError
from ticketzoo.masks.plain import plain_model
from ticketzoo.models.transformer_configs import CONFIGS

Inputs = dict[str, Tensor]
"""What a model is called with: `input_ids`, `attention_mask` and maybe `token_type_ids`, int64 [b, t]."""

EVALUATION_TOKENS = 8192
"""Padded tokens in a batch of evaluation."""

_FEW = 8
"""Widths of training batches on a GPU are multiples of this."""


@dataclass(frozen=True)
class Sequences:
    """n sequences, one after the other.

    Attributes:
        ids: int32 [tokens].
        segments: uint8 [tokens], of models that tell the texts of a pair apart.
        offsets: int64 [n + 1], where each begins and the last ends.
        pad: the id that fills up the shorter ones of a batch.
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
    def tensors(self) -> dict[str, Tensor]:
        """Those that they are made of, by name."""
        return {"ids": self.ids, "offsets": self.offsets} | (
            {} if self.segments is None else {"segments": self.segments}
        )

    @cached_property
    def longest(self) -> int:
        """Tokens in the longest sequence."""
        return int(self.lengths.max()) if len(self) else 0

    def width(self, indices: Tensor, device: torch.device) -> int:
        """Return how many tokens to pad a training batch of sequences `indices` to: to the longest of them.

        On a GPU, where updates are captured shape by shape, to the next multiple of 8, but no more than any has.
        """
        longest = int(self.lengths[indices].max())
        return min(_FEW * math.ceil(longest / _FEW), self.longest) if device.type == "cuda" else longest

    def places(self, indices: Tensor) -> Tensor:
        """Return int64: the places in `ids` of the tokens of sequences `indices`, one sequence after the other."""
        lengths = self.lengths[indices]
        ends = lengths.cumsum(0)
        first = self.offsets[indices] - (ends - lengths)
        return torch.arange(int(lengths.sum())) + first.repeat_interleave(lengths)

    def inputs(
        self, indices: Tensor, device: torch.device, ids: Tensor | None = None, width: int | None = None
    ) -> Inputs:
        """Return the sequences `indices`, padded to `width` tokens or to the longest of them.

        There is no attention mask where there is no padding.

        Args:
            indices: int64 [b].
            device: where the tensors are put.
            ids: int32, flat, the tokens of these sequences in this order, in place of their own.
            width: tokens a sequence; default the longest's.
        """
        values, picked = (self.ids, False) if ids is None else (ids, True)
        made = {"input_ids": self.padded(values, indices, self.pad, picked=picked, width=width)}
        if self.segments is not None:
            made["token_type_ids"] = self.padded(self.segments, indices, 0, width=width)
        real = self.real(indices, width)
        if not real.all():
            made["attention_mask"] = real.long()
        return {name: on_device(tensor, device) for name, tensor in made.items()}

    def real(self, indices: Tensor, width: int | None = None) -> Tensor:
        """Return bool [b, t], False at padding, of sequences `indices`, `width` or the longest's tokens wide."""
        lengths = self.lengths[indices]
        return torch.arange(width or int(lengths.max())) < lengths[:, None]

    def padded(
        self, values: Tensor, indices: Tensor, fill: int, *, picked: bool = False, width: int | None = None
    ) -> Tensor:
        """Return int64 [b, t] of sequences `indices`: a value for each token, from `values` as flat as `ids`.

        Args:
            values: a value for each token, flat.
            indices: int64 [b].
            fill: the value of padding.
            width: tokens a sequence; default the longest's.
            picked: `values` are already only those of the sequences, one after the other.
        """
        real = self.real(indices, width)
        padded = torch.full(real.shape, fill)
        padded[real] = (values if picked else values[self.places(indices)]).long()
        return padded

    def update(self, digest: Any) -> None:
        """Add the tokens to a hash."""
        for tensor in (self.ids, self.offsets, self.segments):
            if tensor is not None:
                digest.update(tensor.numpy().data)


def sequences_of(token_lists: Iterable[Sequence[int]], pad: int, segments: Iterable[Sequence[int]] = ()) -> Sequences:
    """Return the sequences of `token_lists`, which are read one at a time, and their `segments` if there are any."""
    tokens, kinds, ends = array("i"), array("B"), array("q", [0])
    for ids in token_lists:
        tokens.extend(ids)
        ends.append(len(tokens))
    for of_sequence in segments:
        kinds.extend(of_sequence)
    flat = torch.tensor(kinds, dtype=torch.uint8) if kinds else None
    return Sequences(torch.tensor(tokens, dtype=torch.int32), torch.tensor(ends), pad, flat)


def fingerprint(splits: Mapping[str, Sequences], *others: bytes) -> str:
    """Return the sha256 over the tokens of every split, in order, and whatever else decides the numbers."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        digest.update(f"{name} {len(splits[name])}".encode())
        splits[name].update(digest)
    for other in others:
        digest.update(other)
    return digest.hexdigest()


def check_model(model: nn.Module, longest: int, tokenizer: Tokenizer) -> None:
    """Raise DataError when sequences of `longest` tokens, or the tokenizer's ids, are beyond what `model` takes.

    Raises:
        ModelError: a model that is none of transformers'.
    """
    plain = plain_model(model)
    config, words = getattr(plain, "config", None), getattr(plain, "vocabulary", None)
    if config is None and isinstance(words, int):
        if tokenizer.vocabulary > words:
            what = f"{tokenizer.described} are {tokenizer.vocabulary} tokens, the model has {words}"
            raise DataError(f"{what}: make one for these texts")
        return
    if config is None:
        raise ModelError(f"{type(model).__name__} takes no text: choose a model named transformers/...")
    positions = _positions(config)
    if positions and longest > positions:
        raise DataError(f"max_length: sequences of {longest} tokens, but the model takes {positions}: lower it")
    if tokenizer.vocabulary > config.vocab_size:
        raise DataError(
            f"{tokenizer.described} has {tokenizer.vocabulary} tokens, the model {config.vocab_size}: "
            "give the model's own tokenizer"
        )


def _positions(config: Any) -> int | None:
    """Return the number of tokens in the longest text that a model of `config` takes, if there is a limit."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    known = CONFIGS.get(config.model_type)
    if positions and known and known.positions_from_pad:
        return positions - config.pad_token_id - 1
    return positions
