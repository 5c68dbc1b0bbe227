"""What a shell completes at the command line."""

from pathlib import Path

import pytest
from command_line import RECIPE, ticketzoo
from toy_zoo import save_ticket

from ticketzoo.cli.completion import recipe_names, run_folders, ticket_names


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKETZOO_REGISTRY", raising=False)
    return tmp_path


def test_names_of_recipes_and_files(folder: Path) -> None:
    (folder / "quick.yaml").write_text(RECIPE)
    (folder / "quick.txt").write_text("")
    assert {"quickstart", "quickstart-transfer", "quick.yaml"} <= set(recipe_names("quick"))
    assert all(name.startswith("quick") for name in recipe_names("quick"))
    assert "quick.txt" not in recipe_names("quick")
    assert recipe_names("no-such") == []


def test_names_of_tickets_here_in_runs_and_shipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in (("registry", "lenet.mine-imp"), ("runs/a", "lenet.run-imp")):
        save_ticket(folder / place / name, name=name)
    assert {"lenet.mine-imp", "lenet.run-imp", "lenet-300-100.digits-imp"} <= set(ticket_names("lenet"))
    assert ticket_names("lenet.m") == ["lenet.mine-imp"]
    monkeypatch.setenv("TICKETZOO_REGISTRY", str(folder / "registry"))
    assert ticket_names("lenet") == ["lenet.mine-imp", "lenet.run-imp"]
    assert run_folders("ru") == ["runs/"] and run_folders("runs/") == ["runs/a/"]


def test_the_shell_is_told(folder: Path) -> None:
    words = {"_TICKETZOO_COMPLETE": "complete_bash", "COMP_WORDS": "ticketzoo find quickst", "COMP_CWORD": "2"}
    assert sorted(ticketzoo(folder, environment=words).out.split()) == ["quickstart", "quickstart-transfer"]
    options = words | {"COMP_WORDS": "ticketzoo find quickstart --exec", "COMP_CWORD": "3"}
    assert ticketzoo(folder, environment=options).out.split() == ["--executor"]
    off = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = ticketzoo(folder, "--show-completion", "bash", environment=off)
    assert script.status == 0 and "_TICKETZOO_COMPLETE=complete_bash" in script.out
