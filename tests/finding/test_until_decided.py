"""`find` that adds seeds until the levels are decided."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import edit_config

import ticketzoo
from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.evaluation.verdict import judge
from ticketzoo.finding import FindRecipe, find_and_package, plan_find
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.progress import Quiet
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.verdict import Until
from ticketzoo.training import Record

FIVE = Until(seeds=[0, 1, 2], max_seeds=5)
TRAININGS = 3
"""Of a seed: dense, the ticket at one level, random_mask once."""


def recipe(margin: float, **keys: Any) -> FindRecipe:
    content = {
        "name": "lenet.digits-imp",
        "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
        "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
        "training": {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}},
        "finder": {"levels": 1},
        "arms": ["random_mask"],
        "draws": 1,
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
    outright = parse_recipe(recipe(0.1).model_dump() | {"seeds": [*range(5)], "verdict": {}}, FindRecipe, "test")
    ticket, _ = find_and_package(outright, folder)
    shutil.rmtree(folder / "lenet.digits-imp")
    return folder, ticket.results


def undecided_first(rows: list[dict[str, Any]]) -> float:
    """A margin by which the level is left open at three seeds and decided at five."""
    for margin in (step / 200 for step in range(1, 200)):
        looks = judge(rows, margin=margin, until=FIVE).looks
        if looks[0].undecided and not looks[1].undecided:
            return margin
    raise AssertionError("the rows decide at once, by any margin")


def found(trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path, margin: float, told: Told) -> Ticket:
    """What `find` gives in a copy of the folder."""
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    return find_and_package(recipe(margin), tmp_path, progress=told)[0]


def test_it_stops_at_the_first_look_that_decides(tmp_path: Path) -> None:
    told = Told()
    ticket, folder = find_and_package(recipe(0.99), tmp_path, progress=told)
    assert told.looks == ["look 1 of 2: 3 seeds, decided"]
    assert (told.trained, told.announced) == (3 * TRAININGS, [3 * TRAININGS])
    assert ticket.seeds == [0, 1, 2]
    verdict = ticket.config.verdict
    assert verdict is not None
    assert verdict.until == FIVE
    assert [(look.seeds, look.undecided) for look in verdict.looks] == [(3, {})]
    assert verdict.levels[0].look == 1
    assert "NOTE" not in "".join(map(str, ticketzoo.verify(folder)))


def test_it_adds_seeds_where_it_must(trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    told = Told()
    ticket = found(trained, tmp_path, undecided_first(trained[1]), told)
    assert told.looks == ["look 1 of 2: 3 seeds, undecided at level 1 -> 2 more seeds", "look 2 of 2: 5 seeds, decided"]
    assert told.announced == [3 * TRAININGS, 5 * TRAININGS]
    assert told.trained == 0
    assert ticket.seeds == [0, 1, 2, 3, 4]
    assert sorted(map(json.dumps, ticket.results)) == sorted(map(json.dumps, trained[1]))
    verdict = ticket.config.verdict
    assert verdict is not None
    assert [look.seeds for look in verdict.looks] == [3, 5]
    assert ticketzoo.judge(ticket) == verdict
    card = (tmp_path / ticket.name / "README.md").read_text()
    assert "| 1 | 3 | 71.1% | undecided | levels 1 |" in card  # ln(1 + 1.718 * 3 / 5)
    assert f"| 2 | 5 | 100.0% | {verdict.label} |  |" in card
    assert "NOTE" not in "".join(map(str, ticketzoo.verify(tmp_path / ticket.name)))


@pytest.mark.parametrize("stop", ["look 1", "seed 3 level 1"])
def test_a_run_that_was_stopped_goes_on(trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path, stop: str) -> None:
    margin = undecided_first(trained[1])
    with pytest.raises(InterruptedError):
        find_and_package(recipe(margin), tmp_path / "stopped", progress=(before := Told(stop)))
    ticket, _ = find_and_package(recipe(margin), tmp_path / "stopped", progress=(after := Told()))
    assert before.trained + after.trained == 5 * TRAININGS
    undisturbed = found(trained, tmp_path / "undisturbed", margin, Told())
    assert ticket.config.mask_sha256 == undisturbed.config.mask_sha256
    assert ticket.results == undisturbed.results
    assert ticket.config.verdict == undisturbed.config.verdict


def test_a_look_that_its_rows_do_not_give_is_noticed(
    trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    margin = undecided_first(trained[1])
    folder = tmp_path / found(trained, tmp_path, margin, Told()).name
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
    (folder / "README.md").write_text(card.replace("| 1 | 3 | 71.1%", "| 1 | 3 | 7.1%"))
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
    with pytest.raises(RecipeError, match=r"verdict.max_seeds: 3 is below the 4 of seeds"):
        ticketzoo.find(recipe(0.9, seeds=[0, 1, 2, 3]), until="decided", max_seeds=3, progress=False)
    with pytest.raises(RecipeError, match=r"until: .*'decided'"):
        ticketzoo.find("quickstart", until="soon", progress=False)  # type: ignore[arg-type]
