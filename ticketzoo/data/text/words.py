"""A vocabulary of whole words, counted in a corpus."""

import hashlib
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field

from ticketzoo.data.text.tokenizer import Tokenizer
from ticketzoo.errors import DataError
from ticketzoo.recipe import Config

if TYPE_CHECKING:
    from ticketzoo.data.text.rows import TextRows

UNKNOWN, END = "<unk>", "<eos>"
"""Tokens 0 and 1: a word that is not in the vocabulary, and the end of a text."""
MOST = 2_000_000
_WORD = "[^\\W_]+(?:['\u2019][^\\W_]+)*|[.,;:!?]"
_PART = 2000


class WordsConfig(Config):
    """The key `tokens` of a task: whole words, in lower case, and the marks . , ; : ! ? each; the rest is left out.

    Attributes:
        kind: kind of tokens; `words` are runs of letters and digits, with apostrophes inside.
        min_count: number of times that a word stands in the training split, at least, to be in the vocabulary; any
            other is <unk>.
    """

    kind: Literal["words"]
    min_count: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1


def count_words(rows: "TextRows", column: str, config: WordsConfig) -> Tokenizer:
    """Return the tokenizer of the words of `rows`: <unk>, <eos>, then the words, the most frequent first.

    Words of equal counts stand in alphabetical order, so that the order of the texts changes nothing.

    Args:
        rows: the texts to count in.
        column: where they are.
        config: says which words stay.

    Raises:
        DataError: none does, or more than `MOST`.
    """
    from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Backend

    backend = Backend(models.WordLevel(unk_token=UNKNOWN))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True)
    trainer = trainers.WordLevelTrainer(
        vocab_size=MOST + 1, min_frequency=config.min_count, special_tokens=[UNKNOWN, END], show_progress=False
    )
    backend.train_from_iterator((text for part in rows.parts(_PART) for text in part.texts(column) if text), trainer)
    found = backend.get_vocab_size()
    if found == 2:
        what = f"no word of {rows.split} stands there {config.min_count} times"
        raise DataError(f"task.tokens.min_count: {what}: lower it, or give more text")
    if found > MOST:
        raise DataError(f"task.tokens: {rows.split} has more than {MOST:,} words: raise min_count")
    special = torch.zeros(found, dtype=torch.bool)
    special[:2] = True
    return Tokenizer(
        described=f"the words of {rows.split}",
        digest=hashlib.sha256(
            "\n".join([_WORD, *map(str, map(backend.id_to_token, range(found)))]).encode()
        ).hexdigest(),
        backend=backend,
        vocabulary=found,
        limit=None,
        pad=-1,
        mask=None,
        special=special,
        has_segments=False,
        before=(),
        after=(),
    )
