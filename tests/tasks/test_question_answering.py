import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from text_folders import CLS, PAD, SEP, token, write_data, write_tokenizer
from torch import Tensor, nn
from transformers import BertConfig

from ticketzoo.data.text.rows import TextRows
from ticketzoo.data.text.squad import Answer, Question
from ticketzoo.data.text.squad_windows import _tokenize
from ticketzoo.data.text.tokenizer import Tokenizer, load_tokenizer
from ticketzoo.errors import DataError
from ticketzoo.models import create_from_architecture
from ticketzoo.models.create import arguments_for
from ticketzoo.tasks import create_task
from ticketzoo.tasks.question_answering import QuestionAnswering, QuestionAnsweringConfig
from ticketzoo.tasks.squad_answers import best_spans

CPU = torch.device("cpu")
NO_ANSWERS = "column 'answers' must hold the lists `text` and `answer_start` of each row"


def row(question: str, context: str, *answers: tuple[str, int]) -> dict[str, Any]:
    stored = {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]}
    return {"id": question, "question": question, "context": context, "answers": stored}


def task_of(path: Path, letters: Path, dataset: dict[str, Any] | None = None, **keys: Any) -> QuestionAnswering:
    content: dict[str, Any] = {"type": "question-answering", "dataset": {"path": str(path), "validation": 0}}
    content["dataset"] |= dataset or {}
    lengths = {"max_length": 12, "stride": 2, "question_length": 3}
    task = create_task(QuestionAnsweringConfig.model_validate(content | lengths | keys), tokenizer=letters)
    assert isinstance(task, QuestionAnswering)
    return task


@pytest.fixture
def folder(tmp_path: Path, caches: Path) -> Path:
    """Contexts in which `x` comes before the answer and `y` after it."""
    train = [row("q", "a b x c d y e", ("c d", 6)), row("q", "x a y b c d e f g h", ("a", 2))]
    test = [
        row("q", "a b x c, d y e", ("c, d", 6), ("d", 9)),
        row("q r s t u", "a b c d e f g h x i y j", ("i", 18)),
        row("q", "a x b y", ("b", 4)),
    ]
    return write_data(tmp_path / "quiz", {"train": train, "test": test})


class Between(nn.Module):
    """Scores 5 for the token after `x` to be the first, 5 for the one before `y` to be the last; `cls` for none."""

    def __init__(self, cls: float = 0.0) -> None:
        super().__init__()
        self.config = BertConfig(vocab_size=40, max_position_embeddings=64)
        self.cls = cls

    def forward(self, input_ids: Tensor, **others: Tensor) -> Any:
        class Output:
            start_logits = 5.0 * (input_ids.roll(1, 1) == token("x"))
            end_logits = 5.0 * (input_ids.roll(-1, 1) == token("y"))

        Output.start_logits[:, 0] = Output.end_logits[:, 0] = self.cls
        return Output()


def test_a_window_is_the_question_and_a_part_of_the_context(folder: Path, letters: Path) -> None:
    task = task_of(folder, letters)
    assert task.steps_per_epoch(1) == 3  # of the second context's 10 tokens, 8 and then 2 shared and 2 more
    ((inputs, answers),) = task.batches(3, 0, 0, 1, CPU)
    rows = {
        tuple(ids[ids != PAD].tolist()): answer.tolist()
        for ids, answer in zip(inputs["input_ids"], answers, strict=True)
    }
    front = (CLS, token("q"), SEP)
    assert rows == {
        (*front, *map(token, "abxcdye"), SEP): [6, 7],
        (*front, *map(token, "xaybcdef"), SEP): [4, 4],
        (*front, *map(token, "efgh"), SEP): [0, 0],
    }
    for ids, segments in zip(inputs["input_ids"].tolist(), inputs["token_type_ids"].tolist(), strict=True):
        assert segments == [0, 0, 0] + [1] * (len(ids) - 3 - ids.count(PAD)) + [0] * ids.count(PAD)


def test_the_loss_is_the_mean_over_both_ends(folder: Path, letters: Path) -> None:
    task, model = task_of(folder, letters), Between(cls=1.0)
    (batch,) = task.batches(3, 0, 0, 1, CPU)
    # Windows of 11, 12 and 8 tokens, padded to 12; the last has neither x nor y.
    seen = math.log(math.exp(5) + math.exp(1) + 10) - 5
    nothing = math.log(math.exp(1) + 11) - 1
    assert task.loss(model, batch).item() == pytest.approx((2 * seen + nothing) / 3, rel=1e-5)
    outputs = model(**batch[0])
    expected = nn.functional.cross_entropy(torch.cat([outputs.start_logits, outputs.end_logits]), batch[1].T.flatten())
    assert task.loss(model, batch).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("tokens", [1, 8192])
