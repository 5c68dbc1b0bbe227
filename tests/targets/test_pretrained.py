"""A ticket that holds weights of its own, found on a pretrained model: dense starts from that model all the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from text_folders import LETTERS, write_data, write_tokenizer
from tiny_bert import make_ticket, save_tiny_bert, tiny_architecture, tiny_bert
from torch import Tensor

from ticketzoo import Ticket, load_ticket
from ticketzoo.errors import ModelError, RecipeError, TicketError
from ticketzoo.finding.package import find_and_package
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.models import model_state, prunable_parameters
from ticketzoo.models.create import initial_state
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Job, Store
from ticketzoo.targets.pretrained import pretrained_weights, start_of_dense
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.run import evaluate_transfer, load_targets
from ticketzoo.ticket import Found
from ticketzoo.ticket.levels import pack_levels

QUERY = "encoder.layer.0.attention.self.query.weight"
LINES = [" ".join(LETTERS[(start + place) % 26] for place in range(3 + start % 9)) for start in range(30)]


@pytest.fixture(scope="module", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("caches")
        patch.setenv("TICKETZOO_CACHE", str(folder))
        patch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "datasets")
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(write_tokenizer(tmp_path_factory.mktemp("base"), limit=32))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"sentence": line, "label": number % 3} for number, line in enumerate(LINES)]
    return write_data(tmp_path_factory.mktemp("data"), {"train": rows, "test": rows[:9]})


def task(data: Path) -> dict[str, Any]:
    dataset = {"path": str(data), "validation": 0}
    return {"type": "text-classification", "dataset": dataset, "max_length": 16}


def found(folder: Path, data: Path, model: str, **keys: Any) -> Ticket:
    """A ticket of half the weights, found in two iterations and rewound to the first."""
    content = {
        "name": "tiny-bert.letters-imp",
        "model": model,
        "task": task(data),
        "training": {"steps": "2it", "batch_size": 8, "optimizer": {"name": "adamw", "lr": 0.01}},
        "finder": {"rate": 0.5, "levels": 1, "rewind": "1it"},
        "arms": ["ticket"],
        "seeds": [0],
    }
    return find_and_package(parse_recipe(content | keys, FindRecipe, "test"), folder)[0]


@pytest.fixture(scope="module")
def ticket(tmp_path_factory: pytest.TempPathFactory, base: Path, data: Path) -> Ticket:
    return found(tmp_path_factory.mktemp("run"), data, f"transformers/{base}")


class Jobs(Store):
    """A store that remembers what they were asked to train."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, device=torch.device("cpu"))
        self.jobs: dict[str, Job] = {}

    def run(self, job: Job, label: str, **keys: Any) -> Any:
        self.jobs[label.partition(" draw ")[0].split()[-1]] = job
        return super().run(job, label, **keys)


class Heard(Quiet):
    def __init__(self, warnings: list[str]) -> None:
        self.warnings = warnings

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def transferred(
    ticket: Ticket,
    folder: Path,
    data: Path,
    base: Path | None,
    target: dict[str, Any] | None = None,
    warnings: list[str] | None = None,
) -> dict[str, Job]:
    """The trainings of a transfer to the same texts, or to another target, by arm."""
    content = {
        "name": "letters",
        "tickets": ["it"],
        "base": None if base is None else str(base),
        "levels": [1],
        "targets": [{"task": target or task(data)}],
        "training": {"steps": "1it", "batch_size": 8},
        "arms": ["ticket", "dense", "random_mask", "random_reinit"],
        "seeds": [0],
    }
    recipe = parse_recipe(content, TransferRecipe, "test")
    with Jobs(folder) as cells:
        cells.progress = Heard([] if warnings is None else warnings)
        evaluate_transfer(recipe, [ticket], load_targets(recipe, [ticket]), cells)
    return cells.jobs


def body_of(state: Any) -> dict[str, Tensor]:
    return {name.removeprefix("bert."): tensor for name, tensor in state.items() if name.startswith("bert.")}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_dense_starts_from_the_pretrained_weights(tmp_path: Path, ticket: Ticket, base: Path, data: Path) -> None:
    assert ticket.config.rewind.kind == "packed"
    jobs = transferred(ticket, tmp_path, data, base)
    source = model_state(tiny_bert(seed=9))  # as `save_tiny_bert` makes it
    assert equal(body_of(jobs["dense"].state), source)
    assert not jobs["dense"].masks
    assert not torch.equal(body_of(jobs["ticket"].state)[QUERY], source[QUERY])  # one iteration later
    assert torch.equal(jobs["dense"].state["classifier.weight"], jobs["ticket"].state["classifier.weight"])
    reinit = jobs["random_reinit"]
    assert equal(dict(reinit.state), dict(initial_state(reinit.architecture, 0, "random_reinit", 0)))


def test_a_random_mask_lies_on_pretrained_weights_where_the_tickets_are_not_known(
    tmp_path: Path, base: Path, data: Path
) -> None:
    sparse = found(tmp_path / "find", data, f"transformers/{base}", package_from=1)
    drawn = body_of(transferred(sparse, tmp_path / "transfer", data, base)["random_mask"].state)
    source, known = model_state(tiny_bert(seed=9)), sparse.known_rewind[QUERY]
    assert torch.equal(drawn[QUERY][~known], source[QUERY][~known])
    assert torch.equal(drawn[QUERY][known], sparse.rewind_state[QUERY][known])


