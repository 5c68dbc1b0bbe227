"""A masked-language-modelling ticket of a tiny BERT: found by recipe, stored by reference, retrained under heads."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from text_folders import LETTERS, write_data, write_tokenizer
from tiny_bert import PRUNABLE, save_tiny_bert
from torch import nn
from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification, Trainer, TrainingArguments

from ticketzoo import Ticket, TicketCallback, load_ticket
from ticketzoo.errors import RecipeError, RunError, TicketError
from ticketzoo.finding.package import find_and_package, plan_find
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.run import Search, find_tickets
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models import create_from_architecture, load_base
from ticketzoo.models.create import arguments_for
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.store import Store
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.report import run_transfer
from ticketzoo.tasks import create_task
from ticketzoo.tasks.text_classification import TextClassificationConfig
from ticketzoo.ticket import BaseWeights
from ticketzoo.training import TrainingConfig, train
from ticketzoo.zoo.summary import read_summary

COMMIT = "1" * 40
LAYERS = PRUNABLE - 64 * 64
"""Prunable weights of the layers; the pooler has the others."""
CPU = torch.device("cpu")
LINES = [" ".join(LETTERS[(start + place) % 26] for place in range(3 + start % 9)) for start in range(60)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's pretrained model without a head, with its tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    write_tokenizer(folder, limit=32)
    return save_tiny_bert(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder / "text", {"train": [{"text": line} for line in LINES], "test": [{"text": LINES[0]}]})
    rows = [{"sentence": line, "label": number % 3} for number, line in enumerate(LINES)]
    write_data(folder / "classes", {"train": rows, "test": rows[:9]})
    return folder


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("caches")
        patch.setenv("TICKETZOO_CACHE", str(folder))
        patch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "datasets")
        yield


def classes(data: Path) -> dict[str, Any]:
    dataset = {"path": str(data / "classes"), "validation": 0}
    return {"type": "text-classification", "dataset": dataset, "max_length": 16}


@pytest.mark.parametrize(
    ("criterion", "said"),
    [
        ("obd", "criterion 'obd': second derivatives need a network whose output is scores of classes"),
        ("synflow", "criterion 'synflow': there is no input of ones for a model that takes texts: choose another"),
    ],
)
def test_a_criterion_that_masked_words_do_not_fit_is_refused_before_the_head_is_trained(
    criterion: str, said: str, base: Path, data: Path, caches: None, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=said):
        find_and_package(recipe(base, data, finder={"prune": {"criterion": criterion}}), tmp_path)
    assert not [*tmp_path.rglob("*.safetensors")]


def recipe(base: Path, data: Path, **keys: Any) -> FindRecipe:
    content = {
        "name": "tiny-bert.letters-imp",
        "model": {"name": f"transformers/big/bert@{COMMIT}", "mirror": str(base)},
        "task": {
            "type": "fill-mask",
            "dataset": {"path": "letters", "mirror": str(data / "text"), "validation": 0},
            "sequences": "lines",
            "max_length": 16,
        },
        "head_first": {"steps": "4it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 0.01}},
        "training": {"steps": "4it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 1e-3}},
        "finder": {"rate": 0.2, "rate_of": "original", "levels": 3, "rewind": "0it"},
        "arms": ["ticket", "magnitude"],
        "arm_levels": [3],
        "seeds": [0, 1],
        "package_from": 1,
    }
    return parse_recipe(content | keys, FindRecipe, "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, base: Path, data: Path, caches: None) -> Path:
    _, folder = find_and_package(recipe(base, data), tmp_path_factory.mktemp("run"))
    return folder


@pytest.fixture
def ticket(folder: Path, base: Path) -> Ticket:
    return load_ticket(str(folder), base=base, level=3)


def test_the_ticket_is_masks_and_a_reference(folder: Path, base: Path, ticket: Ticket) -> None:
    assert [entry.kept for entry in ticket.levels] == [LAYERS - level * round(0.2 * LAYERS) for level in (1, 2, 3)]
    assert ticket.config.rewind.kind == "base"
    assert (ticket.config.rewind.repo_id, ticket.config.rewind.revision) == ("big/bert", COMMIT)
    assert sorted(file.name for file in (folder / "seed-0").iterdir()) == ["masks.safetensors"]
    assert "encoder.layer.0.attention.self.query.weight" in ticket.masks
    assert "pooler.dense.weight" not in ticket.masks  # masked words do not train it
    assert ticket.config.pruning.not_trained == ["pooler.dense.weight"]
    left_out = "**not pruned**: pooler.dense.weight, which fill-mask does not train"
    assert left_out in (folder / "README.md").read_text()
    assert "not pruned    pooler.dense.weight" in read_summary(folder).lines()
    weights = BaseWeights.from_folder(base, "big/bert", COMMIT).state
    for name, mask in ticket.masks.items():
        assert torch.equal(ticket.rewind_state[name], weights[name] * mask)
    written = [file.read_text() for file in folder.iterdir() if file.suffix in (".json", ".yaml", ".jsonl", ".md")]
    assert len(written) == 4
    assert str(base) not in "".join(written)


def test_its_plan(folder: Path, tmp_path: Path, base: Path, data: Path) -> None:
    plan = plan_find(recipe(base, data), tmp_path, seconds=0.01)
    assert (plan.trainings, plan.iterations) == (2 * (1 + 4 + 1), 4 * 12)  # head, levels, magnitude
    assert list(plan.timings) == ["seed 0 head", "seed 0 level 1/3"]
    (warning,) = plan.warnings
    assert warning.startswith("not pruned, as letters does not train them: bert.pooler.dense.weight (finder.include ")
    masks = sum(tensor.nbytes for file in folder.rglob("masks.safetensors") for tensor in load_file(file).values())
    assert plan.disk_bytes["ticket"] == pytest.approx(masks, abs=100)  # the weights are the pretrained model's


def test_include_brings_the_pooler_in_without_a_word(tmp_path: Path, base: Path, data: Path, caches: None) -> None:
    whole = recipe(base, data, finder={"levels": 3, "include": ["bert.pooler.dense"]}, arm_levels=None)
    task = create_task(whole.task, tokenizer=whole.model.tokenizer)
    with Store(tmp_path, device=CPU) as store:
        search = Search(whole, task, store)
    assert search.idle == []
    assert sum(mask.numel() for mask in search.dense.values()) == PRUNABLE


def test_seeds_find_other_tickets_and_the_magnitude_arm_is_measured(ticket: Ticket) -> None:
    assert ticket.config.replicates[0].mask_sha256 != ticket.config.replicates[1].mask_sha256
    arms = {(row["arm"], row["level"]) for row in ticket.results}
    assert arms == {
        ("chance", 0),
        ("dense", 0),
        ("ticket", 0),
        ("ticket", 1),
        ("ticket", 2),
        ("ticket", 3),
        ("magnitude", 3),
    }


def test_head_first_trains_the_head_alone(tmp_path: Path, base: Path, data: Path, caches: None) -> None:
    started: list[dict[str, torch.Tensor]] = []

    class Watched(Store):
        def run(self, job: Any, *args: Any, **keys: Any) -> Any:
            started.append(job.state)
            return super().run(job, *args, **keys)

    asked = recipe(base, data, seeds=[0], arms=["ticket"], arm_levels=None, finder={"levels": 1})
    task = create_task(asked.task, tokenizer=asked.model.tokenizer)
    with Watched(tmp_path, device=CPU) as cells:
        find_tickets(asked, task, cells)
    before, dense, level_1 = started
    changed = {name for name in before if not torch.equal(before[name], dense[name])}
    assert changed == {name for name in before if name.startswith("cls.")}
    assert state_sha256(dense) == state_sha256(level_1)


def test_embeddings_tied_to_the_decoder_and_biases_are_covered_once(
    tmp_path: Path, base: Path, data: Path, caches: None
) -> None:
    finder = {
        "levels": 1,
        "include": ["*decoder", "*LayerNorm.bias"],
        "exclude": ["*.encoder.*.dense"],
        "rewind": "0it",
    }
    asked = recipe(base, data, seeds=[0], arms=["ticket"], arm_levels=None, finder=finder)
    _, folder = find_and_package(asked, tmp_path)
    ticket = load_ticket(str(folder), base=base, level=1)
    attention = [
        f"encoder.layer.{n}.attention.self.{part}.weight" for n in (0, 1) for part in ("query", "key", "value")
    ]
    norms = [f"encoder.layer.{n}.{part}.LayerNorm.bias" for n in (0, 1) for part in ("attention.output", "output")]
    own = {"embeddings.word_embeddings.weight", "embeddings.LayerNorm.bias"}
    assert ticket.masks.keys() == own | {*attention, *norms}
    model: Any = create_from_architecture(ticket.config.architecture.model_dump(mode="json"), seed=0)
    ticket.apply(model)
    decoder = model.cls.predictions.decoder.weight
    assert decoder is model.bert.embeddings.word_embeddings.weight
    mask = ticket.masks["embeddings.word_embeddings.weight"]
    assert 0 < decoder.count_nonzero() <= mask.sum() < mask.numel()
    assert decoder[~mask].eq(0).all()


def masks_in(model: nn.Module, ticket: Ticket) -> None:
    named = {name.removeprefix("bert."): weight.detach() for name, weight in model.named_parameters()}
    assert len(named.keys() & ticket.masks.keys()) >= len(ticket.masks) - 1  # a head may do without the pooler
    for name in named.keys() & ticket.masks.keys():
        mask, weight = ticket.masks[name], named[name]
        assert weight[~mask].eq(0).all()
        assert weight[mask].count_nonzero() == mask.sum()


@pytest.mark.parametrize("head", ["fill-mask", "text-classification", "question-answering"])
def test_one_ticket_fits_under_three_heads(ticket: Ticket, base: Path, head: str) -> None:
    config = ticket.config.architecture
    kwargs = {**config.kwargs, "head": head}
    model = create_from_architecture({"library": "transformers", "name": config.name, "kwargs": kwargs}, seed=0)
    ticket.apply(model)
    masks_in(model, ticket)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        output = model(input_ids=torch.randint(5, 30, (4, 12)))
        (output.start_logits if head == "question-answering" else output.logits).square().mean().backward()
        optimizer.step()
        for name, mask in ticket.masks.items():
            assert model.get_parameter(f"bert.{name}").detach()[~mask].eq(0).all()


def test_our_loop_and_the_trainer_keep_the_same_masks(
    tmp_path: Path, ticket: Ticket, base: Path, data: Path, caches: None
) -> None:
    task = create_task(TextClassificationConfig.model_validate(classes(data)), tokenizer=base)
    kwargs = {**ticket.config.architecture.kwargs, **arguments_for("transformers/bert", task.signature)}
    ours = create_from_architecture({"library": "transformers", "name": "bert", "kwargs": kwargs}, seed=0)
    load_base(ours, BaseWeights.from_folder(base, "big/bert", COMMIT).state)
    ticket.apply(ours)
    training = TrainingConfig.model_validate(
        {"steps": "5it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 0.01}}
    )
    train(ours, task, training, seed=0, device=CPU)

    for auto in (AutoModelForSequenceClassification, AutoModelForQuestionAnswering):
        theirs = auto.from_pretrained(base)
        labels = (
            {"labels": 1} if auto is AutoModelForSequenceClassification else {"start_positions": 1, "end_positions": 2}
        )
        rows = [{"input_ids": torch.randint(5, 30, (12,)), **labels} for _ in range(8)]
        arguments = TrainingArguments(
            output_dir=str(tmp_path), max_steps=5, per_device_train_batch_size=4, learning_rate=0.01,
            weight_decay=0.1, report_to="none", disable_tqdm=True, use_cpu=True, save_strategy="no",
        )  # fmt: skip
        Trainer(theirs, arguments, train_dataset=rows, callbacks=[TicketCallback(ticket)]).train()
        masks_in(theirs, ticket)
    masks_in(ours, ticket)


def test_it_transfers_to_another_task_from_the_base_weights(
    tmp_path: Path, folder: Path, base: Path, data: Path, caches: None
) -> None:
    asked = {
        "name": "letters",
        "tickets": [str(folder)],
        "base": str(base),
        "levels": [3],
        "targets": [{"task": classes(data)}],
        "training": {"steps": "3it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 1e-3}},
        "arms": ["ticket", "dense", "random_mask", "shuffled_mask", "magnitude"],
        "seeds": [0, 1],
    }
    report = run_transfer(parse_recipe(asked, TransferRecipe, "test"), tmp_path)
    assert len(list((tmp_path / "cells").glob("*/cell.json"))) == 12
    arms = {"ticket", "dense", "random_mask", "shuffled_mask", "magnitude", "chance"}
    assert {row["arm"] for row in report.rows} == arms
    assert str(base) not in (tmp_path / "recipe.yaml").read_text()


def test_another_base_is_refused(tmp_path: Path, folder: Path) -> None:
    other = save_tiny_bert(tmp_path, seed=10)
    with pytest.raises(TicketError, match="they are no copy of hub:big/bert@1111"):
        load_ticket(str(folder), base=other).build()


def test_a_model_without_a_head_to_guess_tokens_with_must_get_one_first(
    tmp_path: Path, base: Path, data: Path, caches: None
) -> None:
    once = {"head_first": None, "seeds": [0], "arms": ["ticket"], "arm_levels": None, "finder": {"levels": 1}}
    once |= {"package_from": 0, "training": {"steps": "1it", "batch_size": 8}}
    with pytest.raises(RecipeError, match=r"big/bert@1* has no head for fill-mask: train one first, by head_first"):
        find_and_package(recipe(base, data, **once), tmp_path / "without")
    with_head = save_tiny_bert(write_tokenizer(tmp_path / "with-head", limit=32), "fill-mask")
    _, folder = find_and_package(recipe(with_head, data, **once), tmp_path / "with")
    assert (folder / "ticket.json").is_file()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"name": "transformers/big/bert"}, "model.mirror: what is a copy of a Hub model must say of which commit"),
        ({"name": "lenet-300-100"}, "model.mirror goes with transformers/owner/name@commit"),
    ],
)
def test_a_mirror_of_nothing_certain_is_refused(
    tmp_path: Path, base: Path, data: Path, caches: None, model: dict[str, str], said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        find_and_package(recipe(base, data, model={**model, "mirror": str(base)}), tmp_path)
