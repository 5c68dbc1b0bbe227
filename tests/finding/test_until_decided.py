"""`find` that adds seeds until the levels are decided."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import edit_config

import ticketzoo
from ticketzoo.errors import RecipeError, TicketError, TicketzooError
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.verdict import Until
from ticketzoo.training import Record

FIVE = Until(seeds=[7, 8, 9], max_seeds=5)
TRAININGS = 3
"""Of a seed: dense, the ticket at one level, random_mask once."""

OPEN = 0.22
"""A margin by which the level is left open by seeds 7 to 9, and decided by 7 to 11: so is any from 0.164 to 0.274."""


def recipe(margin: float, **keys: Any) -> FindRecipe:
    content = {
        "name": "lenet.digits-imp",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
        "training": {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}},
        "finder": {"levels": 1},
        "arms": ["random_mask"],
        "draws": 1,
        "seeds": [7, 8, 9],
        "verdict": {"margin": margin, "until": "decided", "max_seeds": 5},
    }
    return parse_recipe(content | keys, FindRecipe, "test")


class Told(Quiet):
    """A `Progress` that remembers; it stops the run as it says a line that begins with `stop`."""

    def __init__(self, stop: str = "never") -> None:
        self.stop, self.lines, self.trained, self.announced = stop, [], 0, []  # type: ignore[var-annotated]

    def planned(self, trainings: int) -> None:
        self.announced.append(trainings)

    def finished(self, label: str, record: Record, metric: str, *, trained: bool) -> None:
        self.trained += trained
        self.say(label)

    def say(self, message: str) -> None:
        self.lines.append(message)
        if message.startswith(self.stop):
            raise InterruptedError

    @property
    def looks(self) -> list[str]:
        return [line for line in self.lines if line.startswith("look")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A folder with the trainings of seeds 0 to 4, and what they measured."""
    folder = tmp_path_factory.mktemp("trained")
    outright = parse_recipe(recipe(0.1).model_dump() | {"seeds": [*range(7, 12)], "verdict": {}}, FindRecipe, "test")
    ticket, _ = find_and_package(outright, folder)
    shutil.rmtree(folder / "lenet.digits-imp")
    return folder, ticket.results


