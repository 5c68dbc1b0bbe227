"""Whatever is wrong with the input, a user reads one line and sees status 1 or 2; nothing half-written stays."""

from pathlib import Path

import pytest
from command_line import RECIPE, TRANSFER, ticketzoo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "find.yaml").write_text(RECIPE)
    (folder / "transfer.yaml").write_text(TRANSFER)
    (folder / "broken.yaml").write_text("name: [1\n")
    (folder / "table").mkdir()
    (folder / "table" / "data.csv").write_text("a,b\n1,2\n")
    return folder


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("finder.rat=0.2", "unknown key 'finder.rat', did you mean 'rate'?"),
        ("finder.levels=many", "finder.levels: input should be a valid integer"),
        ("finder.rate=1.5", "finder.rate: input should be less than 1 (got 1.5)"),
        ("finder.levels=-1", "finder.levels: input should be greater than or equal to 1 (got -1)"),
        ("finder.levels=300", "would remove no weight; ask for fewer"),
        ("finder.rewind=10it", "finder.rewind: 10it is iteration 10, not before the end of training (10)"),
        ("finder.exclude=[conv*]", "finder.exclude: 'conv*' matches no layer of the model; its layers: fc1, fc2, fc3"),
        ("task.name=a/b", "task.name: write letters, digits and '_'"),
        ("task.dataset={path: ./table}", "of their bytes (PNG, JPEG); its columns: a (whole numbers), b"),
        ("task.dataset={path: ./nowhere}", "no data set at ./nowhere: there is no such folder"),
        ("task.dataset={path: digits, classes: [1]}", "images of one class only"),
        ("model=lenet-300", "unknown model 'lenet-300'; did you mean lenet-300-100"),
        ("model.kwargs.widht=2", "has no argument 'widht'"),
        ("training.optimizer.lr=1.0e+30", "seed 0 level 0/2: training diverged: train_loss is"),
        ("training", "write key=value"),
    ],
)
def test_a_recipe_that_cannot_be(folder: Path, setting: str, said: str) -> None:
    done = ticketzoo(folder, "find", "find.yaml", "--set", setting, "--json")
    assert (done.status, done.json["ok"]) == (1, False)
    assert done.err.splitlines()[-1] == f"ticketzoo: {done.json['error']}"
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not list(folder.glob("runs/*/lenet.digits-imp"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("recipe show broken.yaml", "recipe broken.yaml: not readable as YAML"),
        ("find broken.yaml", "recipe broken.yaml: not readable as YAML"),
        ("find quickstrat", "no such file, nor a shipped recipe; did you mean quickstart"),
        ("find transfer.yaml", "is for another command: run ticketzoo transfer transfer.yaml"),
        ("transfer find.yaml", "is for another command: run ticketzoo find find.yaml"),
        ("transfer transfer.yaml", "there is no such folder; find one first"),
        ("find find.yaml --out /dev/null", "/dev/null/cells: cannot be written (Not a directory)"),
        ("find find.yaml --device banana", "there is no device 'banana': say cpu, cuda"),
        ("find find.yaml --device meta", "there is no device 'meta': say cpu, cuda"),
        ("info ./table", "holds no ticket"),
    ],
)
def test_a_command_that_cannot_be_done(folder: Path, command: str, said: str) -> None:
    done = ticketzoo(folder, *command.split())
    assert (done.status, done.out) == (1, "")
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        "fnid find.yaml",
        "find",
        "find find.yaml --bogus",
        "find find.yaml --plan --executor slurm",
        "export a b --level many",
    ],
)
def test_wrong_usage_is_status_2(folder: Path, command: str) -> None:
    done = ticketzoo(folder, *command.split())
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err


def test_a_name_with_control_characters_cannot_write_on_the_terminal(folder: Path) -> None:
    done = ticketzoo(folder, "info", "x\x1b[2J")
    assert done.status == 1
    assert "\x1b" not in done.err
