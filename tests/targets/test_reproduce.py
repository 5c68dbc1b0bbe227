"""Measuring a ticket's rows again."""

import json
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import forge
from typer.testing import CliRunner

from ticketzoo.cli.main import app
from ticketzoo.errors import RecipeError, RunError, TicketzooError
from ticketzoo.evaluation.arms import CHANCE
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets.reproduce import Request, plan_reproduction, run_reproduction
from ticketzoo.targets.reproduction import outcome_within, prediction_interval
from ticketzoo.ticket import Ticket

RECIPE = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
    "training": {"steps": "10it", "batch_size": 16, "optimizer": {"lr": 0.1}},
    "finder": {"levels": 2},
    "arms": ["ticket", "dense", "random_reinit", "random_mask", "large_init", "dense_long"],
    "seeds": [0, 1],
}

KINDS: dict[str, dict[str, Any]] = {
    "weights of step 0": {},
    "weights of step 3": {"finder": {"levels": 2, "rewind": "3it"}},
    "late reset": {"finder": {"levels": 2, "rewind": "3it", "rewinding": "late-reset"}},
    "learning rate": {"finder": {"levels": 2, "rewind": "3it", "rewinding": "learning-rate"}},
    "one shot": {"finder": {"method": "one-shot", "levels": 2}},
    "fresh weights from the rewind step": {"finder": {"levels": 2, "rewind": "3it"}, "reinit_from": "rewind-step"},
    "supermask": {"finder": {"method": "edge-popup", "levels": 1}, "package_from": 1},
}


def found(out: Path, **keys: Any) -> Ticket:
    return Ticket.from_pretrained(find_and_package(parse_recipe(RECIPE | keys, FindRecipe, "test"), out)[1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_bit_identical_here(kind: str, tmp_path: Path) -> None:
    ticket = found(tmp_path / "run", **KINDS[kind])
    levels = [0, *(entry.level for entry in ticket.levels if entry.level)]
    again = run_reproduction(Request(ticket, levels, ticket.seeds), tmp_path / "again")
    trained = {(row["level"], row["arm"], row["seed"], row["draw"]) for row in ticket.results if row["arm"] != CHANCE}
    measured = {(one.level, one.arm, one.seed, one.draw) for one in again.trainings}
    if kind in ("learning rate", "supermask"):  # the weights outside the masks are not in the ticket
        trained = {one for one in trained if one[1] not in ("random_mask", "large_init")}
        why = "it needs weights that the ticket does not hold"
        assert f"level 1 seed 0 random_mask draw 0 again: {why}" in again.left_out
    else:
        assert again.left_out == []
    assert measured == trained
    assert again.elsewhere == []
    assert {one.outcome for one in again.trainings} == {"bit-identical"}
    assert again.holds


@pytest.fixture(scope="module")
def ticket(tmp_path_factory: pytest.TempPathFactory) -> Ticket:
    return found(tmp_path_factory.mktemp("run"))


def test_another_number_is_said_to_differ_or_to_lie_within_the_interval(ticket: Ticket, tmp_path: Path) -> None:
    """With a tenth of the learning rate the trainings are others, and worse."""
    request = Request(ticket, [2], [0], ["ticket"], overrides=["training.optimizer.lr=0.01"])
    (one,) = run_reproduction(request, tmp_path).trainings
    assert one.measured != one.stated
    assert one.outcome == outcome_within(one.interval, one.measured)


def test_another_environment_is_said(ticket: Ticket, tmp_path: Path) -> None:
    folder = ticket.save_pretrained(tmp_path / "ticket")
    config = json.loads((folder / "ticket.json").read_text())
    config["replicates"][0]["environments"][0] |= {"torch": "1.0", "device": "TPU"}
    (folder / "ticket.json").write_text(json.dumps(config))
    elsewhere = Ticket.from_pretrained(folder)
    lines = run_reproduction(Request(elsewhere, [2], [0], ["ticket"]), tmp_path / "again").elsewhere
    assert [line.partition(",")[0] for line in lines] == ["torch: 1.0 there", "device: TPU there"]
    assert run_reproduction(Request(elsewhere, [2], [1], ["ticket"]), tmp_path / "again").elsewhere == []


def test_outcomes() -> None:
    assert outcome_within((0.9, 0.95), 0.9) == "within the interval"
    assert outcome_within((0.9, 0.95), 0.96) == "differs"
    assert outcome_within(None, 0.96) == "not comparable"


def test_the_interval_is_of_single_trainings_and_never_without_width() -> None:
    # Of 0.8, 0.9 and 1.0 the standard deviation is 0.1: 4.3027 * 0.1 * sqrt(1 + 1 / 3) = 0.4968 to either side.
    assert prediction_interval([0.8, 0.9, 1.0]) == pytest.approx((0.4032, 1.3968), abs=1e-4)
    assert prediction_interval([0.9] * 3, least_spread=0.01) == pytest.approx((0.8503, 0.9497), abs=1e-4)
    assert prediction_interval([0.9] * 3) is prediction_interval([0.9]) is None


def test_a_plan_trains_nothing(ticket: Ticket, tmp_path: Path) -> None:
    plan = plan_reproduction(Request(ticket, [0, 2], [0, 1], ["ticket", "dense"]), tmp_path, seconds=0.01)
    assert plan.trainings == 4  # at level 0 the ticket's training is dense's
    assert list(tmp_path.iterdir()) == []


def test_other_data_are_refused(ticket: Ticket, tmp_path: Path) -> None:
    request = Request(ticket, [2], [0], overrides=["task.dataset.classes=[0, 1, 3]"])
    with pytest.raises(RunError, match=r"not the data that lenet.digits-imp was found on"):
        run_reproduction(request, tmp_path)


def test_what_was_not_measured_is_named(ticket: Ticket, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="it has dense at level 0, dense_long at level 0, ticket at level 0"):
        run_reproduction(Request(ticket, [2], [0], ["magnitude"]), tmp_path)


def test_rows_that_lack_columns_or_the_metric_are_named(ticket: Ticket, tmp_path: Path) -> None:
    for number, (keep, message) in enumerate(
        [
            (lambda row: {key: row[key] for key in ("ticket", "level")}, "sparsity: Field required"),
            (lambda row: row | {"metric": "test_loss"}, "no test_accuracy of what was asked for"),
        ]
    ):
        rows = {(row["level"], row["arm"], row["seed"], row["draw"]): keep(row) for row in ticket.results}
        folder = ticket.save_pretrained(tmp_path / f"{number}")
        forge(folder, "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows.values()).encode())
        with pytest.raises(TicketzooError, match=message):
            run_reproduction(Request(Ticket.from_pretrained(folder), [1], [0]), tmp_path / "again")


def test_command(ticket: Ticket, tmp_path: Path) -> None:
    folder = ticket.save_pretrained(tmp_path / "ticket")
    asked = ["reproduce", str(folder), "--level", "2", "--seed", "1", "--arm", "ticket", "--device", "cpu"]
    done = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out"), "--json"])
    (one,) = json.loads(done.stdout)["trainings"]
    assert (one["level"], one["seed"], one["arm"], one["outcome"]) == (2, 1, "ticket", "bit-identical")
    assert one["stated"] == one["measured"]
    done = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "bit-identical" in done.stdout