def found(trained: tuple[Path, list[dict[str, Any]]], folder: Path, margin: float, told: Told) -> Ticket:
    """Return what `find` gives in a copy of the folder of all trainings."""
    shutil.copytree(trained[0], folder, dirs_exist_ok=True)
    return find_and_package(recipe(margin), folder, progress=told)[0]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def run(trained: tuple[Path, list[dict[str, Any]]], told: Told, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ticket's folder of a run that took a second look, which `told` heard."""
    folder = tmp_path_factory.mktemp("open")
    return folder / found(trained, folder, OPEN, told).name


@pytest.fixture
def open_first(run: Path) -> Ticket:
    return Ticket.from_pretrained(run)


def notes(folder: Path) -> list[str]:
    """Return what verify notes of ticket.json, rows and recipe."""
    said = [str(check) for check in ticketzoo.verify(folder)]
    return [line for line in said if "NOTE" in line and not line.startswith("README.md")]


def test_it_stops_at_the_first_look_that_decides(trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    ticket = found(trained, tmp_path, 0.99, told := Told())
    assert told.looks == ["look 1 of 2: 3 seeds, decided"]
    assert told.announced == [3 * TRAININGS]
    assert ticket.seeds == [7, 8, 9]
    verdict = ticket.config.verdict
    assert verdict is not None
    assert verdict.until == FIVE
    assert [(look.seeds, look.undecided) for look in verdict.looks] == [(3, {})]
    assert verdict.levels[0].look == 1
    assert not notes(tmp_path / ticket.name)


def test_it_adds_seeds_where_it_must(
    trained: tuple[Path, list[dict[str, Any]]], run: Path, told: Told, open_first: Ticket
) -> None:
    assert told.looks == ["look 1 of 2: 3 seeds, undecided at level 1 -> 2 more seeds", "look 2 of 2: 5 seeds, decided"]
    assert told.announced == [3 * TRAININGS, 5 * TRAININGS]
    assert told.trained == 0
    assert open_first.seeds == [7, 8, 9, 10, 11]
    assert sorted(map(json.dumps, open_first.results)) == sorted(map(json.dumps, trained[1]))
    verdict = open_first.config.verdict
    assert verdict is not None
    assert [look.seeds for look in verdict.looks] == [3, 5]
    assert ticketzoo.judge(open_first) == verdict
    card = (run / "README.md").read_text()
    assert "| 1 | 3 | 70.9% | undecided | level 1 |" in card  # ln(1 + 1.718 * 3 / 5)
    assert f"| 2 | 5 | 100.0% | {verdict.label} |  |" in card
    assert not notes(run)


def test_a_run_that_is_stopped_goes_on(open_first: Ticket, tmp_path: Path) -> None:
    runs = [Told("look 1"), Told("seed 10 level 1"), Told()]
    for stopped in runs[:2]:
        with pytest.raises(InterruptedError):
            find_and_package(recipe(OPEN), tmp_path, progress=stopped)
    ticket, _ = find_and_package(recipe(OPEN), tmp_path, progress=runs[2])
    assert sum(told.trained for told in runs) == 5 * TRAININGS
    assert ticket.config.mask_sha256 == open_first.config.mask_sha256
    assert ticket.results == open_first.results
    assert ticket.config.verdict == open_first.config.verdict


def test_a_look_that_its_rows_do_not_give_is_noticed(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / run.name
    shutil.copytree(run, folder)
    config, card = (folder / "ticket.json").read_bytes(), (folder / "README.md").read_text()

    def forged(change: Any) -> str:
        edit_config(folder, lambda config: change(config["verdict"]))
        with pytest.raises(TicketError) as raised:
            ticketzoo.verify(folder)
        (folder / "ticket.json").write_bytes(config)
        return str(raised.value)

    assert "verdict.looks.0.undecided" in forged(lambda verdict: verdict["looks"][0].pop("undecided"))
    assert "verdict.looks.0.spent" in forged(lambda verdict: verdict["looks"][0].update(spent=0.1))
    assert "verdict.looks.1.seeds" in forged(lambda verdict: verdict["looks"][1].update(seeds=7))
    assert "verdict.looks: " in forged(lambda verdict: verdict["looks"].pop(0))
    assert "verdict.until: " in forged(lambda verdict: verdict["until"].update(max_seeds=6))
    assert ".look: " in forged(lambda verdict: verdict["levels"][0].update(look=1))
    (folder / "README.md").write_text(card.replace("| 1 | 3 | 70.9%", "| 1 | 3 | 7.9%"))
    with pytest.raises(TicketError, match=r"README.md: says what ticket.json and the rows do not give: verdict"):
        ticketzoo.verify(folder)


def test_a_plan_counts_the_least_and_the_most(trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    plan = plan_find(recipe(0.99), tmp_path, seconds=0.01)
    assert plan.trainings == 3 * TRAININGS
    assert plan.most is not None
    assert plan.most.trainings == 5 * TRAININGS
    assert plan.most.disk_bytes["ticket"] > plan.disk_bytes["ticket"] > 0
    assert plan.most.timings == plan.timings
    decided = plan_find(recipe(0.99), trained[0], seconds=0.01)
    assert (decided.trainings, decided.finished, decided.most) == (0, 3 * TRAININGS, None)


def test_functions_state_it_too(trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    plain = recipe(0.99, verdict={"margin": 0.99})
    ticket = ticketzoo.find(plain, until="decided", max_seeds=5, out=tmp_path, device="cpu", progress=False)
    assert ticket.config.verdict is not None
    assert ticket.config.verdict.until == FIVE
    assert ticket.config.verdict.stated_margin == 0.99
    with pytest.raises(RecipeError, match=r"verdict.max_seeds: 3 is below the recipe's 4 seeds"):
        ticketzoo.find(recipe(0.9, seeds=[0, 1, 2, 3]), until="decided", max_seeds=3, progress=False)
    with pytest.raises(TicketzooError, match="until: give 'decided', not 'soon'"):
        ticketzoo.find("quickstart", until="soon", progress=False)
