"""`ticketzoo find`, `transfer` and `stability` as a user meets them: what they print where, and how they end."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RECIPE, TRANSFER, Command, ticketzoo

from ticketzoo.cli.find import print_found
from ticketzoo.ticket import Ticket

TICKET = "runs/lenet.digits-imp/lenet.digits-imp"
PRUNED_ONCE = "seed 0 level 1/8: test accuracy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "find.yaml").write_text(RECIPE)
    (tmp_path / "transfer.yaml").write_text(TRANSFER)
    return tmp_path


def test_the_way_from_a_recipe_to_a_verdict_on_other_data(folder: Path) -> None:
    found = ticketzoo(folder, "find", "find.yaml")
    assert found.status == 0
    lines = found.out.splitlines()
    assert lines[-1] == TICKET
    assert f"plot: {TICKET}/accuracy.png" in lines and (folder / TICKET / "accuracy.png").is_file()
    assert f"card: {TICKET}/README.md" in lines and (folder / TICKET / "README.md").is_file()
    assert any(line.startswith("verdict: ") for line in lines)
    assert [line.split("]")[0] for line in found.err.splitlines()] == [f"[{n}/8" for n in range(1, 9)]
    assert "] seed 0 level 2/2 random_reinit draw 0: test accuracy" in found.err

    again = ticketzoo(folder, "find", "find.yaml", "--json")
    assert (again.status, again.err) == (0, "")  # nothing was trained again
    assert {"ticket", "name", "mask_sha256", "verdict"} <= set(again.json)
    info = ticketzoo(folder, "info", f"./{TICKET}", "--json").json
    assert (again.json["ticket"], again.json["mask_sha256"]) == (TICKET, info["mask_sha256"])

    moved = ticketzoo(folder, "transfer", "transfer.yaml")
    assert moved.status == 0
    assert "verdict on lenet.digits-imp: " in moved.out
    for name, file in (("plot", "ticket-minus-dense.png"), ("report", "report.md")):
        assert f"{name}: runs/to-other-digits/{file}" in moved.out.splitlines()
    as_json = ticketzoo(folder, "transfer", "transfer.yaml", "--json")
    assert (as_json.status, as_json.err) == (0, "")
    assert all((folder / as_json.json["folder"] / file).is_file() for file in as_json.json["files"])
    done = ticketzoo(folder, "transfer", "transfer.yaml", "--plan", "--json").json
    assert (done["trainings"], done["finished"], done["seconds"]) == (0, 4, 0)
    verified = ticketzoo(folder, "verify", f"./{TICKET}")
    assert verified.status == 0 and "accuracy.png, early-stopping.png: the picture that its rows give" in verified.out
    assert "NOTE" not in verified.out

    added = ticketzoo(folder, "add", "lenet.digits-imp")
    assert (added.status, added.out) == (0, "registry/lenet.digits-imp\n")


STABILITY = """
name: lenet.digits-stability
model: {name: lenet-300-100, kwargs: {width: 0.05}}
task: {type: image-classification, dataset: {path: digits, classes: [0, 1, 2], examples: 64}}
training: {steps: 10it, batch_size: 16}
rewind_steps: [0it, 4it]
levels: [0, 1]
line: {points: 3}
seeds: [0]
"""


@pytest.mark.slow
def test_from_a_recipe_to_the_step_to_rewind_to(folder: Path) -> None:
    (folder / "stability.yaml").write_text(STABILITY)
    done = ticketzoo(folder, "stability", "stability.yaml")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[-1] == "runs/lenet.digits-stability"
    assert any(line.startswith("suggested rewind step: ") for line in lines)
    assert "[17/17] k=4 seed 0 level 1 copies 0 and 1: instability " in done.err
    again = ticketzoo(folder, "stability", "stability.yaml", "--json")
    assert (again.status, again.err) == (0, "")  # nothing was done again
    assert set(again.json) == {"folder", "files", "stable_from", "suggested_step"}
    plan = ticketzoo(folder, "stability", "stability.yaml", "--plan", "--json").json
    assert (plan["trainings"], plan["finished"]) == (0, 13 - 2)  # level 0 is the dense network at both steps
    assert plan["not_counted"][-1] == "errors at 3 points of each of 4 lines"
    assert all((folder / again.json["folder"] / file).is_file() for file in again.json["files"])
    assert set(again.json["stable_from"]) == {"0", "1"}
    shown = ticketzoo(folder, "recipe", "show", "stability.yaml", "--set", "seeds=[5]")
    assert (shown.status, "threshold: 0.02" in shown.out) == (0, True)
    refused = ticketzoo(folder, "find", "stability.yaml")
    assert refused.status == 1
    assert "is for another command: run ticketzoo stability stability.yaml" in refused.err


def test_a_plan_says_what_there_is_to_do_and_does_nothing(folder: Path) -> None:
    planned = ticketzoo(folder, "find", "find.yaml", "--plan")
    assert (planned.status, planned.err) == (0, "")
    lines = planned.out.splitlines()
    assert lines[0] == "trainings    8 to do; 0 finished in runs/lenet.digits-imp/cells"
    assert lines[1:3] == ["iterations   80", "examples     1,280 to train on"]
    said = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert said == ["trainings", "iterations", "examples", "time", "disk", "memory", "not"]
    assert not (folder / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(folder: Path, number: signal.Signals) -> None:
    settings = ("training.steps=400it", "finder.levels=8", "seeds=[0]", "arms=[ticket]")
    long = ("find", "find.yaml", *(f"--set={setting}" for setting in settings), "--json")
    running = Command(folder, *long)
    running.wait_for_output(PRUNED_ONCE)
    running.send(number)
    stopped = running.wait()
    assert (stopped.status, stopped.json["status"]) == (128 + number, 128 + number)
    said = "interrupted; what was trained so far is kept in runs/lenet.digits-imp, the same command goes on from there"
    assert stopped.err.splitlines()[-1] == f"ticketzoo: {said}"
    assert "Traceback" not in stopped.err
    assert not (folder / TICKET).exists()
    finished = ticketzoo(folder, *long)
    assert finished.status == 0
    assert PRUNED_ONCE not in finished.err  # it was done before


@pytest.mark.slow
def test_preemption_in_the_middle_of_a_training_loses_no_update(folder: Path) -> None:
    """The training is as long as it takes, and its checkpoints an hour apart: what is there was written on SIGTERM."""
    settings = ("training.steps=20000it", "finder.levels=2", "seeds=[0]", "arms=[ticket]")
    long = ("find", "find.yaml", *(f"--set={setting}" for setting in settings), "--checkpoint-seconds=3600")
    running = Command(folder, *long)
    while not list(folder.glob("runs/*/cells/*.partial/step-0.safetensors")):
        assert running.process.is_alive()
    running.send(signal.SIGTERM)
    stopped = running.wait()
    assert stopped.status == 143
    (checkpoint,) = folder.glob("runs/*/cells/*.partial/checkpoint-*.safetensors")
    done = int(checkpoint.stem.removeprefix("checkpoint-"))
    assert 0 < done < 20000
    damaged = checkpoint.with_name("checkpoint-20001.safetensors")
    damaged.write_bytes(b"")
    running = Command(folder, *long)
    running.wait_for_output("damaged checkpoint removed")
    running.send(signal.SIGTERM)
    warning = running.wait().err.splitlines()[0]
    name = damaged.relative_to(folder)
    assert warning == (
        f"ticketzoo: warning: {name}: damaged checkpoint removed; the training goes on from iteration {done}"
    )


def test_a_second_run_in_a_folder_in_use_is_refused(folder: Path) -> None:
    running = Command(folder, "find", "find.yaml", "--set", "training.steps=100000it")
    while not list(folder.glob("runs/*/cells/*.partial")):
        assert running.process.is_alive()
    second = ticketzoo(folder, "find", "find.yaml")
    running.send(signal.SIGINT)
    running.process.join()
    assert second.status == 1
    assert "another run is using this folder; wait for it or choose another working folder (--out)" in second.err


def test_help_of_every_command_has_an_example() -> None:
    from typer.main import get_command

    from ticketzoo.cli.main import app

    commands = dict(get_command(app).commands)
    commands |= {f"recipe {name}": command for name, command in commands.pop("recipe").commands.items()}
    assert {"find", "transfer", "stability", "list", "info", "verify", "export", "recipe list", "recipe show"} <= set(
        commands
    )
    for name, command in commands.items():
        assert f"ticketzoo {name} " in f"{command.help} ", name


@pytest.mark.slow
def test_as_a_module_in_a_plain_subprocess(folder: Path) -> None:
    command = [sys.executable, "-m", "ticketzoo", "recipe", "show", "find.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (folder / "complete.yaml").write_text(done.stdout)
    assert ticketzoo(folder, "recipe", "show", "complete.yaml").out == done.stdout


def test_the_table_that_find_prints_has_the_labels_of_the_ticket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are by the recipe's own margin and looks, which rows do not state."""
    folder = tmp_path / "digits"
    shutil.copytree(Path(__file__).resolve().parents[2] / "registry" / "lenet-300-100.digits-imp", folder)
    config = json.loads((folder / "ticket.json").read_text())
    for level in config["verdict"]["levels"]:
        level["label"] = "below"
    config["verdict"] |= {"label": "below"}
    (folder / "ticket.json").write_text(json.dumps(config))
    print_found((Ticket.from_pretrained(folder), folder), as_json=False)
    table = capsys.readouterr().out.partition("verdict: ")[0]
    assert table.count("below") == 5 and "undecided" not in table
