"""Every example of docs/extending.md runs from a folder of its own, and the errors that the page shows are raised."""

import json
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from typer.testing import CliRunner

from ticketzoo import Ticket
from ticketzoo.cli.main import app
from ticketzoo.errors import TicketError, TicketzooError
from ticketzoo.evaluation.arms import ARMS
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import METHODS, Level
from ticketzoo.models import architecture_of, create_from_architecture, create_model
from ticketzoo.models.architecture import ARCHITECTURES
from ticketzoo.models.create import arguments_for
from ticketzoo.models.signature import Classes, Signature, Tokens
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.schedule import SCHEDULES
from ticketzoo.pruning.scope import SCOPES, Group
from ticketzoo.tasks import TASKS
from ticketzoo.tasks.metrics import METRICS, Metric
from ticketzoo.ticket.encoding import ENCODINGS
from ticketzoo.util.registry import Registry
from ticketzoo.zoo.verify import verify_ticket

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "extending.md").read_text()
BLOCKS = {
    re.match(r"# (\w+)\.py\n", block)[1]: block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
}
PACKAGED = {"method", "criterion", "pruning", "arm", "metric", "architecture", "task", "executor"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder that holds the examples as files, as the page asks for."""
    for name, block in BLOCKS.items():
        (tmp_path / f"{name}.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in BLOCKS:
        sys.modules.pop(name, None)


def run(example: str) -> dict[str, Any]:
    """Run an example as `python my_EXAMPLE.py` does, and return what it defined."""
    return runpy.run_path(f"my_{example}.py", run_name="__main__")


def kept(ticket: Ticket) -> list[int | list[int]]:
    return [level.kept for level in ticket.levels]


def trainings(name: str) -> int:
    return len(list(Path("runs", name, "cells").glob("*/cell.json")))


def test_the_page_has_an_example_of_each_kind() -> None:
    assert BLOCKS.keys() == {"trying", "my_zoo", "my_encoding", *(f"my_{example}" for example in PACKAGED)}


def test_method(folder: Path) -> None:
    ticket = run("method")["ticket"]
    assert ticket.config.pruning.method == "patient"
    assert kept(ticket) == [2320, 1160, 580]
    assert trainings("patient") == 2 * (3 + 3 + 1)  # of two seeds: three before each pruning; the last level's own


def test_criterion(folder: Path) -> None:
    assert kept(run("criterion")["ticket"]) == [2320, 1160, 580]
    masks = {"w": torch.ones(1, 4, dtype=torch.bool)}
    probe = Weights({"w": torch.tensor([[-5.0, 1, 2, 3]])}, masks, {"w": torch.ones(1, 4)})
    assert CRITERIA["same-sign"].scores(probe)["w"].tolist() == [[-5, 1, 2, 3]]
    pruner = Pruner.of(PruningConfig.model_validate({"prune": {"criterion": "same-sign", "schedule": {"rate": 0.25}}}))
    assert pruner(probe, to=1)["w"].tolist() == [[False, True, True, True]]


def test_structure_scope_and_schedule(folder: Path) -> None:
    ticket = run("pruning")["ticket"]
    for level, neurons in enumerate([40, 20, 10]):  # of 30 and 10; the last layer stays dense
        masks = ticket.at(level=level).masks
        rows = [mask for name, mask in masks.items() if name != "fc3.weight" for mask in mask]
        assert sum(bool(row.any()) for row in rows) == neurons
        assert all(row.all() or not row.any() for row in rows)
        assert masks["fc3.weight"].all()


@pytest.mark.slow
def test_arm(folder: Path) -> None:
    ticket = run("arm")["ticket"]
    measured = {row["arm"] for row in ticket.results}
    assert measured == {"ticket", "dense", "random_mask", "signs_only", "chance"}
    assert ticket.config.verdict.label in ("matching", "undecided", "below")
    assert "signs only" in Path("runs/signs/signs/README.md").read_text()


def test_metric(folder: Path) -> None:
    ticket = run("metric")["ticket"]
    assert ticket.config.verdict.metric == "test_error_rate"
    assert "less is better" in ticket.config.verdict.rule
    rows = {row["metric"]: row["value"] for row in ticket.results if (row["arm"], row["seed"]) == ("dense", 0)}
    assert rows["test_error_rate"] == 1 - rows["test_accuracy"]
    assert Path("runs/errors/errors/error_rate.png").is_file()


def test_architecture(folder: Path) -> None:
    ticket = run("architecture")["ticket"]
    assert list(ticket.masks) == ["first.weight", *(f"blocks.{n}.weight" for n in range(3)), "last.weight"]
    assert kept(ticket)[0] == 64 * 16 + 3 * 16 * 16 + 16 * 10
    assert type(ticket.build()).__name__ == "ResMlp"


def test_task(folder: Path) -> None:
    ticket = run("task")["ticket"]
    assert ticket.config.task == "stripes"
    assert kept(ticket)[0] == 16 * 30 + 30 * 10 + 10 * 2
    dense = [row["value"] for row in ticket.results if (row["arm"], row["metric"]) == ("dense", "test_accuracy")]
    assert min(dense) > 0.75


def test_encoding(folder: Path) -> None:
    ticket = run("encoding")["ticket"]
    assert ticket.config.format == 2
    stated = tensors_of(Path("runs/rows/rows/seed-0/masks.safetensors"))
    sizes = {"fc1.weight": (4, "rows"), "fc2.weight": (2, "rows"), "fc3.weight": (2, "rows")}  # of 30, 10 and 10 rows
    expected = {f"level-{level}/{name}": size for level in range(3) for name, size in sizes.items()}
    assert stated == expected | {"level-2/fc2.weight": (0, "survivor-bits")}  # level 1 keeps no row of it
    assert ticket.levels[2].nested
    assert verify_ticket("runs/rows/rows")
    del ENCODINGS._entries["rows"]
    message = "'level-0/fc1.weight' is encoded as 'rows', which this ticketzoo cannot read: upgrade"
    assert f"`{message}`" in PAGE
    with pytest.raises(TicketError, match=re.escape(message)):
        Ticket.from_pretrained("./runs/rows/rows")


def tensors_of(path: Path) -> dict[str, tuple[int, str]]:
    """Bytes and encoding of each tensor in a file of masks."""
    with safe_open(path, "np") as file:
        stated = json.loads(file.metadata()["encoding"])
        return {key: (file.get_tensor(key).size, stated[key]) for key in stated}


def test_executor(folder: Path) -> None:
    run("executor")
    labels = [line.split("\t")[0] for line in Path("trainings.tsv").read_text().splitlines()]
    assert labels == [f"seed {seed} level {level}/2" for seed in (0, 1) for level in (0, 1, 2)]


@pytest.mark.slow
def test_command_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {
        "name": "told",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
        "task": {"type": "image-classification", "dataset": {"path": "digits"}},
        "training": {"steps": "10it"},
        "finder": {"method": "patient", "levels": 1, "rate": 0.5},
        "seeds": [0],
    }
    Path("told.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    assert runpy.run_path("my_zoo.py")["app"] is app
    for arguments in ("find told.yaml --set arms=[signs_only]", "layers runs/told/told"):
        done = CliRunner().invoke(app, arguments.split())
        assert done.exit_code == 0, done.output
    counts = [line.split(": ")[1].split(" of ") for line in done.output.splitlines()]
    assert sum(int(kept.replace(",", "")) for kept, _ in counts) == 1160
    assert [whole for _, whole in counts] == ["1,920", "300", "100"]


def find(**keys: Any) -> object:
    return runpy.run_path("trying.py")["find"]("refused", **{"seeds": [0], "training": {"steps": "5it"}} | keys)


def prune(levels: int = 1, **keys: Any) -> object:
    return find(finder={"levels": levels, "prune": keys})


def register(table: Registry[Any], name: str, make: Callable[..., Any], **facts: Any) -> None:
    table.add(name, **{"cite": ""} | facts)(make)


def own_method(name: str, *levels: Callable[[Any], Any]) -> object:
    facts = {"config": MethodConfig, "words": ""}
    register(METHODS, name, lambda lab, config: iter([Level(make(lab.dense), lab.initial) for make in levels]), **facts)
    return find(finder={"method": name, "levels": 2})


def own_criterion(name: str, make: Callable[..., Any]) -> object:
    register(CRITERIA, name, make)
    return prune(criterion=name)


def own_scope(name: str, *names: str) -> object:
    register(SCOPES, name, lambda layers, left: [Group(names, 1)])
    return prune(scope=name)


def own_schedule(name: str, more: int) -> object:
    register(SCHEDULES, name, lambda level, survivors, original, layer: survivors + more)
    return prune(schedule=name)


def own_arm(name: str, make: Callable[..., Any]) -> object:
    register(ARMS, name, make, drawn=False)
    return find(arms=[name], finder={"levels": 1})


def spoilt_task(**members: Any) -> object:
    entry = TASKS["stripes"]
    TASKS._entries["stripes"] = replace(entry, make=type("Spoilt", (entry.make,), members))
    return find(task={"type": "stripes"}, training={"steps": "60it"})


def build_elsewhere(_: object) -> object:
    architecture = architecture_of("mylab/res-mlp", {})
    del ARCHITECTURES._entries["mylab/res-mlp"]
    return create_from_architecture(architecture, seed=0)


def only_first(masks: Any) -> Any:
    return dict(list(masks.items())[:1])


NAN = float("nan")
Action = Callable[[dict[str, Any]], object]


def nan_loss(self: Any, model: torch.nn.Module, batch: Any) -> torch.Tensor:
    return torch.stack([parameter.sum() for parameter in model.parameters()]).sum() * NAN


REFUSED: list[tuple[str, Action, str]] = [
    (
        "method",
        lambda _: METHODS.add("imp", config=MethodConfig, cite="", words="")(test_method),
        "method 'imp' is registered already, by ticketzoo.finding.imp.imp: choose another name",
    ),
    (
        "method",
        lambda found: METHODS.add("patient", config=MethodConfig, words="")(found["patient"]),
        "method 'patient': missing 1 required positional argument: 'cite'",
    ),
    (
        "method",
        lambda _: find(finder={"method": "pateint"}),
        "finder.method: unknown 'pateint', did you mean 'patient'?",
    ),
    (
        "method",
        lambda _: find(finder={"method": "patient", "pases": 3}),
        "unknown key 'finder.pases', did you mean 'passes'?",
    ),
    (
        "method",
        lambda _: own_method("early", dict),
        "method 'early' gave 0 levels, but finder.levels asks for 2",
    ),
    (
        "method",
        lambda _: own_method("half", dict, only_first),
        "method 'half' gave for level 1 no mask of fc2.weight, fc3.weight",
    ),
    (
        "criterion",
        lambda _: own_criterion("few", lambda probe: {"fc1.weight": probe.weights["fc1.weight"]}),
        "criterion 'few' returned no scores of 'fc2.weight', only of 'fc1.weight'",
    ),
    (
        "criterion",
        lambda _: own_criterion("bools", lambda probe: probe.masks),
        "criterion 'bools' returned for 'fc1.weight' bool [30, 64], not float [30, 64]",
    ),
    (
        "criterion",
        lambda _: own_criterion("nan", lambda probe: {name: probe.weights[name] * NAN for name in probe.masks}),
        "criterion 'nan': the score of 'fc1.weight' is NaN where its mask keeps the weight",
    ),
    (
        "pruning",
        lambda _: own_schedule("all", 0),
        "level 1 of 1 would remove no weight; ask for fewer",
    ),
    (
        "pruning",
        lambda _: own_scope("one", "fc1.weight"),
        "scope 'one' with schedule 'rate': each layer has to be in exactly one group that is ranked together",
    ),
    (
        "pruning",
        lambda _: own_schedule("more", 1),
        "scope 'global' with schedule 'more' would keep 2,321 of 2,320 in fc1.weight, fc2.weight, fc3.weight",
    ),
    (
        "arm",
        lambda _: find(arms=["ticket", "sign_only"]),
        "arms.1: unknown arm 'sign_only'; did you mean signs_only?",
    ),
    (
        "arm",
        lambda _: own_arm("nothing", lambda job, draw: None),
        "arm 'nothing' gave a NoneType, not a training: return replace(job, ...)",
    ),
    (
        "arm",
        lambda _: own_arm("elsewhere", lambda job, draw: replace(job, masks={"fc9.weight": torch.ones(1) > 0})),
        "arm 'elsewhere': mask 'fc9.weight' has no parameter of that name in the model",
    ),
    (
        "metric",
        lambda _: METRICS.put(Metric("accuracy")),
        "metric 'accuracy' is registered already: choose another name",
    ),
    (
        "task",
        lambda _: spoilt_task(metric=Metric("error_rate")),
        "task stripes: evaluate gave no error_rate, only loss, accuracy",
    ),
    (
        "architecture",
        lambda _: create_model("mylab/res-mlp", seed=0, dept=3),
        "mylab/res-mlp has no argument 'dept'; did you mean depth?",
    ),
    (
        "architecture",
        lambda _: create_model("mylab/res-mlp", seed=0, depth=99),
        "mylab/res-mlp: depth=99: should be less than or equal to 16",
    ),
    (
        "architecture",
        lambda _: arguments_for("mylab/res-mlp", Signature(Tokens(), Classes(2))),
        "mylab/res-mlp reads images, and the data are texts",
    ),
    (
        "architecture",
        build_elsewhere,
        "unknown architecture library 'mylab'",
    ),
    (
        "task",
        lambda _: find(task={"type": "stripes", "count": 4}),
        "task.count: input should be greater than or equal to 8 (got 4)",
    ),
    (
        "task",
        lambda _: spoilt_task(loss=nan_loss),
        "training diverged: train_loss is nan after 60 iterations",
    ),
    (
        "executor",
        lambda _: find(executor="loged"),
        "unknown executor 'loged'; did you mean logged?",
    ),
]


@pytest.mark.parametrize(("example", "wrong", "message"), REFUSED, ids=[message[:40] for *_, message in REFUSED])
def test_what_is_wrong_is_said_as_on_the_page(folder: Path, example: str, wrong: Action, message: str) -> None:
    assert f"`{message}" in PAGE
    found = runpy.run_path(f"my_{example}.py")
    with pytest.raises(TicketzooError) as caught:
        wrong(found)
    assert message in str(caught.value)
