"""The next token of texts in contiguous blocks: perplexities and bits per byte that follow from counts."""

import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from text_folders import LETTERS, SPECIAL, token, write_data, write_tokenizer
from torch import Tensor, nn

from ticketzoo.errors import DataError
from ticketzoo.evaluation.metrics import describe, metric_of
from ticketzoo.tasks import TASKS, create_task

CPU = torch.device("cpu")
VOCABULARY = len(SPECIAL) + len(LETTERS)


class Says(nn.Module):
    """Gives the same scores after every token, or the highest to what comes next in the alphabet."""

    def __init__(self, scores: Tensor, *, follows: bool = False) -> None:
        super().__init__()
        self.config = SimpleNamespace(vocab_size=len(scores), model_type="none")
        self.scores, self.follows = nn.Parameter(scores), follows

    def forward(self, input_ids: Tensor, return_dict: bool) -> Any:
        scores = self.scores.expand(*input_ids.shape, -1)
        if self.follows:
            scores = scores + 1000.0 * nn.functional.one_hot(input_ids + 1, len(self.scores))
        return SimpleNamespace(logits=scores)


@pytest.fixture
def texts(tmp_path: Path, caches: Path) -> Path:
    """Of 2 x 5 letters to train on, and 8 to test on."""
    train, test = ["a b c d e", "f g h i j"], ["a b a c a b", "", "d a"]
    rows = {"train": [{"text": text} for text in train], "test": [{"text": text} for text in test]}
    return write_data(tmp_path / "texts", rows)


def task_of(folder: Path, tokenizer: Path | None, **keys: Any) -> Any:
    dataset = {"path": str(folder), "validation": 0} | keys.pop("dataset", {})
    section = {"type": "causal-language-modelling", "dataset": dataset, "length": 4} | keys
    return create_task(TASKS["causal-language-modelling"].config.model_validate(section), tokenizer=tokenizer)


def test_blocks_are_contiguous_and_counted(texts: Path, letters: Path) -> None:
    """Ten letters are two blocks of four and a rest that is left out; of eight nothing is left."""
    task = task_of(texts, letters)
    assert task.examples == {"train": 2, "validation": 0, "test": 2}
    (batch,) = task.batches(2, seed=0, start=0, stop=1, device=CPU)
    blocks = sorted(batch.tolist())
    assert blocks == [[token(letter) for letter in word] for word in ("abcd", "efgh")]
    assert task.size(batch) == 6, "every token but the first of a block is to be said"
    assert task.steps_per_epoch(2) == 1
    assert [len(one) for one in task.batches(1, seed=0, start=0, stop=4, device=CPU)] == [1] * 4


def test_a_model_that_says_nothing_has_the_vocabulary_as_perplexity(texts: Path, letters: Path) -> None:
    task, model = task_of(texts, letters), Says(torch.zeros(VOCABULARY))
    scores = task.evaluate(model, "test", CPU)
    assert scores["perplexity"] == pytest.approx(VOCABULARY)
    assert scores["bits_per_byte"] == pytest.approx(math.log2(VOCABULARY) * 8 / 16), "8 tokens of 12 + 4 bytes"
    (batch,) = task.batches(2, seed=0, start=0, stop=1, device=CPU)
    assert task.loss(model, batch).item() == pytest.approx(math.log(VOCABULARY))


def test_the_loss_is_that_of_the_next_token(texts: Path, letters: Path) -> None:
    task, model = task_of(texts, letters), Says(torch.zeros(VOCABULARY), follows=True)
    (batch,) = task.batches(2, seed=0, start=0, stop=1, device=CPU)
    assert task.loss(model, batch).item() == 0


