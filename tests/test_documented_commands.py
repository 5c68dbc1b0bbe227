"""Every command that a document shows is one: its name, its options and the shipped recipe that it names."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from ticketzoo.api.recipes import read_for
from ticketzoo.cli.main import app
from ticketzoo.finding import FindRecipe
from ticketzoo.instability import StabilityRecipe
from ticketzoo.studies import StudyRecipe
from ticketzoo.targets import TransferRecipe

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
RECIPES: dict[str, Any] = {"find": FindRecipe, "transfer": TransferRecipe, "stability": StabilityRecipe}
RECIPES["study"] = StudyRecipe


THE_READER_S = re.compile(r"[A-Z]|^\.?/|^(my-recipe|recipe|transfer)\.yaml")
"""Recipes that are files of the reader's."""


def commands(page: Path) -> list[str]:
    """Return the commands of a page's blocks of shell, each on one line."""
    found = []
    for block in re.findall(r"^```(?:sh|bash|shell)\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        found += [match[1] for line in lines if (match := re.search(r"(?:^|\s|\()(ticketzoo [a-z].*)$", line))]
    return found


def words(command: str) -> list[str]:
    """Return the words of a command, without what comes after a pipe, a redirection or a second command."""
    splitter = shlex.shlex(command, posix=True, punctuation_chars="|;&<>()")
    splitter.whitespace_split, splitter.commenters = True, "#"
    found: list[str] = []
    for word in splitter:
        if set(word) <= set("|;&<>()"):
            break
        found.append(word)
    return found[1:]


ALL = [(page, command) for page in PAGES for command in commands(page)]


@pytest.mark.parametrize(
    ("page", "command"), ALL, ids=[f"{page.name}-{number}" for number, (page, _) in enumerate(ALL)]
)
def test_a_command_in_a_document_is_one(page: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found: Any = typer.main.get_command(app)
    name, *rest = words(command)
    found = found.commands[name]
    try:
        context = found.make_context(name, rest)
    except typer.BadParameter as error:
        assert "does not exist" in error.message, f"{command}: {error.message}"  # a file of the reader's
        return
    except typer.Exit:  # --help
        return
    recipe = context.params.get("recipe")
    if name in RECIPES and recipe is not None and "$" not in command and not THE_READER_S.search(recipe):
        read_for(name, recipe, RECIPES[name], context.params["overrides"])


def test_commands_were_found() -> None:
    assert len(ALL) > 80
    assert words("ticketzoo find quickstart --set 'a=[1, 2]' | tail -1 && x  # words") == [
        "find", "quickstart", "--set", "a=[1, 2]",
    ]  # fmt: skip
