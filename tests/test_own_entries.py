"""Everything that a user can add from outside the package, found, packaged, loaded, judged and transferred with."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo import load_ticket
from ticketzoo.errors import ModelError, RecipeError, RunError
from ticketzoo.evaluation.arms import ARMS
from ticketzoo.evaluation.draw import Draw
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.models import create_model
from ticketzoo.models.architecture import ARCHITECTURES
from ticketzoo.models.signature import Features, Observation, Signature
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.probe import Probe
from ticketzoo.recipe import Config, parse_recipe
from ticketzoo.seeds import derive_seed
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.report import run_transfer
from ticketzoo.tasks import TASKS
from ticketzoo.tasks.metrics import METRICS, Metric
from ticketzoo.tasks.table import TaskSection
from ticketzoo.training.job import Job
from ticketzoo.zoo.verify import verify_ticket

LENGTH = 6
ERROR = Metric("squared_error", words="squared error", higher_is_better=False)


class RecurrentArguments(Config):
    inputs: int = Field(default=1, ge=1, le=64)
    hidden: int = Field(default=8, ge=1, le=64)
    outputs: int = Field(default=1, ge=1, le=64)


class MyLstm(nn.Module):
    def __init__(self, arguments: RecurrentArguments) -> None:
        super().__init__()
        self.lstm = nn.LSTM(arguments.inputs, arguments.hidden, batch_first=True)
        self.out = nn.Linear(arguments.hidden, arguments.outputs)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.out(self.lstm(x)[0][:, -1])
        return output


class SumSection(TaskSection):
    type: Literal["sums"]
    name: str | None = None
    examples: int = 64


class Sums:
    """Add up six numbers; the error is to be small."""

    metric = ERROR
    has_validation = False

    def __init__(self, config: SumSection) -> None:
        self.name = config.name or "sums"
        self.signature = Signature(Observation((LENGTH, 1)), Features(1))
        self.identity = {"type": "sums", "examples": config.examples}
        self.source = {"dataset": "sums", "revision": None, "fingerprint": f"{config.examples:064d}"}
        generator = torch.Generator().manual_seed(0)
        self._inputs = torch.rand(config.examples, LENGTH, 1, generator=generator) - 0.5
        self.examples = {"train": config.examples, "validation": 0, "test": config.examples}

    def steps_per_epoch(self, batch_size: int) -> int:
        return -(-self.examples["train"] // batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Tensor]:
        for step in range(start, stop):
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", step))
            chosen = torch.randint(len(self._inputs), (batch_size,), generator=generator)
            yield self._inputs[chosen].to(device)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return F.mse_loss(model(batch), batch.sum(1))

    def size(self, batch: Tensor) -> int:
        return len(batch)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        error = float(F.mse_loss(model(self._inputs.to(device)), self._inputs.sum(1).to(device)))
        return {"loss": error, "squared_error": error}


class TwiceConfig(MethodConfig):
    method: str = "twice"
    patience: int = 1


def twice(lab: Lab, config: TwiceConfig) -> Iterator[Level]:
    """Prune by a training that is thrown away, and train the ticket anew from where that training ended."""
    masks, start = lab.dense, lab.initial
    yield Level(masks, start, lab.train(masks, start))
    for level in range(1, lab.levels + 1):
        first = lab.train(masks, start)
        masks = lab.prune(first, masks, to=level)
        start = first.end(count_from=config.patience)
        yield Level(masks, lab.initial, lab.train(masks, lab.initial))


def never(lab: Lab, config: MethodConfig) -> Iterator[Level]:
    """Keep the first half, a quarter, ... of each parameter, without a training of its own."""
    yield Level(lab.dense, lab.initial)
    masks = lab.dense
    for _ in range(lab.levels):
        kept = {name: int(mask.sum()) // 2 for name, mask in masks.items()}
        flat = {name: torch.arange(mask.numel()) < kept[name] for name, mask in masks.items()}
        masks = {name: flat[name].view(mask.shape) for name, mask in masks.items()}
        yield Level(masks, lab.initial)


def gradient(probe: Probe) -> Mapping[str, Tensor]:
    return {name: part.abs() for name, part in probe.gradients(batches=2).items()}


def sign_flipped(job: Job, draw: Draw) -> Job:
    return replace(job, state={name: -tensor for name, tensor in job.state.items()})


@pytest.fixture(scope="module", autouse=True)
def entries() -> Iterator[None]:
    """Register them as a user's package would, by a decorator each, and take them out again."""
    tables: list[Any] = [ARCHITECTURES, TASKS, METRICS, METHODS, CRITERIA, ARMS]
    before = [dict(table._entries) for table in tables]
    accepts = {(Observation, Features): lambda seen, wanted: {"inputs": seen.shape[-1], "outputs": wanted.size}}
    ARCHITECTURES.add("my-lstm", arguments=RecurrentArguments, accepts=accepts)(MyLstm)
    TASKS.add("sums", config=SumSection, words="adding numbers")(Sums)
    METRICS.put(ERROR)
    METHODS.add("twice", config=TwiceConfig, cite="nobody", words="training twice a level")(twice)
    METHODS.add("never", config=MethodConfig, cite="nobody", words="no training")(never)
    CRITERIA.add("gradient", cite="nobody", words="smallest gradient")(gradient)
    ARMS.add("sign_flipped", drawn=False, label="signs flipped")(sign_flipped)
    yield
    for table, known in zip(tables, before, strict=True):
        table._entries = known