def test_frequencies_have_their_entropy_as_perplexity(texts: Path, letters: Path) -> None:
    """To be said are b a c and b d a of a b a c, a b d a: a and b twice, c and d once."""
    task, counts = task_of(texts, letters), Counter("baabcd")
    shares = {letter: count / 6 for letter, count in counts.items()}
    entropy = -sum(share * math.log(share) for share in shares.values())
    scores = torch.full((VOCABULARY,), -1000.0)
    for letter, share in shares.items():
        scores[token(letter)] = math.log(share)
    assert task.evaluate(Says(scores), "test", CPU)["perplexity"] == pytest.approx(math.exp(entropy))
    assert task.guesses("test")["perplexity"] == [pytest.approx(math.exp(entropy))]


def test_bytes_are_a_tokenizer_that_needs_no_training(texts: Path) -> None:
    task = task_of(texts, None, vocabulary=256, length=8)
    scores = task.evaluate(Says(torch.zeros(256)), "test", CPU)
    assert scores["bits_per_byte"] == pytest.approx(8)
    assert scores["perplexity"] == pytest.approx(256)
    assert task.examples == {"train": 2, "validation": 0, "test": 2}, "2 x 10 and 12 + 4 bytes, with a line feed each"


def test_a_trained_tokenizer_has_so_many_tokens_and_the_bytes_stay(texts: Path) -> None:
    one, other = (task_of(texts, None, vocabulary=258, length=2, separator=separator) for separator in ("\n", " "))
    assert one.signature.output.count == 258
    assert one.identity["fingerprint"] != other.identity["fingerprint"]
    uniform = one.evaluate(Says(torch.zeros(258)), "test", CPU)["bits_per_byte"]
    assert uniform < math.log2(258), "some tokens are several bytes"


def test_held_out_blocks_can_be_fewer(texts: Path, letters: Path) -> None:
    task = task_of(texts, letters, evaluated_blocks=1)
    assert task.examples == {"train": 2, "validation": 0, "test": 1}
    assert task.identity["fingerprint"] != task_of(texts, letters).identity["fingerprint"]


def test_less_perplexity_is_better() -> None:
    assert TASKS["causal-language-modelling"].make.metric.name == "perplexity"
    assert not metric_of("test_perplexity").higher_is_better
    assert not metric_of("test_bits_per_byte").higher_is_better
    assert describe(["test_perplexity"], falling=["test_perplexity"]) == "Test perplexity (less is better)"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"length": 9}, r"what is tested on has 8 tokens, too few for one block of 9: lower task.length"),
        ({"length": 11}, r"what is trained on has 10 tokens, too few for one block of 11: lower"),
        ({"length": 65}, r"task.length: 65 is more than the 64 tokens that the model of tokenizer .* takes: lower it"),
        ({"dataset": {"test_split": "validation"}}, "validation"),
        ({"vocabulary": 300}, "task.vocabulary trains a tokenizer, and the model brings its own, .*: leave it out"),
    ],
)
def test_what_cannot_be_learned_from(texts: Path, letters: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        task_of(texts, letters, **keys)


def test_a_corpus_without_a_held_out_part(tmp_path: Path, caches: Path, letters: Path) -> None:
    folder = write_data(tmp_path / "one", {"train": [{"text": "a b c d e f g h"}]})
    with pytest.raises(DataError, match=r"test: 0.1 takes all 1 training examples of"):
        task_of(folder, letters)


def test_tokenizers_that_do_not_serve(texts: Path, letters: Path, tmp_path: Path) -> None:
    assert task_of(texts, write_tokenizer(tmp_path / "without", pad=False, mask=False)).examples["train"] == 2
    section = {"type": "causal-language-modelling", "dataset": {"path": str(texts)}, "tokenizer": str(letters)}
    with pytest.raises(ValueError, match="tokenizer names one and vocabulary trains one: leave one of them out"):
        TASKS["causal-language-modelling"].config.model_validate(section | {"vocabulary": 300})
    with pytest.raises(DataError, match=r"vocabulary: .* gives 2.. tokens, not 1000: write 2.., or give more text"):
        task_of(texts, None, vocabulary=1000)
    with pytest.raises(DataError, match="tokenizer is missing: causal-language-modelling needs one"):
        task_of(texts, None)
