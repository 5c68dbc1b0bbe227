import re
from itertools import takewhile

import typer
from pydantic import BaseModel

from ticketzoo.api.recipes import command_of, read_for, recipe_path, shipped_name
from ticketzoo.cli.options import JsonOption, RecipeArgument, SetOption

app = typer.Typer(
    help="List the recipes that come with ticketzoo, or show one with every default.", no_args_is_help=True
)


@app.command("list")
def list_recipes(as_json: JsonOption = False) -> None:
    """Name the recipes that come with ticketzoo, with what they are for.

    Example:

        ticketzoo recipe list
    """
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.util.shipped import shipped, shipped_recipes

    recipes = {shipped_name(name): _purpose(shipped(name).read_text(encoding="utf-8")) for name in shipped_recipes()}
    if as_json:
        print_json(recipes)
        return
    for name, purpose in recipes.items():
        console().print(f"[bold]{name}[/bold]\n    {purpose}")


def _purpose(recipe: str) -> str:
    """Return the first sentence of the comment that a recipe begins with; its commands are indented."""
    comment = takewhile(re.compile(r"# \S").match, recipe.splitlines())
    return re.split(r"(?<=[.?])\s+(?=[A-Z])", " ".join(line[2:] for line in comment))[0].removesuffix(":")


@app.command()
def show(recipe: RecipeArgument, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Print a recipe with every default visible and every override applied.

    Example:

        ticketzoo recipe show quickstart --set finder.levels=4
    """
    from ticketzoo.cli.output import print_json
    from ticketzoo.finding import FindRecipe
    from ticketzoo.instability import StabilityRecipe
    from ticketzoo.recipe import dump_recipe
    from ticketzoo.recipe.reading import EVERY_KEY
    from ticketzoo.studies import StudyRecipe
    from ticketzoo.targets import TransferRecipe

    path = recipe_path(recipe)
    kinds: dict[str, type[BaseModel]] = {"find": FindRecipe, "transfer": TransferRecipe, "stability": StabilityRecipe}
    kinds["study"] = StudyRecipe
    parsed = read_for(command_of(path), recipe, kinds[command_of(path)], overrides)
    if as_json:
        print_json(parsed.model_dump(mode="json", context={EVERY_KEY: True}))
    else:
        print(dump_recipe(parsed, every_key=True), end="")
