"""Random texts on disk with a tokenizer of their words, so that language models can be measured without any data."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write_texts(folder: Path, lengths: Sequence[int], vocabulary: int = 30_522) -> Path:
    """Write `folder`/texts, a data set: a text of each length in words to train on, one to test on. Return `folder`.

    `folder`/tokenizer is a tokenizer, as of BERT, of `vocabulary` tokens, each a word; words are as frequent as Zipf's
    law says.
    """
    words = [f"w{number}" for number in range(vocabulary - len(SPECIAL))]
    (folder / "texts").mkdir(parents=True)
    _write_tokenizer(folder / "tokenizer", [*SPECIAL, *words])
    generator = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, len(words) + 1)
    for split, counts in (("train", lengths), ("test", [8])):
        drawn = (generator.choice(words, count, p=frequencies / frequencies.sum()) for count in counts)
        rows = "".join(json.dumps({"text": " ".join(text)}) + "\n" for text in drawn)
        (folder / "texts" / f"{split}.jsonl").write_text(rows)
    return folder


def _write_tokenizer(folder: Path, tokens: list[str]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.WordLevel(numbers, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.BertProcessing(("[SEP]", numbers["[SEP]"]), ("[CLS]", numbers["[CLS]"]))
    names = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
