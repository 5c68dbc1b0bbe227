"""The help of every command: examples that are read as they stand, and no names of the code."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from command_line import ticketzoo

from ticketzoo.api.recipes import read_for
from ticketzoo.cli.main import app
from ticketzoo.finding import FindRecipe
from ticketzoo.instability import StabilityRecipe
from ticketzoo.studies import StudyRecipe
from ticketzoo.targets import TransferRecipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES: dict[str, Any] = {"find": FindRecipe, "transfer": TransferRecipe, "stability": StabilityRecipe}
RECIPES["study"] = StudyRecipe


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def examples(command: Any) -> list[str]:
    lines = (command.help or "").partition("Example")[2].splitlines()
    return [line.strip() for line in lines if line.startswith("    ")]


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_examples_are_read_by_the_command(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = COMMANDS[names]
    assert examples(command)
    for example in examples(command):
        program, *words = shlex.split(example)
        assert (program, tuple(words[: len(names)])) == ("ticketzoo", names)
        with command.make_context(names[-1], words[len(names) :]) as context:
            if names[0] in RECIPES:
                read_for(names[0], context.params["recipe"], RECIPES[names[0]], context.params["overrides"])


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_usage_names_arguments_in_capitals(names: tuple[str, ...]) -> None:
    command = COMMANDS[names]
    with command.make_context(names[-1], [], resilient_parsing=True) as context:
        (_, *pieces) = command.collect_usage_pieces(context)
    assert all(piece == piece.upper() for piece in pieces), pieces
    assert all(option.help for option in command.params)


def test_a_folder_to_write_is_asked_for_alike_by_all_commands() -> None:
    opts = {names: option.opts for names, one in COMMANDS.items() for option in one.params if "--out" in option.opts}
    assert len(opts) > 8
    assert [names for names, found in opts.items() if found != ["--out", "-o"]] == []


def test_the_help_does_not_wait_for_torch() -> None:
    print_help = "sys.argv = ['ticketzoo', '--help']\ntry: main()\nexcept SystemExit: print('torch' in sys.modules)"
    command = [sys.executable, "-c", f"import sys\nfrom ticketzoo.__main__ import main\n{print_help}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Find tickets by a recipe" in shown
    assert shown.endswith("False\n")


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_name_of_an_option_is_cut_in_a_narrow_terminal(tmp_path: Path, columns: str) -> None:
    done = ticketzoo(tmp_path, "find", "--help", environment={"COLUMNS": columns, "TERMINAL_WIDTH": columns})
    options = [
        option for names, one in commands(typer.main.get_command(app)) if names == ("find",) for option in one.params
    ]
    names = [name for option in options for name in option.opts if name.startswith("--")]
    assert "--checkpoint-seconds" in names
    assert [name for name in names if name not in done.out] == []


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_the_list_of_commands_says_what_each_does_to_the_end(tmp_path: Path, columns: str) -> None:
    for names in ((), ("recipe",)):
        done = ticketzoo(tmp_path, *names, "--help", environment={"COLUMNS": columns, "TERMINAL_WIDTH": columns})
        shown = " ".join(done.out.replace("│", " ").replace("`", "").split())
        for found, command in COMMANDS.items():
            if found[:-1] == names:
                said = (command.help or "").partition("\n\n")[0].replace("`", "")
                assert f"{found[-1]} {' '.join(said.split())}" in shown
