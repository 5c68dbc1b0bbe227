import functools
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from system_limits import at_most
from torch import Tensor, nn

from ticketzoo.errors import ModelError, RecipeError
from ticketzoo.finding.run import find_tickets
from ticketzoo.instability.recipe import StabilityRecipe
from ticketzoo.instability.report import run_stability, write_report
from ticketzoo.instability.run import measure_lines
from ticketzoo.models.state import State
from ticketzoo.recipe import dump_recipe, parse_recipe, read_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.tasks import create_task
from ticketzoo.tasks.task import Task
from ticketzoo.training import Record
from ticketzoo.util.os_errors import in_words

CPU = torch.device("cpu")
RECIPES = sorted(Path(__file__).parents[2].glob("recipes/stability/*.yaml"))


def recipe(**keys: Any) -> StabilityRecipe:
    """Ten updates of a network of 1,050 weights, two steps, dense and level 2, two copies, lines of three points."""
    content = {
        "name": "lenet.digits-stability",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
        "training": {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}, "evaluate_every": "5it"},
        "rewind_steps": ["1ep", "0it"],
        "levels": [0, 2],
        "line": {"points": 3},
        "seeds": [0],
    }
    return parse_recipe(content | keys, StabilityRecipe, "test")


@functools.cache
def digits() -> Task:
    return create_task(recipe().task)