def recipe(**keys: Any) -> FindRecipe:
    content: dict[str, Any] = {
        "name": "my-lstm.sums",
        "model": "my-lstm",
        "task": {"type": "sums"},
        "training": {"steps": "30it", "batch_size": 16, "optimizer": {"lr": 0.1}},
        "finder": {"include": ["lstm.weight_*"], "rate": 0.3, "levels": 2},
        "arms": ["ticket", "dense", "random_mask", "sign_flipped"],
        "seeds": [0, 1, 2],
    }
    return parse_recipe(content | keys | {"finder": content["finder"] | keys.get("finder", {})}, FindRecipe, "test")


def find(folder: Path, **keys: Any) -> Path:
    return find_and_package(recipe(**keys), folder)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return find(tmp_path_factory.mktemp("run"))


@pytest.mark.slow
def test_recurrent_weights_are_pruned_stay_pruned_and_load(folder: Path) -> None:
    verify_ticket(folder)
    ticket = load_ticket(str(folder), level=2)
    assert list(ticket.masks) == ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "out.weight"]
    model = ticket.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.rand(4, LENGTH, 1)).square().sum().backward()
        optimizer.step()
    for name, mask in ticket.masks.items():
        weight = model.get_parameter(name).detach()
        assert (weight[~mask] == 0).all()
        assert (weight[mask] != 0).all()


def test_a_metric_where_less_is_better_is_measured_shown_and_judged(folder: Path) -> None:
    ticket = load_ticket(str(folder))
    rows = [row for row in ticket.results if row["metric"] == "test_squared_error"]
    assert {row["arm"] for row in rows} == {"ticket", "dense", "random_mask", "sign_flipped"}
    assert ticket.config.verdict is not None
    assert ticket.config.verdict.metric == "test_squared_error"
    card = (folder / "README.md").read_text()
    assert "signs flipped" in card
    assert (folder / "squared_error.png").is_file()


def test_a_method_that_trains_twice_a_level_has_no_doubled_rows(tmp_path: Path) -> None:
    folder = find(tmp_path, finder={"method": "twice", "patience": 2}, arms=["ticket", "dense"])
    ticket = load_ticket(str(folder))
    assert ticket.config.pruning.method == "twice"
    rows = [(row["arm"], row["level"], row["seed"]) for row in ticket.results if row["metric"] == "test_loss"]
    assert len(rows) == len(set(rows)) == 3 * (1 + 3)
    assert len(list((tmp_path / "cells").glob("*/cell.json"))) == 3 * (
        1 + 1 + 2
    )  # the first of level 1 is the dense one


