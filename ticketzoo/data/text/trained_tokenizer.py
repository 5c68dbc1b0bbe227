"""A tokenizer trained on a corpus: byte-level BPE, which can write any text."""

import hashlib
from typing import TYPE_CHECKING

import torch

from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError

if TYPE_CHECKING:
    from ticketzoo.data.text.rows import TextRows

BYTES = 256
_PART = 2000


def train_tokenizer(rows: "TextRows", column: str, vocabulary: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer (Sennrich et al. 2016; bytes: Radford et al. 2019) of the texts of `rows`.

    Args:
        rows: texts to train on.
        column: where they are.
        vocabulary: number of tokens, the 256 bytes among them. No token is special.

    Raises:
        DataError: the texts do not give so many tokens.
    """
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, trainers

    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator((text for part in rows.parts(_PART) for text in part.texts(column) if text), trainer)
    found = backend.get_vocab_size()
    if found != vocabulary:
        what = f"vocabulary: {rows.split} gives {found} tokens, not {vocabulary}"
        raise DataError(f"{what}: write {found}, or give more text")
    return Tokenizer(
        described=f"the tokenizer trained on {rows.split}",
        digest=hashlib.sha256(backend.to_str().encode()).hexdigest(),
        backend=backend,
        vocabulary=found,
        limit=None,
        pad=-1,
        mask=None,
        special=torch.zeros(found, dtype=torch.bool),
        has_segments=False,
        before=(),
        after=(),
    )
