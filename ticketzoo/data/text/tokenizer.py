"""A model's tokenizer, and what text tasks need to know of it."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketzoo.errors import DataError
from ticketzoo.util.text import one_line

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Backend

    Text = str | tuple[str, str]

_NO_LIMIT = 10**6
"""What tokenizers without a limit give as one is larger."""


@dataclass(frozen=True)
class Tokenizer:
    """A fast tokenizer. Token ids are int; `special` is bool [vocabulary], true of ids that stand for no text."""

    described: str
    """Where it came from, for messages."""
    digest: str
    """sha256 of its vocabulary and rules."""
    backend: "Backend"
    vocabulary: int
    """Number of tokens, the added ones included."""
    limit: int | None
    """The longest sequence that its model takes, if it says so."""
    pad: int
    """-1 if there is none."""
    mask: int | None
    special: Tensor
    has_segments: bool
    """Whether its model tells the two texts of a pair apart by `token_type_ids`."""
    before: tuple[int, ...]
    after: tuple[int, ...]
    """The special tokens around a single text."""

    def encode(
        self, texts: "Sequence[Text]", *, max_length: int | None = None, special: bool = True, offsets: bool = False
    ) -> "list[Encoding]":
        """Return the tokens of texts or pairs of texts, on all processors.

        Args:
            texts: what to encode.
            max_length: cut the longer text of a pair, or the text, until it fits; None: cut nothing.
            special: add the special tokens.
            offsets: also give each token's place in the text (slower).
        """
        self.backend.no_padding()
        if max_length is None:
            self.backend.no_truncation()
        else:
            self.backend.enable_truncation(max_length)
        encode = self.backend.encode_batch if offsets else self.backend.encode_batch_fast
        return encode(list(texts), add_special_tokens=special)

    def encode_windows(self, pairs: "Sequence[tuple[str, str]]", max_length: int, stride: int) -> "list[Encoding]":
        """Return pairs, the second text cut into windows that share `stride` tokens, the others in `overflowing`.

        Each is the whole first text, which must leave more room than `stride`, with a part of the second, and has the
        tokens' places in their text.
        """
        self.backend.no_padding()
        self.backend.enable_truncation(max_length, stride=stride, strategy="only_second")
        return self.backend.encode_batch(list(pairs))

    @property
    def around_pair(self) -> int:
        """The number of special tokens around and between a pair of texts."""
        return self.backend.num_special_tokens_to_add(is_pair=True)


def load_tokenizer(path: str | Path, *, pads: bool = True) -> Tokenizer:
    """Return the tokenizer in a folder or Hub repository (`owner/name[@revision]`), running no code from there.

    Args:
        path: the folder or repository.
        pads: whether it has to have a padding token.

    Raises:
        DataError: it is missing or unreadable, needs code of its own, is not fast, or cannot pad.
    """
    import tokenizers
    from transformers import AutoTokenizer

    folder = Path(path).expanduser()
    name, _, revision = (str(folder), "", "") if folder.is_dir() else str(path).removeprefix("hub:").partition("@")
    try:
        loaded = AutoTokenizer.from_pretrained(name, revision=revision or "main", trust_remote_code=False)
    except Exception as error:  # transformers, tokenizers and huggingface_hub raise dozens of unrelated types here
        raise DataError(f"could not load the tokenizer {path}: {one_line(error)}") from error
    backend = getattr(loaded, "backend_tokenizer", None)
    if not isinstance(backend, tokenizers.Tokenizer):
        raise DataError(f"tokenizer {path} is not a fast one (it has no tokenizer.json): choose a model that has one")
    if loaded.pad_token_id is None and pads:
        raise DataError(f"tokenizer {path} has no padding token: give it a pad_token")
    if len(loaded) <= len(loaded.all_special_ids):
        raise DataError(f"tokenizer {path} has no vocabulary: give the folder of a model with its tokenizer.json")
    backend.no_padding()
    backend.no_truncation()
    special = torch.zeros(len(loaded), dtype=torch.bool)
    special[loaded.all_special_ids] = True
    before, after = _around(backend)
    return Tokenizer(
        described=f"tokenizer {path}",
        digest=hashlib.sha256(backend.to_str().encode()).hexdigest(),
        backend=backend,
        vocabulary=len(loaded),
        limit=loaded.model_max_length if loaded.model_max_length < _NO_LIMIT else None,
        pad=-1 if loaded.pad_token_id is None else loaded.pad_token_id,
        mask=loaded.mask_token_id,
        special=special,
        has_segments="token_type_ids" in loaded.model_input_names,
        before=before,
        after=after,
    )


def check_max_length(tokenizer: Tokenizer, max_length: int) -> None:
    """Raise DataError when `max_length` is more than the tokenizer's model takes, or leaves no room for text."""
    if tokenizer.limit is not None and max_length > tokenizer.limit:
        raise DataError(
            f"max_length: {max_length} is more than the {tokenizer.limit} tokens that the model of "
            f"{tokenizer.described} takes: lower it"
        )
    around = len(tokenizer.before) + len(tokenizer.after)
    if max_length <= around:
        raise DataError(f"max_length: {max_length} leaves no room beside {around} special tokens: raise it")


def _around(backend: "Backend") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens before and after a text."""
    encoding = backend.encode("a")
    marks = encoding.special_tokens_mask
    text = marks.index(0) if 0 in marks else len(marks)
    with suppress(ValueError):
        after = len(marks) - marks[::-1].index(0)
        return tuple(encoding.ids[:text]), tuple(encoding.ids[after:])
    return tuple(encoding.ids), ()
