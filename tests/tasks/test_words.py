"""Whole words as tokens, and streams along which a state is carried: counts and perplexities worked out by hand."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from text_folders import write_data
from torch import Tensor, nn

from ticketzoo.errors import DataError, ModelError, RunError
from ticketzoo.models.create import architecture_for
from ticketzoo.models.recurrent import Said
from ticketzoo.tasks import TASKS, create_task
from ticketzoo.tasks.task import StatefulBatches

CPU = torch.device("cpu")
TRAIN = ["The cat sat.", "the CAT ran, the dog sat!"]
"""Of the, cat, sat there are 3, 2, 2; of ran, dog and the marks . , ! one each."""
UNKNOWN, END, THE, CAT, SAT = range(5)
"""The vocabulary of what stands there twice."""
TWICE = {"kind": "words", "min_count": 2}
COUNTED = "x a a a a b b b c c"
"""With <eos> eleven tokens, of which ten are to be said: a 4, b 3, c 2, <eos> 1."""


def task_of(folder: Path, train: Sequence[str], test: Sequence[str], **keys: Any) -> Any:
    rows = {name: [{"text": text} for text in texts] for name, texts in (("train", train), ("test", test))}
    dataset = {"path": str(write_data(folder, rows)), "validation": 0}
    section = {"type": "causal-language-modelling", "dataset": dataset, "tokens": {"kind": "words"}} | keys
    return create_task(TASKS["causal-language-modelling"].config.model_validate(section))


class Says(nn.Module):
    """Gives the same scores after every token. Its state is the number of batches before."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores, self.vocabulary = nn.Parameter(scores), len(scores)
        self.before: list[list[float]] = []

    def forward(self, input_ids: Tensor, state: Any = None, return_dict: bool = True) -> Said:
        before = torch.zeros(1, len(input_ids), 1) if state is None else state[0]
        self.before.append(before.flatten().tolist())
        return Said(self.scores.expand(*input_ids.shape, -1), (before + 1,))


def test_words_are_counted_in_the_training_split_alone(tmp_path: Path, caches: Path) -> None:
    """`dog` stands there once and `a` never: both are <unk>, and so are the marks."""
    task = task_of(tmp_path, TRAIN, ["the dog sat", "a cat"], tokens=TWICE, length=7)
    assert task.signature.output.count == task.identity["vocabulary"] == 5
    (batch,) = task.batches(2, seed=0, start=0, stop=1, device=CPU)
    first, second = [THE, CAT, SAT, UNKNOWN, END, THE, CAT], [UNKNOWN, UNKNOWN, THE, UNKNOWN, SAT, UNKNOWN, END]
    assert sorted(batch.tolist()) == sorted([first, second])
    assert task._blocks["test"].tolist() == [[THE, UNKNOWN, SAT, END, UNKNOWN, CAT, END]]


def test_words_have_apostrophes_inside_and_no_other_sign(tmp_path: Path, caches: Path) -> None:
    """`<eos>` and `<unk>` in a text are those tokens; an underscore, a dash and quotes are none."""
    task = task_of(tmp_path, ["don't 'Don't' _élan_--élan <unk>"], ["don't élan"], tokens=TWICE, length=2)
    unknown, end, dont, elan = range(4)
    stream = task._blocks["train"].flatten().tolist()
    assert stream == [dont, dont, elan, elan, unknown, end]
    assert task._blocks["test"].tolist() == [[dont, elan]]


def test_the_order_of_texts_changes_no_count(tmp_path: Path, caches: Path) -> None:
    one, other = (task_of(tmp_path / name, texts, ["the cat"], length=2) for name, texts in
                  (("one", TRAIN), ("other", TRAIN[::-1])))  # fmt: skip
    assert one.identity["words"] == other.identity["words"]
    assert one.identity["fingerprint"] != other.identity["fingerprint"], "the stream is another"


def test_other_words_are_another_task(tmp_path: Path, caches: Path) -> None:
    """The tokens are the same numbers, and stand for other words."""
    one = task_of(tmp_path / "one", ["a b c"], ["a b"], length=2)
    other = task_of(tmp_path / "other", ["a b d"], ["a b"], length=2)
    assert one.identity["fingerprint"] == other.identity["fingerprint"]
    assert one.identity["words"] != other.identity["words"]


@pytest.mark.parametrize("carry_state", [False, True])
def test_a_uniform_model_has_the_vocabulary_as_perplexity(tmp_path: Path, caches: Path, carry_state: bool) -> None:
    task = task_of(tmp_path, TRAIN, ["the cat", "a dog sat"], tokens=TWICE, length=2, carry_state=carry_state)
    model = Says(torch.zeros(5))
    scores = task.evaluate(model, "test", CPU)
    assert scores == {"loss": pytest.approx(math.log(5)), "perplexity": pytest.approx(5)}, "words write no bytes"
    (batch,) = task.batches(2, seed=0, start=0, stop=1, device=CPU)
    assert task.loss(model, batch).item() == pytest.approx(math.log(5))


@pytest.mark.parametrize("carry_state", [False, True])
def test_frequencies_have_their_entropy_as_perplexity(tmp_path: Path, caches: Path, carry_state: bool) -> None:
    """H = -(.4 ln .4 + .3 ln .3 + .2 ln .2 + .1 ln .1) = 1.27985 nats of ten tokens; e^H = 3.5961."""
    task = task_of(tmp_path, [COUNTED], [COUNTED], length=11, carry_state=carry_state)
    assert task.guesses("test") == {"perplexity": [pytest.approx(3.5961, abs=1e-4)]}
    shares = {"a": 0.4, "b": 0.3, "c": 0.2, "<eos>": 0.1}
    tokens = {"<eos>": 1, "a": 2, "b": 3, "c": 4, "x": 5}
    scores = torch.full((6,), -1000.0)
    for word, share in shares.items():
        scores[tokens[word]] = math.log(share)
    assert task.evaluate(Says(scores), "test", CPU)["perplexity"] == pytest.approx(3.5961, abs=1e-4)


