"""Extractive question answering: the stretch of a text that answers a question, scored as SQuAD does."""

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.order import evaluation_order, on_device, whole_order
from ticketzoo.data.text.rows import TextDataset
from ticketzoo.data.text.sequences import EVALUATION_TOKENS, Inputs, check_model, fingerprint
from ticketzoo.data.text.squad import Question, load_questions
from ticketzoo.data.text.squad_windows import Windows, check_windows, make_windows
from ticketzoo.data.text.tokenizer import Tokenizer, check_max_length
from ticketzoo.distributed.processes import share_of, shared_out
from ticketzoo.models.signature import Signature, Spans, Tokens
from ticketzoo.recipe import DataName
from ticketzoo.tasks.metrics import F1
from ticketzoo.tasks.squad_answers import BestAnswers, best_spans, squad_scores
from ticketzoo.tasks.table import TASKS, TaskSection
from ticketzoo.tasks.task import StaticBatch

Batch = tuple[Inputs, Tensor]


class QuestionAnsweringConfig(TaskSection):
    """The `task:` section of a recipe for question answering; defaults as for SQuAD (Devlin et al. 2019).

    Attributes:
        dataset: questions to train and test on, with columns `question`, `context` and `answers` (of `text` and
            `answer_start`).
        name: name of the data in results and file names; by default the data set's.
        tokenizer: folder or Hub id of the tokenizer that cuts texts into tokens; by default the model's own.
        max_length: largest number of tokens in a window, question and special ones included.
        stride: number of tokens that neighbouring windows of a long context share, as in transformers. The BERT paper's
            code counts those between the windows' starts instead.
        question_length: number of tokens at which a question is cut off.
    """

    type: Literal["question-answering"]
    dataset: TextDataset
    name: DataName | None = None
    tokenizer: str | None = None
    max_length: Annotated[int, Field(ge=4)] = 384
    stride: Annotated[int, Field(ge=0)] = 128
    question_length: Annotated[int, Field(ge=1)] = 64


@TASKS.add(
    "question-answering", config=QuestionAnsweringConfig, words="question answering", texts=Signature(Tokens(), Spans())
)
class QuestionAnswering:
    """The `Task` (see `ticketzoo.tasks.task`) of finding answers; training examples are windows, not questions."""

    metric = F1

    def __init__(self, config: QuestionAnsweringConfig, tokenizer: Tokenizer) -> None:
        """Load and tokenize the data.

        Raises:
            DataError: it is missing or not in SQuAD's form.
        """
        check_max_length(tokenizer, config.max_length)
        lengths = {key: getattr(config, key) for key in ("max_length", "stride", "question_length")}
        check_windows(**lengths, tokenizer=tokenizer)
        splits, laid_out = load_questions(config.dataset)
        windows = {name: make_windows(part.rows, part.questions, tokenizer, **lengths) for name, part in splits.items()}
        self.name = config.name or config.dataset.short_name
        self.signature = Signature(Tokens(tokenizer.vocabulary), Spans())
        self.has_validation = len(splits["validation"].questions) > 0
        self.examples = {name: len(part.sequences) for name, part in windows.items()}
        held_out = {name: splits[name].questions for name in ("validation", "test")}
        unanswerable = any(not question.answers for question in splits["train"].questions)
        content = _fingerprint(windows, held_out)
        self.identity = {
            "type": config.type,
            "fingerprint": content,
            "vocabulary": tokenizer.vocabulary,
            "unanswerable": unanswerable,
        }
        source = {"dataset": config.dataset.id, "revision": config.dataset.revision, "fingerprint": content}
        self.source = {**source, **laid_out}
        self._tokenizer, self._unanswerable = tokenizer, unanswerable
        self._windows, self._questions = windows, held_out
        self._longest = max(part.sequences.longest for part in windows.values())

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the iterations in one pass over the training windows, the last smaller batch included."""
        return math.ceil(len(self._windows["train"].sequences) / batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Batch]:
        """Yield (inputs, int64 [b, 2] first and last tokens of the answers) of iterations `start` to `stop - 1`."""
        windows = self._windows["train"]
        sequences = windows.sequences
        for indices in whole_order(len(sequences), batch_size, seed, start, stop, sequences.lengths):
            here, width = (
                share_of(len(indices)).of(indices),
                int(sequences.lengths[indices].max()),
            )  # padding has scores
            yield sequences.inputs(here, device, width=width), on_device(windows.answers[here], device)

    def static(self, batch: Batch) -> StaticBatch:
        """Return a batch as tensors."""
        return StaticBatch.of(lambda inputs, answers: (inputs, answers), *batch)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean over windows, and over first and last token, of the cross-entropy in nats."""
        check_model(model, self._longest, self._tokenizer)
        inputs, answers = batch
        outputs = model(**inputs)
        return _cross_entropy(outputs.start_logits, outputs.end_logits, answers) / len(answers)

    def size(self, batch: Batch) -> int:
        """Return the number of windows in a batch."""
        return len(batch[1])

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return the mean `loss` over windows, and SQuAD's `exact_match` and `f1` (fractions) over questions."""
        check_model(model, self._longest, self._tokenizer)
        windows, questions = self._windows[split], self._questions[split]
        answers, loss = BestAnswers(len(questions)), 0.0

        def scores(indices: Tensor) -> Tensor:
            outputs = model(**windows.sequences.inputs(indices, device))
            return torch.stack([outputs.start_logits, outputs.end_logits]).float().cpu()

        order = evaluation_order(windows.sequences.lengths, EVALUATION_TOKENS)
        for indices, (starts, ends) in shared_out(scores, order):
            loss += _cross_entropy(starts, ends, windows.answers[indices]).item()
            first_characters = windows.sequences.padded(windows.starts, indices, -1)
            last_characters = windows.sequences.padded(windows.ends, indices, -1)
            spans = best_spans(starts, ends, first_characters >= 0)
            answers.add(windows.question[indices], spans, first_characters, last_characters)
        found = answers.texts([question.context for question in questions], may_be_none=self._unanswerable)
        right = [[answer.text for answer in question.answers] for question in questions]
        return {"loss": loss / len(windows.sequences), **squad_scores(found, right)}

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return what an answer without words scores throughout: the share of questions that have none."""
        right = [[answer.text for answer in question.answers] for question in self._questions[split]]
        return {metric: [score] for metric, score in squad_scores([""] * len(right), right).items()}


def _cross_entropy(start_logits: Tensor, end_logits: Tensor, answers: Tensor) -> Tensor:
    """Return the sum over windows, mean over first and last token."""
    first = F.cross_entropy(start_logits, answers[:, 0], reduction="sum")
    last = F.cross_entropy(end_logits, answers[:, 1], reduction="sum")
    return (first + last) / 2


def _fingerprint(windows: dict[str, Windows], held_out: dict[str, list[Question]]) -> str:
    asked = hashlib.sha256()
    for questions in held_out.values():
        for question in questions:
            asked.update(json.dumps([question.context, [answer.text for answer in question.answers]]).encode())
    answers = [windows[name].answers.numpy().tobytes() for name in ("train", "validation", "test")]
    return fingerprint({name: part.sequences for name, part in windows.items()}, *answers, asked.digest())
