"""Rows of a transfer are brought into the ticket that they measure: into its rows, verdict, card and plots."""

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import edit_config, forge
from typer.testing import CliRunner

import ticketzoo
from ticketzoo.api.stretch import stretch_into
from ticketzoo.cli.main import app
from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.evaluation.again import judge_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.targets.reproduce import Request, run_reproduction
from ticketzoo.ticket import Ticket
from ticketzoo.zoo.add import add_ticket
from ticketzoo.zoo.join import Joined, add_rows
from ticketzoo.zoo.summary import read_summary

NAME = "lenet.digits-imp"
TRAINING = {"steps": "12it", "batch_size": 16, "optimizer": {"lr": 0.1}}
FIND = {
    "name": NAME,
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 64}},
    "training": TRAINING,
    "finder": {"levels": 2},
    "arms": ["ticket", "dense", "random_reinit"],
    "seeds": [0, 1, 2],
    "verdict": {"margin": 0.05},
    "license": "mit",
}


def digits(*classes: int) -> dict[str, Any]:
    return {"task": {"type": "image-classification", "dataset": {"path": "digits", "classes": classes, "examples": 96}}}


def moved(ticket: Path, out: Path, **keys: Any) -> Path:
    """Carry the ticket to digits 3 to 7, and to its own data, at its second level; return results.jsonl."""
    content = {
        "name": "to-3-7",
        "tickets": [str(ticket)],
        "levels": [2],
        "targets": [digits(3, 4, 5, 6, 7), {"task": FIND["task"]}],
        "training": TRAINING,
        "arms": ["ticket", "dense", "random_reinit"],
        "seeds": [0, 1, 2],
        "verdict": {"margin": 0.05},
    }
    run_transfer(parse_recipe(content | keys, TransferRecipe, "test"), out)
    return out / "results.jsonl"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ticket in run/ and its transfer in to-3-7/; nobody changes it."""
    folder = tmp_path_factory.mktemp("made")
    _, ticket = find_and_package(parse_recipe(FIND, FindRecipe, "test"), folder / "run")
    moved(ticket, folder / "to-3-7")
    return folder


@pytest.fixture
def ticket(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "to-3-7", tmp_path / "to-3-7", ignore=shutil.ignore_patterns("cells"))
    shutil.copytree(made / "run" / NAME, tmp_path / NAME)
    return tmp_path / NAME


def add(ticket: Path, run: str = "to-3-7") -> Joined:
    return add_rows(ticket, ticket.parent / run / "results.jsonl", ticket.parent / "zoo")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def change_rows(ticket: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = ticket.parent / "to-3-7" / "results.jsonl"
    path.write_text("".join(json.dumps(change(row)) + "\n" for row in rows_in(path)))


def notes(folder: Path) -> list[str]:
    return [str(check) for check in ticketzoo.verify(folder) if "NOTE" in str(check)]


def test_rows_on_other_data_join_the_ticket_and_its_own_do_not(ticket: Path) -> None:
    own, measured = rows_in(ticket / "results.jsonl"), rows_in(ticket.parent / "to-3-7" / "results.jsonl")
    carried = [row for row in measured if row["target"] == "digits-3-7"]
    assert 0 < len(carried) < len(measured)
    before = contents(ticket)
    joined = add(ticket)
    assert joined == Joined(ticket.parent / "zoo" / NAME, ["digits-3-7"], len(carried), 0)
    assert contents(ticket) == before
    assert rows_in(joined.folder / "results.jsonl") == own + carried
    loaded = Ticket.from_pretrained(joined.folder)
    verdict = loaded.config.verdict
    assert verdict == judge_ticket(loaded)
    assert verdict.transfer == ["digits-3-7"]
    assert {(level.target, level.level) for level in verdict.levels} == {
        ("digits-0-2", 1), ("digits-0-2", 2), ("digits-3-7", 2),
    }  # fmt: skip
    assert loaded.config.format == 1
    assert loaded.config.mask_sha256 == Ticket.from_pretrained(ticket).config.mask_sha256
    assert notes(joined.folder) == []


def test_the_label_is_that_of_the_source_and_lists_say_the_other_after_it(ticket: Path) -> None:
    """Ticket 0.9 on its own data, 0.2 on the other; dense 0.9 on both."""

    def values(row: dict[str, Any]) -> dict[str, Any]:
        if row["metric"] != "test_accuracy":
            return row
        low = row["target"] == "digits-3-7" and row["arm"] == "ticket"
        return row | {"value": {"chance": 0.1}.get(row["arm"], (0.2 if low else 0.9) + row["seed"] / 1000)}

    forge(
        ticket,
        "results.jsonl",
        "".join(json.dumps(values(row)) + "\n" for row in rows_in(ticket / "results.jsonl")).encode(),
    )
    change_rows(ticket, values)
    folder = add(ticket).folder
    config = Ticket.from_pretrained(folder).config
    assert config.verdict.label == "matching"
    assert config.verdict.sparsity == config.levels[2].sparsity
    shown = f"{config.verdict.sparsity:.3f}"
    assert read_summary(folder).claim == f"matching at {shown}; on digits-3-7 below at {shown}"
    lines = [line for line in read_summary(folder).lines() if "Effective sparsity" not in line]
    assert lines[-2].endswith(" matching") and lines[-1].endswith(" matching; on digits-3-7 below")
    card = (folder / "README.md").read_text()
    assert "- verdict-matching\n" in card
    assert "matching on 1 of 2 targets, winning on 0, below on 1. On digits-0-2: " in card
    assert "transfer: on no other data set" not in card
    assert card.count("![accuracy](accuracy.png)") == 1


@pytest.mark.slow
def test_the_card_prints_the_recipe_by_which_the_same_rows_are_measured_again(ticket: Path) -> None:
    folder = add(ticket).folder
    (text,) = Ticket.from_pretrained(folder).config.transfers
    assert text in (folder / "README.md").read_text()
    recipe = parse_recipe(parse_yaml(text), TransferRecipe, "kept")
    assert recipe.tickets == (NAME,)
    assert [target.name for target in recipe.targets] == ["digits-3-7"]
    assert str(ticket) not in text
    run_transfer(recipe, ticket.parent / "again", registry=ticket.parent / "zoo")
    before = contents(folder)
    again = add(ticket, "again")
    assert (again.added, again.there > 0) == (0, True)
    assert contents(folder) == before


@pytest.mark.slow
def test_rows_join_those_that_the_registry_has_already(ticket: Path, made: Path) -> None:
    """The ticket of the run has none of them."""
    folder = add(ticket).folder
    moved(made / "run" / NAME, ticket.parent / "further", targets=[digits(8, 9)], seeds=[0, 1])
    further = add(ticket, "further")
    assert (further.folder, further.targets, further.there) == (folder, ["digits-8-9"], 0)
    loaded = Ticket.from_pretrained(folder)
    assert loaded.config.verdict.transfer == ["digits-3-7", "digits-8-9"]
    assert len(loaded.config.transfers) == 2
    assert notes(folder) == []
    more = moved(made / "run" / NAME, ticket.parent / "more", levels=[1], targets=[digits(3, 4, 5, 6, 7)], seeds=[0, 3])
    assert add_rows(folder, more, ticket.parent / "zoo").added > 0
    said = "on digits-3-7 4 seeds retrain 3 replicates, so masks are used again"
    assert said in (folder / "README.md").read_text().replace("\\", "")
    assert notes(folder) == []


def refused(ticket: Path, said: str, error: type[Exception] = TicketError, run: str = "to-3-7") -> None:
    before = contents(ticket.parent / "zoo")
    with pytest.raises(error, match=said) as raised:
        add(ticket, run)
    assert "\n" not in str(raised.value)
    assert contents(ticket.parent / "zoo") == before


def test_another_number_than_the_ticket_s_is_refused(ticket: Path) -> None:
    add(ticket)
    change_rows(ticket, lambda row: row | {"value": 0.25} if row["metric"] == "test_accuracy" else row)
    refused(ticket, "contradicts the ticket's rows: .* on digits-3-7, seed 0, test_accuracy: value is 0.25, and")


def test_rows_of_another_ticket_of_the_name_are_refused(ticket: Path, tmp_path: Path) -> None:
    """The other one has the same sparsities and other masks, or the same masks and other weights."""
    beside = ticket.parent / "to-3-7" / "tickets.json"
    content = json.loads(beside.read_text())
    for what in ("masks", "weights"):
        beside.write_text(json.dumps({NAME: content[NAME] | {what: "0" * 64}}))
        refused(ticket, f"was measured on another ticket of this name: {what} are '000000000000")
    beside.write_text(json.dumps({"lenet.other": content[NAME]}))
    refused(ticket, "was measured on another ticket of this name: masks are None")
    change_rows(ticket, lambda row: row | {"ticket": "lenet.other"})
    refused(ticket, "no row is about lenet.digits-imp: they are about lenet.other")


@pytest.mark.slow
def test_the_registry_s_other_ticket_stays(ticket: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(FIND | {"seeds": [7], "arms": ["ticket", "dense"]}, FindRecipe, "test")
    add_ticket(find_and_package(recipe, tmp_path / "other")[1], tmp_path / "zoo")
    refused(ticket, "holds another ticket; --replace puts this one in its place", RegistryError)
    assert add_rows(ticket, tmp_path / "to-3-7" / "results.jsonl", tmp_path / "zoo", replace=True).added
    assert Ticket.from_pretrained(tmp_path / "zoo" / NAME).seeds == [0, 1, 2]


@pytest.mark.slow
def test_without_digests_sparsities_must_agree_and_the_recipe_is_only_claimed(
    ticket: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (ticket.parent / "to-3-7" / "tickets.json").unlink()
    change_rows(ticket, lambda row: row | {"sparsity": row["sparsity"] * 0.999})
    refused(ticket, "line 1 says sparsity .* of ticket at level 2|says sparsity")
    change_rows(ticket, lambda row: row | {"sparsity": row["sparsity"] / 0.999})
    folder = add(ticket).folder
    assert "has no tickets.json beside it: name and sparsities alone" in caplog.text
    assert notes(folder) == [
        "ticket.json: NOTE: how rows on digits-3-7 were measured is only claimed: no recipe of a transfer is kept"
    ]


def test_rows_of_its_own_data_alone_are_refused(ticket: Path) -> None:
    path = ticket.parent / "to-3-7" / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_in(path) if row["target"] == "digits-0-2"))
    refused(ticket, "measures lenet.digits-imp on no other data than its own, digits-0-2")


def test_a_ticket_made_from_another_has_what_a_transfer_to_its_own_data_measured(tmp_path: Path) -> None:
    few = {"name": "mlp", "model": {"name": "mlp", "kwargs": {"hidden": [6, 6]}}, "finder": {"levels": 1}}
    recipe = parse_recipe(FIND | few | {"arms": ["ticket", "dense"], "package_from": 1}, FindRecipe, "test")
    find_and_package(recipe, tmp_path / "run")
    made, _ = stretch_into(tmp_path / "run" / "mlp", "mlp", tmp_path / "deeper", settings=["hidden=[6,6,6]"])
    assert made.results == []
    moved(tmp_path / "deeper", tmp_path / "own", levels=[1], targets=[{"task": FIND["task"]}], verdict={})
    add_ticket(tmp_path / "run" / "mlp", tmp_path / "zoo")
    joined = add_rows(tmp_path / "deeper", tmp_path / "own" / "results.jsonl", tmp_path / "zoo")
    loaded = Ticket.from_pretrained(joined.folder)
    assert (joined.targets, loaded.config.verdict.transfer) == (["digits-0-2"], ["digits-0-2"])
    assert loaded.results == rows_in(tmp_path / "own" / "results.jsonl")
    assert notes(joined.folder) == []
    card = (joined.folder / "README.md").read_text()
    assert re.search(r"; made by stretch from mlp, found on \S+, without a search of its own\.\n", card)
    assert "\n## How it was made\n" in card
    assert "\n## Measure it again\n" in card, "on its own data, so not: on other data"
    with pytest.raises(TicketError, match=r"^deeper: holds no recipe.*transfer measures it again, with the recipe on"):
        run_reproduction(Request(loaded, [1], [0]), tmp_path / "again")


@pytest.mark.slow
def test_one_target_is_measured_in_one_way_and_with_the_ticket_s_margin(ticket: Path, made: Path) -> None:
    add(ticket)
    for name, keys, said in (
        (
            "longer",
            {"training": TRAINING | {"steps": "13it"}},
            "otherwise on 'digits-3-7': training.steps is '13it', and '12it' in the recipe kept",
        ),
        ("kept", {"head": "random_mask"}, "otherwise on 'digits-3-7': head is 'random_mask', and 'dense' in"),
        (
            "margin",
            {"verdict": {"margin": 0.04}},
            "states the margin 0.04 on 'digits-3-7', and the ticket's recipe 0.05",
        ),
    ):
        moved(made / "run" / NAME, ticket.parent / name, levels=[1], targets=[digits(3, 4, 5, 6, 7)], seeds=[0], **keys)
        refused(ticket, said, run=name)


@pytest.mark.slow
def test_seeds_that_were_added_until_decided_need_the_ticket_s_own_looks(ticket: Path, made: Path) -> None:
    until = {"margin": 0.05, "until": "decided", "max_seeds": 3}
    moved(made / "run" / NAME, ticket.parent / "until", targets=[digits(8, 9)], verdict=until)
    refused(ticket, "in looks that the ticket's recipe does not state: measure a fixed number of seeds", run="until")
    recipe = (ticket / "recipe.yaml").read_text()
    stated = recipe.replace(
        "verdict:\n  margin: 0.05\n", "verdict:\n  margin: 0.05\n  until: decided\n  max_seeds: 3\n"
    )
    assert stated != recipe
    forge(ticket, "recipe.yaml", stated.encode())
    verdict = judge_ticket(Ticket.from_pretrained(ticket)).model_dump(mode="json")
    edit_config(ticket, partial(dict.update, verdict=verdict))
    assert add(ticket, "until").added > 0
    moved(made / "run" / NAME, ticket.parent / "few", targets=[digits(8, 9) | {"name": "few"}], seeds=[0, 1])
    refused(ticket, "the ticket's looks count the seeds that every target has: measure seed 2 on 'few', too", run="few")


@pytest.mark.slow
def test_other_data_by_the_name_of_its_own_are_refused(ticket: Path, made: Path) -> None:
    target = digits(8, 9) | {"name": "digits-0-2"}
    moved(made / "run" / NAME, ticket.parent / "called", targets=[target], seeds=[0])
    refused(ticket, "its own data and others are called digits-0-2: give the target another name", run="called")
    moved(made / "run" / NAME, ticket.parent / "as", targets=[digits(8, 9) | {"name": "digits-3-7"}], seeds=[4])
    add(ticket)
    refused(ticket, "'digits-3-7' is other data in the ticket's rows", run="as")


@pytest.mark.slow
def test_verify_holds_a_kept_recipe_against_the_rows(ticket: Path) -> None:
    folder = add(ticket).folder
    (text,) = Ticket.from_pretrained(folder).config.transfers
    forgeries = {
        "no recipe gives .* step 12' on digits-3-7": text.replace("12it", "13it"),
        "no recipe gives 'dense at level 0, seed 2, step 12'": text.replace(
            "seeds:\n- 0\n- 1\n- 2\n", "seeds:\n- 0\n- 1\n"
        ),
        "no recipe gives 'random_reinit at level 2": text.replace("- random_reinit\n", ""),
        "no recipe gives 'ticket at level 2": text.replace("levels:\n- 2\n", "levels:\n- 1\n"),
        "measures 'digits-0-2', of which there is no row on other data": text.replace("digits-3-7", "digits-0-2"),
        "must have targets, each with a name": "name: nothing\n",
        "must be keys and values": "- 1\n",
    }
    for said, forged in forgeries.items():
        assert forged != text
        edit_config(folder, partial(dict.update, transfers=[forged]))
        with pytest.raises(TicketError, match=said):
            ticketzoo.verify(folder)
    edit_config(folder, lambda config: config.update(transfers=[text + "# winning at 0.99\n"]))
    (folder / "README.md").unlink()
    assert "ticket.json: NOTE: transfers is free text that speaks of results: '# winning at 0.99'" in notes(folder)


def test_a_forged_label_on_other_data_is_said(ticket: Path) -> None:
    folder = add(ticket).folder

    def better(config: dict[str, Any]) -> None:
        (level,) = [level for level in config["verdict"]["levels"] if level["target"] == "digits-3-7"]
        level["label"] = "matching" if level["label"] != "matching" else "below"

    edit_config(folder, better)
    with pytest.raises(TicketError, match="level 2 on 'digits-3-7': label"):
        ticketzoo.verify(folder)


def test_reproduce_and_evaluate_take_rows_of_the_source_alone(ticket: Path, tmp_path: Path) -> None:
    loaded = Ticket.from_pretrained(add(ticket).folder)
    again = run_reproduction(Request(loaded, [0, 2], [0]), tmp_path / "again")
    assert {one.outcome for one in again.trainings} == {"bit-identical"}
    assert again.left_out == ["rows on digits-3-7: ticketzoo transfer measures them again, with the recipe on the card"]


def test_the_command_says_how_many_rows(ticket: Path) -> None:
    where = ("--rows", str(ticket.parent / "to-3-7" / "results.jsonl"), "--registry", str(ticket.parent / "zoo"))
    first = CliRunner().invoke(app, ["add", str(ticket), *where])
    assert first.exit_code == 0
    assert first.stdout == f"{ticket.parent / 'zoo' / NAME}\n"
    assert " rows on digits-3-7 added" in first.stderr
    again = CliRunner().invoke(app, ["add", str(ticket), *where, "--json"])
    said = json.loads(again.stdout)
    assert (said["targets"], said["added"], said["ok"]) == (["digits-3-7"], 0, True)
    assert said["there"] > 0
    missing = CliRunner().invoke(app, ["add", str(ticket), "--rows", str(ticket.parent / "none.jsonl")])
    assert missing.exit_code == 1
