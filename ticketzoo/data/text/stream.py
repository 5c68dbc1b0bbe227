"""A column of text as one stream of tokens, cut into contiguous blocks of one length."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ticketzoo.data import tensor_cache
from ticketzoo.data.progress_bar import with_progress
from ticketzoo.data.text.rows import TextRows
from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError

_CACHE_FORMAT = 1
_PART = 2000
"""Texts tokenised at a time."""


@dataclass(frozen=True)
class Stream:
    """All texts of a split, one after the other.

    Attributes:
        ids: int32 [tokens].
        bytes: of the texts in UTF-8, the separators after them included.
    """

    ids: Tensor
    bytes: int

    def blocks(self, length: int, described: str) -> Tensor:
        """Return int32 [n, length]: the tokens in order, without a rest that fills no block.

        Raises:
            DataError: there are fewer tokens than one block has.
        """
        if len(self.ids) < length:
            what = f"{described} has {len(self.ids)} tokens, too few for one block of {length}"
            raise DataError(f"{what}: lower task.length, or give or hold out more text")
        return self.ids[: len(self.ids) // length * length].view(-1, length)


def tokenize_stream(rows: TextRows, column: str, tokenizer: Tokenizer, separator: str) -> Stream:
    """Return the texts of `rows`, each followed by `separator`, as tokens; from the cache or new.

    No special token is added. Empty texts are left out.
    """
    import tokenizers

    key = [_CACHE_FORMAT, "stream", rows.identity, column, tokenizer.digest, separator, tokenizers.__version__]
    stored = tensor_cache.tokens(key, lambda: _tokenize(rows, column, tokenizer, separator))
    return Stream(stored["ids"], int(stored["bytes"]))


def _tokenize(rows: TextRows, column: str, tokenizer: Tokenizer, separator: str) -> dict[str, Tensor]:
    parts = with_progress(rows.parts(_PART), -(-len(rows) // _PART), f"tokenising {rows.split}")
    pieces, size = [torch.empty(0, dtype=torch.int32)], 0
    for part in parts:
        texts = [text + separator for text in part.texts(column) if text and not text.isspace()]
        size += sum(len(text.encode(errors="replace")) for text in texts)
        for encoding in tokenizer.encode(texts, special=False):
            pieces.append(torch.tensor(encoding.ids, dtype=torch.int32))
    return {"ids": torch.cat(pieces), "bytes": torch.tensor(size)}


def fingerprint_of(blocks: Mapping[str, Tensor], streams: Mapping[str, Stream]) -> str:
    """Return the sha256 over the blocks of every split, in order, and how many bytes and tokens the splits have."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        digest.update(f"{name} {tuple(blocks[name].shape)} {streams[name].bytes} {len(streams[name].ids)}".encode())
        digest.update(blocks[name].contiguous().numpy().data)
    return digest.hexdigest()
