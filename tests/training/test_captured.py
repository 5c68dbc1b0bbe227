"""Updates by tensors of few shapes, which CUDA graphs are captured of: the numbers of the plain loop."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_population import CONV, LENET, digits, jobs_of, training
from made_task import CPU, MadeImages
from text_folders import LETTERS, write_data, write_tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ticketzoo.masks.attach import hooks_paused
from ticketzoo.models import architecture_of, model_state
from ticketzoo.models.create import architecture_for
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.models.state import State, copy_state
from ticketzoo.recipe import Steps
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks import TASKS, create_task
from ticketzoo.tasks.fill_mask import FillMask, FillMaskConfig, room_for
from ticketzoo.tasks.text_classification import TextClassification, TextClassificationConfig
from ticketzoo.training import TrainingConfig, train
from ticketzoo.training.callbacks import Callbacks, Resumption
from ticketzoo.training.captured import StaticUpdates, _random_states, why_not
from ticketzoo.training.checkpoint import Checkpoint, optimizer_tensors, save_checkpoint
from ticketzoo.training.forward import seed_generators
from ticketzoo.training.job import Job
from ticketzoo.training.loop import Descent
from ticketzoo.training.optim import create_optimizer, make_capturable, set_learning_rate
from ticketzoo.training.python_state import changed, python_state
from ticketzoo.training.record import Record

CUDA = torch.device("cuda")
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

BERT = {"vocab_size": 31, "max_position_embeddings": 32, "hidden_size": 16, "num_hidden_layers": 2}
BERT |= {"num_attention_heads": 2, "intermediate_size": 32}
LINES = [" ".join(LETTERS[(start + place) % 26] for place in range(1 + start % 13)) for start in range(40)]


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("letters"), limit=32)


@pytest.fixture
def lines(tmp_path: Path, caches: Path) -> Path:
    rows = [{"text": line, "label": int(line[0] in "aeiou")} for line in LINES]
    return write_data(tmp_path / "lines", {"train": rows, "test": rows[:8]})


def fill_mask(lines: Path, letters: Path, **keys: Any) -> FillMask:
    content = {"type": "fill-mask", "dataset": {"path": str(lines), "validation": 0, "column": "text"}}
    task = create_task(FillMaskConfig.model_validate({**content, "max_length": 16, **keys}), tokenizer=letters)
    assert isinstance(task, FillMask)
    return task


def classification(lines: Path, letters: Path) -> TextClassification:
    content = {"type": "text-classification", "dataset": {"path": str(lines), "validation": 0}, "max_length": 16}
    task = create_task(TextClassificationConfig.model_validate(content), tokenizer=letters)
    assert isinstance(task, TextClassification)
    return task


def bert(head: str, **keys: Any) -> dict[str, Any]:
    return architecture_of("transformers/bert", {"head": head, "num_labels": 2, "config": BERT | keys})


def of_texts(kind: str, lines: Path, letters: Path) -> tuple[dict[str, Any], Any]:
    if kind == "classification":
        return bert("text-classification"), classification(lines, letters)
    return bert("fill-mask"), fill_mask(lines, letters, sequences=kind)


DIGITS = {"path": "digits", "classes": [0, 1, 2], "examples": 40, "validation": 0}
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "views": ("lenet-300-100", {"type": "self-supervised", "dataset": DIGITS, "projection": [16, 8]}),
    "attacked": (
        "lenet-300-100",
        {"type": "image-classification", "dataset": DIGITS, "adversarial": {"epsilon": 0.1, "steps": 2}},
    ),
    "sums": ("one-layer-transformer", {"type": "modular-addition", "modulus": 11}),
}
"""Tasks that are neither plain images nor texts, and a model of each."""


def of_others(kind: str) -> tuple[dict[str, Any], Any]:
    name, content = OTHERS[kind]
    task = create_task(TASKS[content["type"]].config.model_validate(content))
    width = {"width": 8, "units": 8} if kind == "sums" else {"width": 0.1}
    return architecture_for(name, width, task.signature), task


def plain(job: Job, device: torch.device = CPU, **keys: Any) -> State:
    model = job.model(device)
    train(model, job.task, job.training, seed=job.seed, device=device, **keys)
    return copy_state(model)


def static(job: Job) -> State:
    """Train in the tensors that a GPU would capture updates of."""
    model, config, task = job.model(CPU), job.training, job.task
    optimizer = create_optimizer(config.optimizer, model.parameters())
    make_capturable(optimizer)
    descent = Descent(model, model, optimizer, task, config, job.seed, CPU)
    with hooks_paused(model) as zero_pruned_gradients, torch.random.fork_rng():
        updates = StaticUpdates(descent.update(zero_pruned_gradients), model, task, optimizer, CPU)
        model.train()
        for step, batch in enumerate(task.batches(config.batch_size, job.seed, 0, job.iterations, CPU)):
            set_learning_rate(optimizer, config, step, job.iterations, task.steps_per_epoch(config.batch_size))
            seed_generators(CPU, derive_seed(job.seed, "augment", step))
            updates(batch, 1.0)
    return copy_state(model)


def assert_close(ours: State, theirs: State, **tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], **({"rtol": 0.0, "atol": 1e-6} | tolerance))


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("architecture", [LENET, CONV], ids=["lenet", "conv"])
def test_images_give_the_same_bits(architecture: dict[str, Any], optimizer: str, clip_norm: float | None) -> None:
    for job in jobs_of(architecture, training(optimizer, clip_norm=clip_norm), seeds=1, arms=2):
        assert_close(static(job), plain(job), atol=0.0)


@pytest.mark.parametrize("kind", OTHERS)
def test_views_attacked_images_and_sums_give_the_same_bits(kind: str) -> None:
    architecture, task = of_others(kind)
    _, job = jobs_of(architecture, training("adam", evaluate_every="2ep"), seeds=1, arms=2, task=task)
    assert_close(static(job), plain(job), atol=0.0)


def test_images_are_augmented_before_they_are_captured() -> None:
    (job,) = jobs_of(LENET, training(), seeds=1, arms=1, task=digits(crop=1, flip=True))
    assert_close(static(job), plain(job), atol=0.0)


@pytest.mark.parametrize("sequences", ["blocks", "lines"])
def test_masked_tokens_with_room_for_more_give_the_same_numbers(sequences: str, lines: Path, letters: Path) -> None:
    task = fill_mask(lines, letters, sequences=sequences)
    config = training("adamw", batch_size=8, clip_norm=1.0, schedule={"name": "linear", "warmup": "2it"})
    for job in jobs_of(bert("fill-mask"), config, seeds=1, arms=2, task=task):
        assert_close(static(job), plain(job), atol=1e-5)  # gradients of 0 but for rounding, in adamw


def test_texts_give_the_same_bits(lines: Path, letters: Path) -> None:
    config = training("adamw", batch_size=8, clip_norm=1.0)
    for job in jobs_of(bert("text-classification"), config, seeds=1, arms=2, task=classification(lines, letters)):
        assert_close(static(job), plain(job), atol=0.0)


def test_nearly_all_batches_of_a_shape_have_the_same_room() -> None:
    """Of 2,048 tokens 307 are masked on average, 16 more or fewer as a rule: room for 355.7, in sixteens."""
    assert {room_for(masked, 2048, 0.15) for masked in (1, 307, 368)} == {368}
    assert room_for(369, 2048, 0.15) == 560  # 23 sixteens, and 12 more
    assert room_for(0, 2048, 0.15) == 0
    for tokens in (1, 7, 40):
        assert all(room_for(tokens, tokens, share) >= tokens for share in (0.01, 0.5, 0.99))


def test_on_a_gpu_texts_are_padded_to_eights_but_no_longer_than_the_longest(lines: Path, letters: Path) -> None:
    sequences = classification(lines, letters)._sequences["train"]  # of 3 to 15 tokens
    lengths = sequences.lengths.tolist()
    for longest, width in ((3, 8), (8, 8), (9, 15), (15, 15)):
        indices = torch.tensor([lengths.index(3), lengths.index(longest)])
        assert sequences.width(indices, CUDA) == width
        assert sequences.width(indices, CPU) == longest


def test_padding_to_eights_changes_no_loss(lines: Path, letters: Path) -> None:
    task = classification(lines, letters)
    sequences, labels = task._sequences["train"], task._labels["train"]
    (job,) = jobs_of(bert("text-classification"), training(), seeds=1, arms=1, task=task)
    model = job.model(CPU).eval()
    for indices in torch.arange(40).split(5):
        losses = [
            task.loss(model, (sequences.inputs(indices, CPU, width=width), labels[indices]))
            for width in (None, sequences.width(indices, CUDA))
        ]
        torch.testing.assert_close(*losses, rtol=0.0, atol=1e-6)


def test_what_an_optimizer_allocates_at_once_changes_no_bit_of_a_training_that_is_resumed(tmp_path: Path) -> None:
    """A checkpoint of one kind is gone on from by the other."""
    (job,) = jobs_of(LENET, training("adamw"), seeds=1, arms=1)
    model = job.model(CPU)
    optimizer = create_optimizer(job.training.optimizer, model.parameters())
    make_capturable(optimizer)
    descent = Descent(model, model, optimizer, job.task, job.training, job.seed, CPU)
    for step, _, _ in descent.updates(0, job.iterations):
        if step == 3:
            tensors = model_state(model), optimizer_tensors(optimizer)
            save_checkpoint(tmp_path, Checkpoint(3, *tensors, dict(vars(Record()))))
            break
    assert_close(plain(job, callbacks=Callbacks(resumption=Resumption(tmp_path))), plain(job), atol=0.0)


class Looks(TorchDispatchMode):
    """Collects the operations that need a number of a tensor in Python, or copy one from there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.removeprefix("aten::")
        looked = {"_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal", "lift_fresh"}
        by_truth = name.startswith("index") and len(args) > 1 and isinstance(args[1], list | tuple)
        if name in looked or (by_truth and any(one is not None and one.dtype is torch.bool for one in args[1])):
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["lenet", "conv", "blocks", "lines", "classification", *OTHERS])
def test_no_update_looks_at_numbers(kind: str, lines: Path, letters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking cannot be captured. Transformers does not look at attention masks while it is."""
    monkeypatch.setattr("transformers.utils.import_utils.is_cuda_stream_capturing", lambda: True)
    known = {"lenet": (LENET, digits()), "conv": (CONV, digits())}
    architecture, task = known.get(kind) or (of_others(kind) if kind in OTHERS else of_texts(kind, lines, letters))
    job = jobs_of(architecture, training("adamw", clip_norm=1.0), seeds=1, arms=2, task=task)[1]
    model = job.model(CPU)
    optimizer = create_optimizer(job.training.optimizer, model.parameters())
    make_capturable(optimizer)
    with hooks_paused(model) as zero_pruned_gradients:
        update = Descent(model, model, optimizer, job.task, job.training, 0, CPU).update(zero_pruned_gradients)
        for batch in task.batches(8, 0, 0, 3, CPU):
            made = task.static(batch)
            again = made.batch(made.tensors)
            update(again, 1.0)
            with Looks() as looks:
                update(again, 1.0)
            assert looks.found == []


@pytest.mark.parametrize(
    ("task", "keys", "why"),
    [
        (digits(), {}, None),
        (digits(), {"compile": True}, "the model is compiled (training.compile)"),
        (MadeImages(), {}, "the task made has no `static`, which makes tensors of its batches"),
    ],
)
def test_why_updates_are_not_captured(task: Any, keys: dict[str, Any], why: str | None) -> None:
    assert why_not(task, training(**keys)) == why


def test_capturing_is_not_part_of_an_address_unless_it_is_off() -> None:
    (job,) = jobs_of(LENET, training(), seeds=1, arms=1)
    said = replace(job, training=TrainingConfig.model_validate(job.training.model_dump() | {"capture": "auto"}))
    assert "capture" not in job.specification()["training"]
    assert said.specification() == job.specification()
    off = replace(job, training=job.training.model_copy(update={"capture": "off"}))
    assert off.specification()["training"]["capture"] == "off"


def uncaptured(job: Job) -> Job:
    return replace(job, training=job.training.model_copy(update={"capture": "off"}))


def replays(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Count the updates that were captured."""
    count: list[None] = []

    class Counted(torch.cuda.CUDAGraph):
        def replay(self) -> None:
            count.append(None)
            super().replay()

    monkeypatch.setattr("torch.cuda.CUDAGraph", Counted)
    return count


@on_cuda
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("architecture", [LENET, CONV], ids=["lenet", "conv"])
def test_captured_images(architecture: dict[str, Any], optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five batches of 16 an epoch; dropout comes from the same random numbers."""
    config = training(optimizer, clip_norm=0.5)
    for job in jobs_of(architecture, config, seeds=1, arms=2, task=digits(crop=1, flip=True)):
        expected, count = plain(uncaptured(job), CUDA), replays(monkeypatch)
        assert_close(plain(job, CUDA), expected, atol=1e-5)
        assert len(count) == job.iterations - 1


@on_cuda
@pytest.mark.parametrize("kind", ["blocks", "lines", "classification"])
def test_captured_texts(kind: str, lines: Path, letters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, task = of_texts(kind, lines, letters)
    config = training("adamw", batch_size=8, clip_norm=1.0, steps="30it")
    for job in jobs_of(architecture, config, seeds=1, arms=2, task=task):
        expected, count = plain(uncaptured(job), CUDA), replays(monkeypatch)
        assert_close(plain(job, CUDA), expected, atol=1e-4)
        assert len(count) >= 10


@on_cuda
@pytest.mark.parametrize("kind", OTHERS)
def test_captured_views_attacked_images_and_sums(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, task = of_others(kind)
    _, job = jobs_of(architecture, training("adam", evaluate_every="2ep"), seeds=1, arms=2, task=task)
    expected, count = plain(uncaptured(job), CUDA), replays(monkeypatch)
    assert_close(plain(job, CUDA), expected, atol=1e-4)
    assert count


@on_cuda
def test_a_captured_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    (job,) = jobs_of(LENET, training("adamw"), seeds=1, arms=1)
    half = replace(job, training=job.training.model_copy(update={"steps": Steps(6, "it")}))
    resumption = Resumption(tmp_path, every_seconds=0)
    plain(half, CUDA, callbacks=Callbacks(resumption=resumption))
    assert_close(plain(half, CUDA, callbacks=Callbacks(resumption=resumption)), plain(half, CUDA), atol=1e-5)


class Branching(nn.Module):
    """A model that looks at its numbers, and draws dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 3)

    def forward(self, images: Tensor) -> Tensor:
        scores = self.fc(F.dropout(images.flatten(1), 0.1, self.training))
        return scores if scores.sum().item() > 0 else 2 * scores


class Drawing(nn.Module):
    """A model that draws on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1)) * torch.rand(()).item()


@pytest.mark.parametrize("draw", [lambda: torch.rand(()), random.random, np.random.rand], ids=["torch", "own", "numpy"])
def test_what_is_drawn_on_the_cpu_is_seen(draw: Callable[[], object]) -> None:
    before = _random_states()
    assert _random_states() == before
    draw()
    assert _random_states() != before


class Plain(nn.Module):
    """A model that keeps nothing but what BatchNorm changes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm1d(64), nn.Linear(64, 3))

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.layers(images.flatten(1))
        return out


class Counting(nn.Module):
    """A model that counts its calls in Python and divides by them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 3)
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.fc(images.flatten(1)) / self.calls


class Exchanging(Counting):
    """A model whose running average is a new tensor after each call."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(64))

    def forward(self, images: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * images.flatten(1).mean(0)
        return self.fc(images.flatten(1) - self.mean)


@pytest.mark.parametrize(("model", "name"), [(Counting, "calls"), (Exchanging, "mean"), (Plain, None)])
def test_what_a_graph_could_not_follow_is_seen(model: type[nn.Module], name: str | None) -> None:
    network = model()
    before = python_state(network)
    network(torch.zeros(2, 64))
    assert changed(before, python_state(network)) == name


@on_cuda
@pytest.mark.parametrize("model", [Branching, Drawing, Counting, Exchanging])
def test_a_model_that_cannot_be_captured_is_trained_all_the_same(
    model: type[nn.Module], caplog: pytest.LogCaptureFixture
) -> None:
    (job,) = jobs_of(OwnArchitecture(model), training(), seeds=1, arms=1)
    assert_close(plain(job, CUDA), plain(uncaptured(job), CUDA), atol=1e-5)
    assert sum("not captured" in record.getMessage() for record in caplog.records) == 1
