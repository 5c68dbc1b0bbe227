"""Small data sets of text and a tokenizer of whole words, as folders."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
"""The words of the tokenizer: `a` is token 5, `b` 6, .."""


def token(word: str) -> int:
    return len(SPECIAL) + LETTERS.index(word)


def write_data(folder: Path, splits: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """A folder in the layout of the Hub's: a row a line. Files of the same rows differ in blank lines."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for number, (split, rows) in enumerate(splits.items()):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "data" / f"{split}-00000-of-00001.jsonl").write_text(lines + "\n" * number)
    return folder


def write_tokenizer(folder: Path, *, mask: bool = True, pad: bool = True, limit: int = 64) -> Path:
    """A BERT-like tokenizer whose words are letters; any character but a space and a letter is a word of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *LETTERS]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    names |= {"pad_token": "[PAD]"} if pad else {}
    names |= {"mask_token": "[MASK]"} if mask else {}
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=limit,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **names,
    )
    made.save_pretrained(folder)
    return folder