def test_without_that_model_there_is_no_comparison(tmp_path: Path, ticket: Ticket, data: Path, base: Path) -> None:
    with pytest.raises(RecipeError, match=r"was found on a pretrained model.* set base to the folder of that model"):
        pretrained_weights(ticket, None)
    job = transferred(ticket, tmp_path, data, base)["ticket"]
    wide = save_tiny_bert(tmp_path / "wide", hidden_size=128)
    with pytest.raises(ModelError, match="hidden size 128, 2 layers; the model has hidden size 64, 2 layers"):
        start_of_dense(job, pretrained_weights(ticket, str(wide)) or {})


def test_a_ticket_that_holds_all_of_the_model_needs_no_other(tmp_path: Path, base: Path, data: Path) -> None:
    whole = found(tmp_path, data, f"transformers/{base}", finder={"rate": 0.5, "levels": 1, "rewind": "0it"})
    weights = pretrained_weights(whole.at(level=1), None)
    assert weights is not None
    source = model_state(tiny_bert(seed=9))
    assert equal({name: tensor for name, tensor in weights.items() if name in source}, source)
    assert "**rewinds to**: the weights before training" in (tmp_path / whole.name / "README.md").read_text()


def test_a_model_initialised_afresh_was_not_pretrained(tmp_path: Path, base: Path, data: Path) -> None:
    config = {"vocab_size": 31, "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    model: Any = {"name": "transformers/bert", "kwargs": {"config": config | {"intermediate_size": 64}}}
    scratch = found(tmp_path, data, model, task=task(data) | {"tokenizer": str(base)})
    assert pretrained_weights(scratch, str(base)) is None


def test_a_model_without_a_pooler_gets_a_fresh_one(
    tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `BertForMaskedLM.from_pretrained(...).save_pretrained(...)` leaves it."""
    from transformers import AutoModelForMaskedLM

    write_tokenizer(save_tiny_bert(tmp_path / "whole", "fill-mask"), limit=32)
    folder = write_tokenizer(tmp_path / "alone", limit=32)
    AutoModelForMaskedLM.from_pretrained(tmp_path / "whole").save_pretrained(folder)
    texts = {"type": "fill-mask", "dataset": {"path": str(data), "column": "sentence", "validation": 0}}
    found(tmp_path, data, f"transformers/{folder}", task=texts | {"max_length": 16}, package_from=1)
    assert "have no pooler: it starts from random ones, and the ticket holds its weights itself" in caplog.text
    ticket = load_ticket(str(tmp_path / "tiny-bert.letters-imp"))
    assert "pooler.dense.weight" not in ticket.masks
    weights = pretrained_weights(ticket, str(folder))
    assert weights is not None
    assert not any("pooler" in name for name in weights)
    assert torch.isfinite(ticket.build()(input_ids=torch.tensor([[2, 5, 3]])).logits).all()


def with_pooler_weights(count: int) -> Ticket:
    """A ticket that keeps, at level 1, all weights but those of the pooler, of which it keeps `count`."""
    masks = {
        name: torch.ones_like(weight, dtype=torch.bool) for name, weight in prunable_parameters(tiny_bert()).items()
    }
    pooler = torch.zeros(64 * 64, dtype=torch.bool)
    pooler[:count] = True
    state = {name: tensor.clone() for name, tensor in model_state(tiny_bert()).items()}
    levels = [(0, masks), (1, masks | {"pooler.dense.weight": pooler.view(64, 64)})]
    return make_ticket(architecture=tiny_architecture(None), replicates=[Found(0, pack_levels(levels), state)])


def test_a_ticket_that_keeps_nothing_of_a_layer_in_use_is_refused_before_anything_is_trained(
    tmp_path: Path, base: Path, data: Path
) -> None:
    with pytest.raises(TicketError, match=r"at level 1: no weight is kept of bert\.pooler\.dense\.weight"):
        transferred(with_pooler_weights(0), tmp_path, data, base)
    assert list(tmp_path.glob("*/cell.json")) == []


def test_a_target_whose_head_does_without_that_layer_is_measured(tmp_path: Path, base: Path, data: Path) -> None:
    texts = {"type": "fill-mask", "dataset": {"path": str(data), "column": "sentence", "validation": 0}}
    jobs = transferred(with_pooler_weights(0), tmp_path, data, base, texts | {"max_length": 16})
    assert not jobs["ticket"].masks["bert.pooler.dense.weight"].any()


def test_next_to_nothing_in_a_layer_in_use_is_said(tmp_path: Path, base: Path, data: Path) -> None:
    warnings: list[str] = []
    transferred(with_pooler_weights(4), tmp_path, data, base, warnings=warnings)
    assert len(warnings) == 1
    assert warnings[0].endswith("at level 1: bert.pooler.dense.weight keeps 4 of 4,096 weights")
