import difflib
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import BaseModel

from ticketzoo.cli.options import JsonOption, RecipeArgument, SetOption
from ticketzoo.errors import RecipeError

R = TypeVar("R", bound=BaseModel)

KEYS = {"transfer": "targets", "stability": "rewind_steps"}
"""Commands, and a key that every recipe of theirs has and no other."""

app = typer.Typer(help="Look at recipes.", no_args_is_help=True)


def recipe_path(recipe: str) -> Path:
    """Return the file that RECIPE means: a path, or a shipped recipe by name, with or without `recipes/` and `.yaml`.

    Raises:
        RecipeError: it is neither.
    """
    from ticketzoo.util.shipped import shipped, shipped_recipes

    if Path(recipe).is_file():
        return Path(recipe)
    name = "recipes/" + recipe.removeprefix("recipes/").removesuffix(".yaml") + ".yaml"
    if name in shipped_recipes():
        return shipped(name)
    near = difflib.get_close_matches(shipped_name(name), map(shipped_name, shipped_recipes()), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "ticketzoo recipe list names them"
    raise RecipeError(f"recipe {recipe}: no such file, nor a shipped recipe; {hint}")


def shipped_name(file: str) -> str:
    """Return the name by which RECIPE means the shipped `recipes/NAME.yaml`."""
    return file.removeprefix("recipes/").removesuffix(".yaml")


def read_for(command: str, recipe: str, recipe_type: type[R], overrides: list[str] | None) -> R:
    """Return RECIPE, read and checked for `ticketzoo <command>` (find, transfer or stability).

    Raises:
        RecipeError: there is no such recipe, it is for another command, or as `read_recipe` does.
    """
    from ticketzoo.recipe import read_recipe

    path = recipe_path(recipe)
    if (other := command_of(path)) != command:
        raise RecipeError(f"recipe {path}: is for another command: run ticketzoo {other} {recipe}")
    return read_recipe(path, recipe_type, overrides)


def command_of(path: Path) -> str:
    """Return the command whose recipe the file is, by the key that only such recipes have; `find` if there is none."""
    from ticketzoo.recipe import read_content

    content = read_content(path)
    return next((command for command, key in KEYS.items() if key in content), "find")


@app.command("list")
def list_recipes(as_json: JsonOption = False) -> None:
    """Name the recipes that come with ticketzoo, with what they are for.

    Example:

        ticketzoo recipe list
    """
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.util.shipped import shipped, shipped_recipes

    recipes = {
        shipped_name(name): shipped(name).read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for name in shipped_recipes()
    }
    if as_json:
        print_json(recipes)
        return
    for name, purpose in recipes.items():
        console().print(f"[bold]{name}[/bold]\n    {purpose}")


@app.command()
def show(recipe: RecipeArgument, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Print a recipe with every default visible and every override applied.

    Example:

        ticketzoo recipe show quickstart --set finder.levels=4
    """
    from ticketzoo.cli.output import print_json
    from ticketzoo.finding import FindRecipe
    from ticketzoo.recipe import dump_recipe, read_recipe
    from ticketzoo.stability import StabilityRecipe
    from ticketzoo.transfer import TransferRecipe

    path = recipe_path(recipe)
    kinds: dict[str, type[BaseModel]] = {"find": FindRecipe, "transfer": TransferRecipe, "stability": StabilityRecipe}
    parsed = read_recipe(path, kinds[command_of(path)], overrides)
    if as_json:
        print_json(parsed.model_dump(mode="json"))
    else:
        print(dump_recipe(parsed), end="")