def test_answers_are_texts_of_the_context_scored_over_questions(
    tokens: int, folder: Path, letters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketzoo.tasks.question_answering.EVALUATION_TOKENS", tokens)
    metrics = task_of(folder, letters).evaluate(Between(cls=9.0), "test", CPU)
    # All found, the second in its second window; no answer scores higher, but the training questions all have one.
    assert (metrics["exact_match"], metrics["f1"]) == (1.0, 1.0)


def test_an_answer_found_in_part_counts_in_part(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [row("q", "x c d y e", ("d y e", 4)), row("q", "x c d y e", ("e", 8))]
    task = task_of(write_data(tmp_path / "data", {"train": rows, "test": rows}), letters)
    # Found: "c d", of whose two words one is among the three right ones of the first question.
    assert task.evaluate(Between(), "test", CPU)["f1"] == pytest.approx(2 * 1 / (2 + 3) / 2)
    assert task.evaluate(Between(), "test", CPU)["exact_match"] == 0


def test_no_answer_is_an_answer_where_training_questions_have_none(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [row("q", "x c y"), row("q", "x c d y", ("c d", 2))]
    task = task_of(write_data(tmp_path / "data", {"train": rows, "test": rows}), letters)
    assert task.evaluate(Between(cls=4.0), "test", CPU)["exact_match"] == 0.5  # 8 for none, 10 for the spans
    assert task.evaluate(Between(cls=6.0), "test", CPU)["exact_match"] == 0.5  # 12 for none
    assert task.guesses("test") == {"exact_match": [0.5], "f1": [0.5]}, "no answer to every question"
    ((_, answers),) = task.batches(2, 0, 0, 1, CPU)
    assert sorted(answers.tolist()) == [[0, 0], [4, 5]]


def test_the_best_span_is_in_the_context_in_order_and_not_too_long() -> None:
    start, end = torch.zeros(1, 60), torch.zeros(1, 60)
    context = torch.zeros(1, 60, dtype=torch.bool)
    context[0, 5:] = True
    start[0, 2], end[0, 3] = 100, 100  # in the question
    start[0, 20], end[0, 10] = 50, 50  # ends before it starts
    end[0, 50] = 40  # 31 tokens from the start
    end[0, 49] = 30  # 30 tokens
    spans = best_spans(start, end, context)
    assert (spans.first.tolist(), spans.last.tolist(), spans.score.tolist()) == ([20], [49], [80.0])
    assert best_spans(start, end, torch.zeros_like(context)).score.tolist() == [-math.inf]


def test_the_best_span_is_found_among_the_best_ends_alone() -> None:
    start, end = -torch.arange(100.0)[None], torch.arange(100.0)[None]
    spans = best_spans(start, end, torch.ones(1, 100, dtype=torch.bool))
    assert spans.score.tolist() == [-math.inf]  # the 20 best starts end before the 20 best ends, 61 tokens away


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@given(data=st.data(), context=st.text(alphabet="abcé ,\n", min_size=1, max_size=40).filter(str.strip))
@settings(max_examples=60)
def test_the_answer_s_tokens_are_those_that_meet_its_characters(tokenizer: Tokenizer, data: Any, context: str) -> None:
    begin = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(begin + 1, len(context)))
    text = context[begin:end]
    question = Question("b c d e f", context, (Answer(text, begin),))
    rows = TextRows(None, torch.tensor([0]), "a split")
    made = _tokenize(rows, [question], tokenizer, max_length=12, stride=2, question_length=3)
    covered: set[int] = set()
    for number, (first, last) in enumerate(made["answers"].tolist()):
        here = slice(int(made["offsets"][number]), int(made["offsets"][number + 1]))
        ids, starts, ends = made["ids"][here], made["starts"][here].tolist(), made["ends"][here].tolist()
        assert ids[:5].tolist() == [CLS, *map(token, "bcd"), SEP] and len(ids) <= 12
        covered |= {place for start, stop in zip(starts, ends, strict=True) for place in range(start, stop)}
        real = [place for place, start in enumerate(starts) if start >= 0]
        whole = starts[real[0]] <= begin and end <= ends[real[-1]]
        meeting = [place for place in real if starts[place] < end and begin < ends[place]]
        assert (first, last) == ((meeting[0], meeting[-1]) if whole and meeting else (0, 0))
    assert covered == {place for place, letter in enumerate(context) if not letter.isspace()}


def test_what_was_found_is_told(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [row("q", "a b", ("b", 2)), row("r", "a b")]
    task = task_of(write_data(tmp_path / "data", {"train": rows, "test": rows[:1]}), letters)
    assert task.source["laid_out"] == [
        "train: 2 questions",
        "validation: 0 questions",
        "test: 1 question",
        "columns: question, context, answers",
        "1 of the 2 questions of train have no answer",
        "1 of the 1 texts to test on are trained on, too",
    ]


@pytest.mark.parametrize("answers", [{"answers": None}, {}, {"answers": {"text": [], "answer_start": []}}])
def test_a_split_without_answers_is_not_tested_on(
    answers: dict[str, Any], tmp_path: Path, caches: Path, letters: Path
) -> None:
    rows = [row(name, "a b", ("b", 2)) for name in "qrst"]
    held_out = [{"question": "z", "context": "c", **answers}]
    task = task_of(write_data(tmp_path / "data", {"train": rows, "test": held_out}), letters, {"test": 1})
    assert task.examples == {"train": 3, "validation": 0, "test": 1}
    assert "split test has no labels, it is not used" in task.source["laid_out"]


def test_the_identity_is_of_windows_and_answers(folder: Path, letters: Path, tmp_path: Path) -> None:
    identity = task_of(folder, letters).identity
    assert task_of(folder, letters).identity == identity  # from the cache
    for keys in ({"max_length": 13}, {"stride": 1}, {"question_length": 2}):
        assert task_of(folder, letters, **keys).identity != identity
    stored = (folder / "data" / "test-00000-of-00001.jsonl").read_text()
    other = write_data(tmp_path / "other", {"train": []})
    (other / "data" / "train-00000-of-00001.jsonl").write_bytes(
        (folder / "data" / "train-00000-of-00001.jsonl").read_bytes()
    )
    (other / "data" / "test-00000-of-00001.jsonl").write_text(
        stored.replace('"c, d", "d"', '"c, d", "c"').replace("[6, 9]", "[6, 6]")
    )
    assert task_of(other, letters).identity != identity


def test_the_model_that_the_task_asks_for_learns(tmp_path: Path, caches: Path, letters: Path) -> None:
    rows = [row("q", f"{left} x {letter} y {left}", (letter, 4)) for letter in "abcdefgh" for left in "ijk"]
    task = task_of(write_data(tmp_path / "data", {"train": rows, "test": rows}), letters)
    config = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "intermediate_size": 32, "max_position_embeddings": 64}  # fmt: skip
    kwargs = {"config": config, **arguments_for("transformers/bert", task.signature)}
    model = create_from_architecture({"library": "transformers", "name": "bert", "kwargs": kwargs}, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for batch in task.batches(8, 0, 0, 40, CPU):
        task.loss(model, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    metrics = task.evaluate(model.eval(), "test", CPU)
    assert metrics["f1"] > 0.9 and task.metric.name == "f1"


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ([row("q", "a b", ("b", 1))], {}, "train-.*jsonl, line 1: the answer 'b' is not at character 1"),
        ([row("q", "a b", ("b", 2)), row("q", "a b", ("c", 9))], {}, "line 2: the answer 'c' is not at character 9"),
        ([row("q", " ", ("b", 2))], {}, "line 1 has no context"),
        ([row("", "a b", ("b", 2))], {}, "line 1 has no question"),
        ([{"question": "q", "answers": {"text": ["a"], "answer_start": [0]}}], {}, "has no text column 'context'"),
        ([{"question": "q", "context": "a"}], {}, r"has no column 'answers'; its columns: question \(text\), context"),
        ([{"question": "q", "context": "a", "answers": "a"}], {}, NO_ANSWERS),
        ([{"question": "q", "context": "a", "answers": [{"text": "a", "answer_start": 0}]}], {}, NO_ANSWERS),
        ([{"question": "q", "context": "a", "answers": {"text": ["a"], "answer_start": ["0"]}}], {}, NO_ANSWERS),
        (
            [row("q", "a b", ("b", 2))],
            {"stride": 6},
            "windows of 12 tokens leave 6 to the context beside a question of 3",
        ),
        ([row("q", "a b", ("b", 2))], {"max_length": 100}, "more than the 64 tokens"),
    ],
)
def test_data_that_holds_no_answers_is_an_error(
    rows: list[dict[str, Any]], keys: dict[str, Any], message: str, tmp_path: Path, caches: Path, letters: Path
) -> None:
    folder = write_data(tmp_path / "data", {"train": rows, "test": rows})
    with pytest.raises(DataError, match=message) as error:
        task_of(folder, letters, **keys)
    assert "\n" not in str(error.value)