def test_a_method_that_never_trains_is_measured_all_the_same(tmp_path: Path) -> None:
    ticket = load_ticket(str(find(tmp_path, finder={"method": "never"}, arms=["ticket", "dense"])))
    sizes = {name: mask.numel() for name, mask in ticket.masks.items()}
    assert [level.kept for level in ticket.levels] == [
        sum(sizes.values()), sum(size // 2 for size in sizes.values()), sum(size // 4 for size in sizes.values())
    ]  # fmt: skip
    assert {row["level"] for row in ticket.results} == {0, 1, 2}


@pytest.mark.slow
def test_a_criterion_on_gradients(tmp_path: Path) -> None:
    by_gradient = load_ticket(str(find(tmp_path / "gradient", finder={"prune": "gradient"}, arms=["ticket"])))
    by_magnitude = load_ticket(str(find(tmp_path / "magnitude", arms=["ticket"])))
    assert [level.kept for level in by_gradient.levels] == [level.kept for level in by_magnitude.levels]
    assert by_gradient.config.mask_sha256 != by_magnitude.config.mask_sha256


@pytest.mark.parametrize(("method", "trainings"), [("twice", 3 * 5), ("never", 3 * 3)])
def test_plans_count_by_running_the_method(tmp_path: Path, method: str, trainings: int) -> None:
    plan = plan_find(recipe(finder={"method": method}, arms=["ticket", "dense"]), tmp_path, seconds=0.01)
    assert plan.trainings == trainings - (3 if method == "twice" else 0)  # a training asked for twice is done once


def test_it_transfers(folder: Path, tmp_path: Path) -> None:
    content = {
        "name": "more-sums",
        "tickets": [str(folder)],
        "levels": [1],
        "targets": [{"task": {"type": "sums", "examples": 32, "name": "fewer"}}],
        "training": {"steps": "10it", "batch_size": 16},
        "head": "keep",
        "arms": ["ticket", "dense", "sign_flipped"],
        "seeds": [0, 1],
    }
    run_transfer(parse_recipe(content, TransferRecipe, "test"), tmp_path)
    assert "signs flipped" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("finder", "message"),
    [
        (
            {"include": ["lstm.weigth_*"]},
            "finder.include: 'lstm.weigth_*' matches no parameter of the model; its parameters: lstm.weight_ih_l0",
        ),
        ({"method": "twise"}, "finder.method: unknown 'twise', did you mean 'twice'"),
        (
            {"prune": {"criterion": "gradiant"}},
            "finder.prune.criterion: unknown criterion 'gradiant'; did you mean gradient",
        ),
    ],
)
def test_wrong_names_are_named_with_the_near_ones(tmp_path: Path, finder: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find(tmp_path, finder=finder)
    assert message in str(caught.value)


def test_a_model_that_does_not_fit_the_task_is_named(tmp_path: Path) -> None:
    message = "lenet-300-100 reads images, and the data are observations: choose a model named my-lstm"
    with pytest.raises(ModelError) as caught:
        find(tmp_path, model="lenet-300-100")
    assert message in str(caught.value)


BAD_MASKS = {
    "shapes": (lambda masks: {name: mask[:1] for name, mask in masks.items()}, "does not fit the model"),
    "missing": (lambda masks: {"out.weight": masks["out.weight"]}, "no mask of lstm.weight_ih_l0"),
    "empty": (
        lambda masks: {name: torch.zeros_like(mask) for name, mask in masks.items()},
        "masks that keep no weight",
    ),
    "floats": (lambda masks: {name: mask.float() for name, mask in masks.items()}, "must be a bool tensor"),
}


@pytest.mark.parametrize("wrong", BAD_MASKS)
def test_a_method_that_gives_no_masks_is_named_with_what_it_gave(tmp_path: Path, wrong: str) -> None:
    spoil, message = BAD_MASKS[wrong]

    def bad(lab: Lab, config: MethodConfig) -> Iterator[Level]:
        yield Level(lab.dense, lab.initial)
        yield Level(spoil(lab.dense), lab.initial)

    bad.__qualname__ = "bad"
    METHODS.add("bad", config=MethodConfig, cite="", words="")(bad)
    with pytest.raises(RunError) as caught:
        find(tmp_path, finder={"method": "bad"}, seeds=[0])
    assert "method 'bad' gave for level 1" in str(caught.value)
    assert message in str(caught.value)


def test_a_method_that_passes_off_the_dense_training_as_a_ticket_s_is_named(tmp_path: Path) -> None:
    def passing_off(lab: Lab, config: MethodConfig) -> Iterator[Level]:
        dense = lab.train(lab.dense, lab.initial)
        yield Level(lab.dense, lab.initial, dense)
        yield Level(lab.prune(dense, lab.dense, to=1), lab.initial, dense)

    METHODS.add("passing-off", config=MethodConfig, cite="", words="")(passing_off)
    with pytest.raises(RunError, match="gave for level 1 a training under other masks than its own"):
        find(tmp_path, finder={"method": "passing-off"}, seeds=[0])


def test_level_0_is_the_dense_network(tmp_path: Path) -> None:
    def sparse(lab: Lab, config: MethodConfig) -> Iterator[Level]:
        yield Level(lab.prune(lab.initial, lab.dense, to=1), lab.initial)

    METHODS.add("sparse", config=MethodConfig, cite="", words="")(sparse)
    with pytest.raises(RunError, match="gave for level 0 masks that prune: level 0 is the dense network"):
        find(tmp_path, finder={"method": "sparse"}, seeds=[0])


def test_only_what_is_included_may_be_left(tmp_path: Path) -> None:
    ticket = load_ticket(str(find(tmp_path, finder={"exclude": ["out"]}, arms=["ticket", "dense"], seeds=[0])))
    assert list(ticket.masks) == ["lstm.weight_ih_l0", "lstm.weight_hh_l0"]


def test_a_method_that_stops_early_is_named(tmp_path: Path) -> None:
    def early(lab: Lab, config: MethodConfig) -> Iterator[Level]:
        yield Level(lab.dense, lab.initial)

    METHODS.add("early", config=MethodConfig, cite="", words="")(early)
    with pytest.raises(RunError, match=r"method 'early' gave 0 levels, but finder.levels asks for 2"):
        find(tmp_path, finder={"method": "early"}, seeds=[0])


def test_the_model_is_created_by_name() -> None:
    assert isinstance(create_model("my-lstm", seed=0, hidden=3), MyLstm)
    with pytest.raises(ModelError, match="my-lstm has no argument 'hiden'; did you mean hidden"):
        create_model("my-lstm", seed=0, hiden=3)
