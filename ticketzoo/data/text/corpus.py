"""A column of text as token sequences: lines as they are, or everything cut into blocks of one length."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ticketzoo.data import tensor_cache
from ticketzoo.data.progress_bar import with_progress
from ticketzoo.data.tables.files import Reading, Tables
from ticketzoo.data.tables.load import load_tables
from ticketzoo.data.text.columns import text_columns
from ticketzoo.data.text.rows import TextDataset, TextRows
from ticketzoo.data.text.sequences import Sequences, sequences_of
from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

Form = Literal["blocks", "lines"]

_CACHE_FORMAT = 1
_PART = 2000
"""Texts tokenised at a time."""


EMBEDDED = "emma"
"""The first chapters of Jane Austen's Emma, which are in the public domain, as a data set of paragraphs."""


class CorpusDataset(TextDataset):
    """The `dataset:` section of a recipe for language modelling: any column of text.

    Attributes:
        path: Hub id of the data set, a folder that `datasets.load_dataset` reads, or "emma" (the first chapters of Jane
            Austen's novel, which need no download).
        column: name of the column of texts; by default "text", or the only one.
    """

    column: str | None = None

    @property
    def is_users(self) -> bool:
        """True for a folder of the user's own."""
        return not self._is_embedded and super().is_users

    @property
    def _is_embedded(self) -> bool:
        return self.path == EMBEDDED and self.mirror is None

    def load(self) -> Tables:
        """Return its splits. Raises DataError where they cannot be read."""
        return load_tables(Path(__file__).with_name(EMBEDDED), None, Reading()) if self._is_embedded else super().load()

    def find_column(self, table: "Dataset") -> str:
        """Return the column of text.

        Raises:
            DataError: there is none, or several and none is named.
        """
        found = text_columns(self.path, table, [self.column] if self.column else None)
        if len(found) > 1 and "text" not in found:
            raise DataError(f"{self.path} has several text columns, {', '.join(found)}: say which with column")
        return "text" if len(found) > 1 else found[0]


def tokenize_corpus(rows: TextRows, column: str, tokenizer: Tokenizer, form: Form, max_length: int) -> Sequences:
    """Return the texts of `rows` as sequences of at most `max_length` tokens with special ones, from the cache or new.

    "lines": a sequence a text, cut to fit. "blocks": all texts one after the other, a separator between them, cut into
    sequences of that length, of which the last may be shorter. Sequences with nothing to guess are left out.

    Raises:
        DataError: the column is empty.
    """
    import tokenizers

    key = [_CACHE_FORMAT, rows.identity, column, tokenizer.digest, form, max_length, tokenizers.__version__]
    stored = tensor_cache.tokens(key, lambda: _tokenize(rows, column, tokenizer, form, max_length).tensors)
    sequences = Sequences(**stored, pad=tokenizer.pad)
    if len(rows) and not len(sequences):
        raise DataError(f"column {column!r} of {rows.split} is empty: there is no text to learn from")
    return sequences


def _tokenize(rows: TextRows, column: str, tokenizer: Tokenizer, form: Form, max_length: int) -> Sequences:
    parts = with_progress(rows.parts(_PART), -(-len(rows) // _PART), f"tokenising {rows.split}")
    texts = ([text for text in part.texts(column) if text and not text.isspace()] for part in parts)
    if form == "lines":
        encoded = (tokenizer.encode(part, max_length=max_length) for part in texts)
        made = sequences_of((encoding.ids for part in encoded for encoding in part), tokenizer.pad)
    else:
        after = list(tokenizer.after)
        encoded = (tokenizer.encode(part, special=False) for part in texts)
        made = sequences_of((encoding.ids + after for part in encoded for encoding in part), tokenizer.pad)
        made = _blocks(made.ids[: len(made.ids) - len(after)], tokenizer, max_length)
    return _guessable(made, tokenizer)


def _blocks(stream: Tensor, tokenizer: Tokenizer, max_length: int) -> Sequences:
    """Return the tokens of `stream`, int32, in blocks between the special tokens of a text."""
    before, after = (torch.tensor(tokens, dtype=torch.int32) for tokens in (tokenizer.before, tokenizer.after))
    room = max_length - len(before) - len(after)
    whole = len(stream) // room
    body = stream[: whole * room].view(whole, room)
    blocks = torch.cat([before.expand(whole, -1), body, after.expand(whole, -1)], 1).flatten()
    rest = stream[whole * room :]
    lengths = [max_length] * whole
    if len(rest):
        blocks = torch.cat([blocks, before, rest, after])
        lengths.append(len(before) + len(rest) + len(after))
    return Sequences(blocks, torch.tensor([0, *lengths]).cumsum(0), tokenizer.pad)


def _guessable(sequences: Sequences, tokenizer: Tokenizer) -> Sequences:
    """Return the sequences that hold a token which is not special."""
    plain = ~tokenizer.special[sequences.ids.long()]
    counts = torch.cat([torch.zeros(1, dtype=torch.int64), plain.cumsum(0)])
    kept = counts[sequences.offsets].diff() > 0
    if kept.all():
        return sequences
    indices: Tensor = torch.where(kept)[0]
    ids = sequences.ids[sequences.places(indices)]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sequences.lengths[indices].cumsum(0)])
    return Sequences(ids, offsets, sequences.pad)