class WatchedDigits:
    """Digits 0 to 2, and for each training the weights it began with and its batches."""

    def __init__(self) -> None:
        self.trainings: list[tuple[State, list[Tensor]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(digits(), name)

    def batches(self, *args: Any) -> Iterator[Any]:
        self._starting = True
        return digits().batches(*args)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not model.training:  # no training, but a look at which parameters the loss depends on
            return digits().loss(model, batch)
        if self._starting:
            start = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            self.trainings.append((start, []))
            self._starting = False
        self.trainings[-1][1].append(batch[0])
        return digits().loss(model, batch)


class Counted(Quiet):
    def __init__(self) -> None:
        self.announced = 0
        self.labels: list[tuple[str, bool]] = []
        self.results: list[str] = []

    def planned(self, trainings: int) -> None:
        self.announced = trainings

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.labels.append((label, trained))

    def evaluated(self, label: str, result: str, *, new: bool) -> None:
        self.labels.append((label, new))
        self.results.append(result)


def measure(folder: Path, task: Any = None, progress: Counted | None = None, **keys: Any) -> list[dict[str, Any]]:
    with Store(folder, device=CPU, progress=progress) as cells:
        return measure_lines(recipe(**keys), task or digits(), cells)


def test_copies_share_the_weights_of_step_k_and_nothing_after_it(tmp_path: Path) -> None:
    task = WatchedDigits()
    measure(tmp_path, task, levels=[0])
    dense, first, second, later_first, later_second = task.trainings
    assert [len(batches) for _, batches in task.trainings] == [10, 10, 10, 6, 6]
    for name, tensor in dense[0].items():
        assert torch.equal(first[0][name], tensor) and torch.equal(second[0][name], tensor)
        assert torch.equal(later_first[0][name], later_second[0][name])
    assert not torch.equal(later_first[0]["fc1.weight"], dense[0]["fc1.weight"])
    for one, other in ((first, second), (later_first, later_second), (first, dense), (later_first, dense)):
        pairs = zip(reversed(one[1]), reversed(other[1]), strict=False)  # the last batches, of the same steps
        assert not any(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_subnetworks_are_those_that_finding_with_that_rewind_step_gives(tmp_path: Path) -> None:
    task = WatchedDigits()
    asked = recipe(rewind_steps=["4it"], levels=[2])
    with Store(tmp_path / "here", device=CPU) as cells:
        measure_lines(asked, task, cells)
    with Store(tmp_path / "there", device=CPU) as cells:
        (found,) = find_tickets(asked.find_recipe(4), digits(), cells).replicates
    masks = found.levels[2]
    for start, _ in task.trainings[-2:]:
        for name, tensor in start.items():
            assert torch.equal(tensor, found.found[-1].start.state[name] * masks.get(name, torch.tensor(1)))


def test_rows_say_the_errors_along_every_line(tmp_path: Path) -> None:
    rows = measure(tmp_path, copies=3)
    assert len(rows) == 2 * 2 * 3 * 3  # steps, levels, pairs, points
    assert list(rows[0]) == ["rewind_step", "level", "sparsity", "seed", "copies", "position", "error"]
    assert {(row["level"], row["sparsity"]) for row in rows} == {(0, 0.0), (2, 378 / 1050)}
    assert {row["rewind_step"] for row in rows} == {0, 4}
    assert {tuple(row["copies"]) for row in rows} == {(0, 1), (0, 2), (1, 2)}
    assert {row["position"] for row in rows} == {0, 0.5, 1}
    test_images = 537 // 5
    assert all(row["error"] * test_images == pytest.approx(round(row["error"] * test_images)) for row in rows)


def test_what_is_finished_is_not_done_again_and_all_of_it_was_announced(tmp_path: Path) -> None:
    first, again, more = Counted(), Counted(), Counted()
    rows = measure(tmp_path, progress=first)
    # the dense network; at each of 2 steps levels 0 to 2, 2 copies of each of 2 networks, and their line
    assert first.announced == len(first.labels) == 1 + 2 * (3 + 2 * (2 + 1))
    assert sum(new for _, new in first.labels) == len(first.labels) - 2  # level 0 is the dense network at every step
    assert all(result.startswith("instability ") for result in first.results)
    assert measure(tmp_path, progress=again) == rows
    assert again.announced == len(again.labels) and not any(new for _, new in again.labels)
    measure(tmp_path, progress=more, line={"points": 4})
    assert [label for label, new in more.labels if new] == [label for label, _ in first.labels if "and" in label]


def test_the_report_has_the_numbers_in_json_in_words_and_drawn(tmp_path: Path) -> None:
    report = run_stability(recipe(seeds=[0, 1]), tmp_path)
    assert sorted(report.files) == [
        "instability.json", "instability.png", "lines.png", "recipe.yaml", "report.md", "results.jsonl"
    ]  # fmt: skip
    assert all((tmp_path / name).stat().st_size > 0 for name in report.files)
    assert read_recipe(tmp_path / "recipe.yaml", StabilityRecipe) == recipe(seeds=[0, 1])
    content = json.loads((tmp_path / "instability.json").read_text())
    assert (content["split"], content["threshold"]) == ("test", 0.02)
    found = [(one["level"], one["rewind_step"]) for one in content["instability"]]
    assert found == [(0, 0), (0, 4), (2, 0), (2, 4)]
    for one in content["instability"]:
        assert one["mean"] == pytest.approx(sum(one["by_seed"].values()) / 2)


def test_a_full_disk_names_the_file_that_could_not_be_written(tmp_path: Path) -> None:
    with at_most(100, resource.RLIMIT_FSIZE), pytest.raises(OSError, match="File too large") as refused:
        write_report(recipe(), made_rows(k0=0.1), tmp_path, metric="test_accuracy")
    assert in_words(refused.value).startswith(f"{tmp_path / 'instability.png'}: File too large; ")


def made_rows(**instability_by_step: float) -> list[dict[str, Any]]:
    return [
        {
            "rewind_step": int(step.removeprefix("k")), "level": level, "sparsity": 0.36 * bool(level), "seed": seed,
            "copies": [0, 1], "position": position, "error": error,
        }
        for step, barrier in instability_by_step.items()
        for level in (0, 2)
        for seed in (0, 1)
        for position, error in ((0.0, 0.1), (0.5, 0.1 + barrier), (1.0, 0.1))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "dense", "suggestion"),
    [
        (made_rows(k0=0.01, k4=0.0), "dense: stable from initialisation", "suggested rewind step: 0it"),
        (made_rows(k0=0.3, k4=0.0), "dense: stable from 4it", "suggested rewind step: 4it"),
        (
            made_rows(k0=0.3, k4=0.3),
            "dense: stable at none",
            "suggested rewind step: none of those measured; try later",
        ),
    ],
)
def test_the_verdict_in_words(tmp_path: Path, rows: list[dict[str, Any]], dense: str, suggestion: str) -> None:
    report = write_report(recipe(), rows, tmp_path, metric="test_accuracy")
    assert report.sentences[0].startswith(dense)
    assert report.sentences[1].startswith("level 2, sparsity 0.360: stable")
    assert report.sentences[-1].startswith(suggestion)
    assert all(line in (tmp_path / "report.md").read_text() for line in report.sentences)


def test_seeds_that_disagree_suggest_no_step(tmp_path: Path) -> None:
    """A mean of 0.83 points from 0.00 to 1.66: the interval of two seeds reaches far beyond the threshold of 2."""
    rows = [row | {"error": 0.1} if row["seed"] else row for row in made_rows(k0=0.0166)]
    report = write_report(recipe(), rows, tmp_path, metric="test_accuracy")
    assert report.suggested_step is None
    assert report.sentences[0] == "dense: undecided"
    assert report.sentences[-1] == "suggested rewind step: none of those measured; more seeds may decide"


def test_a_threshold_below_one_percent_is_shown_as_it_is(tmp_path: Path) -> None:
    write_report(recipe(threshold=0.005), made_rows(k0=0.01), tmp_path, metric="test_accuracy")
    assert "Stable: the whole interval is below 0.5%;" in (tmp_path / "report.md").read_text()


def test_the_table_has_a_line_for_each_network_and_step(tmp_path: Path) -> None:
    table = write_report(recipe(), made_rows(k0=0.3, k4=0.0), tmp_path, metric="test_accuracy").table
    assert table.columns == (
        "level",
        "sparsity",
        "rewind step",
        "error of the copies (%)",
        "instability",
        "of that error",
        "verdict",
    )
    assert table.rows == (
        ("0", "0.000", "0", "10.00", "30.00 ± 0.00", "+300%", "unstable"),
        ("0", "0.000", "4", "10.00", "0.00 ± 0.00", "+0%", "stable"),
        ("2", "0.360", "0", "10.00", "30.00 ± 0.00", "+300%", "unstable"),
        ("2", "0.360", "4", "10.00", "0.00 ± 0.00", "+0%", "stable"),
    )


def test_losses_are_shown_as_they_are(tmp_path: Path) -> None:
    rows = [{**row, "loss": 10 * row.pop("error")} for row in made_rows(k0=0.03, k4=0.0)]
    measured = recipe(line={"points": 3, "quantity": "loss"}, threshold=0.1)
    table = write_report(measured, rows, tmp_path, metric="test_loss").table
    assert table.caption.startswith("Instability (test loss) of a pair of copies a seed")
    assert "Stable: the whole interval is below 0.1;" in table.caption
    assert table.columns[3:6] == ("loss of the copies", "instability", "of that loss")
    assert table.rows[0][3:] == ("1.0000", "0.3000 ± 0.0000", "+30%", "unstable")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rewind_steps": ["10it"]}, "rewind_steps: iteration 10 is not before the end of training \\(10\\)"),
        ({"rewind_steps": ["4it", "1ep"]}, "rewind_steps: two of them are one iteration of 4, 4"),
        ({"rewind_steps": ["4it", "4it"]}, "rewind_steps must differ"),
        ({"levels": [2, 2]}, "levels must differ"),
        ({"levels": []}, "levels: list 1 or more$"),
        ({"levels": [-1]}, "levels.0: input should be greater than or equal to 0 \\(got -1\\)$"),
        ({"copies": 1}, "copies: input should be greater than or equal to 2"),
        ({"line": {"points": 2}}, "line.points: input should be greater than or equal to 3"),
        ({"line": {"split": "tests"}}, "input should be 'validation' or 'test'"),
        ({"finder": {"rewind": "1it"}}, "unknown key 'finder.rewind'"),
        ({"finder": {"exclude": ["fc9"]}}, "finder.exclude: 'fc9' matches no layer"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    task = WatchedDigits()
    with pytest.raises(RecipeError, match=said):
        measure(tmp_path, task, **keys)
    assert task.trainings == []


def test_a_validation_split_that_is_not_there_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    task = WatchedDigits()
    task.has_validation = False
    with pytest.raises(RecipeError, match=r"line\.split: digits-0-2 has no validation split; choose test"):
        measure(tmp_path, task, line={"split": "validation"})
    assert task.trainings == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_shipped_recipe_reads_and_its_dump_reads_back_equal(path: Path, tmp_path: Path) -> None:
    shipped = read_recipe(path, StabilityRecipe)
    (tmp_path / "recipe.yaml").write_text(dump_recipe(shipped))
    assert read_recipe(tmp_path / "recipe.yaml", StabilityRecipe) == shipped
    steps = shipped.find_recipe(0).finder
    assert (steps.levels, steps.rewind.count) == (max(shipped.levels), 0)


def test_there_are_shipped_recipes() -> None:
    assert [path.name for path in RECIPES] == ["lenet-300-100.mnist.yaml", "resnet-20.fashion-mnist.yaml"]


def test_a_model_of_texts_that_is_not_there_is_said_before_its_data_is_looked_for(tmp_path: Path) -> None:
    texts = {"type": "text-classification", "dataset": {"path": "nowhere"}}
    with pytest.raises(ModelError, match="unknown model 'bert'"):
        run_stability(recipe(model="bert", task=texts), tmp_path)