def carrying(folder: Path, **keys: Any) -> Any:
    """Twelve tokens to train on: a b c d e <eos> and f g h i j <eos>."""
    return task_of(folder, ["a b c d e", "f g h i j"], ["a b c d e"], length=2, carry_state=True, **keys)


def test_rows_are_contiguous_and_a_batch_begins_where_the_one_before_ended(tmp_path: Path, caches: Path) -> None:
    """Two rows of six tokens: two parts of two tokens to be said, after one that is given; one is left over."""
    task = carrying(tmp_path)
    end, letters = 1, {letter: number for number, letter in enumerate("abcdefghij", 2)}
    assert task.steps_per_epoch(2) == 2
    batches = task.batches(2, seed=0, start=0, stop=3, device=CPU)
    first, second, again = [batch.tokens.tolist() for batch in batches]
    a, b, c, d, e, f, g, h, i, j = letters.values()
    assert first == again == [[a, b, c], [f, g, h]]
    assert second == [[c, d, e], [h, i, j]]
    assert end not in (a, e, j)
    (batch,) = task.batches(2, seed=0, start=1, stop=2, device=CPU)
    assert batch.tokens.tolist() == second
    assert task.size(batch) == 4
    assert task.steps_per_epoch(1) == 5


def test_the_state_is_carried_and_zero_where_an_epoch_or_a_training_starts(tmp_path: Path, caches: Path) -> None:
    task, model = carrying(tmp_path), Says(torch.zeros(12))
    for start in (0, 1):
        for batch in task.batches(2, seed=0, start=start, stop=5, device=CPU):
            task.loss(model, batch)
    assert [before[0] for before in model.before] == [0, 1, 0, 1, 0, 0, 0, 1, 0]


def test_batches_go_on_from_their_state(tmp_path: Path, caches: Path) -> None:
    task, model = carrying(tmp_path), Says(torch.zeros(12))
    batches = task.batches(2, seed=0, start=0, stop=2, device=CPU)
    assert isinstance(batches, StatefulBatches)
    assert batches.state_dict() == {}
    task.loss(model, next(batches))
    state = batches.state_dict()
    assert {name: tensor.tolist() for name, tensor in state.items()} == {"0": [[[1.0], [1.0]]]}
    later = task.batches(2, seed=0, start=1, stop=2, device=CPU)
    later.load_state_dict(state)
    task.loss(model, next(later))
    assert model.before[-1] == [1.0, 1.0]


def test_no_gradient_goes_into_the_state(tmp_path: Path, caches: Path) -> None:
    class Learns(Says):
        def forward(self, input_ids: Tensor, state: Any = None, return_dict: bool = True) -> Said:
            said = super().forward(input_ids, state)
            return Said(said.logits, (said.state[0] * self.scores.sum(),))

    task, model = carrying(tmp_path), Learns(torch.ones(12))
    for batch in task.batches(2, seed=0, start=0, stop=2, device=CPU):
        task.loss(model, batch).backward()
    assert not batch.carried.state_dict()["0"].requires_grad


def test_a_state_that_is_no_tensor_is_refused(tmp_path: Path, caches: Path) -> None:
    class Lists(Says):
        def forward(self, input_ids: Tensor, state: Any = None, return_dict: bool = True) -> Said:
            return Said(super().forward(input_ids).logits, [1.0])

    task = carrying(tmp_path)
    (batch,) = task.batches(2, seed=0, start=0, stop=1, device=CPU)
    with pytest.raises(RunError, match=r"task.carry_state: the model gave a list as its state, and a checkpoint holds"):
        task.loss(Lists(torch.zeros(12)), batch)


def test_a_model_without_a_state_is_refused_before_it_is_made(tmp_path: Path, caches: Path) -> None:
    with pytest.raises(ModelError, match=r"and the task needs next tokens with a state carried on: .* named lstm-lm"):
        architecture_for("transformers/gpt2", {}, carrying(tmp_path).signature)


def test_a_model_of_fewer_words_is_refused(tmp_path: Path, caches: Path) -> None:
    with pytest.raises(DataError, match=r"the words of split 'train' of .* are 12 tokens, the model has 11: make one"):
        carrying(tmp_path).evaluate(Says(torch.zeros(11)), "test", CPU)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"tokens": {"kind": "words", "min_count": 4}}, r"min_count: no word of .* stands there 4 times: lower it"),
        ({"tokens": {"kind": "letters"}}, r"kind"),
        ({"tokenizer": "./somewhere"}, "tokens takes whole words and tokenizer other tokens: leave one of them out"),
        ({"vocabulary": 300}, "tokens takes whole words and vocabulary other tokens: leave one of them out"),
        ({"separator": " "}, "with tokens every text ends with <eos>: leave separator out"),
    ],
)
def test_what_is_no_vocabulary(tmp_path: Path, caches: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, ValueError), match=message):
        task_of(tmp_path, TRAIN, ["the cat"], **{"length": 2} | keys)


def test_too_many_rows(tmp_path: Path, caches: Path) -> None:
    task = carrying(tmp_path)
    assert task.steps_per_epoch(4) == 1
    (batch,) = task.batches(128, seed=0, start=0, stop=1, device=CPU)
    assert batch.tokens.shape == (4, 3), "scores are of as many as there are"
    message = r"training.batch_size: 12 tokens are too few for 5 rows, each of 2 tokens after a first one: lower it or"
    with pytest.raises(DataError, match=message):
        task.steps_per_epoch(5)
