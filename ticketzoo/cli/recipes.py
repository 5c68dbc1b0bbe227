from pathlib import Path

import typer

from ticketzoo.cli.options import JsonOption, RecipeArgument, SetOption
from ticketzoo.errors import RecipeError

app = typer.Typer(help="Look at recipes.", no_args_is_help=True)


def recipe_path(recipe: str) -> Path:
    """The file that RECIPE means: a path, or a shipped recipe by its name with or without `recipes/` and `.yaml`.

    Raises:
        RecipeError: it is neither.
    """
    from ticketzoo.shipped_files import shipped, shipped_recipes

    if Path(recipe).is_file():
        return Path(recipe)
    name = "recipes/" + recipe.removeprefix("recipes/").removesuffix(".yaml") + ".yaml"
    if name in shipped_recipes():
        return shipped(name)
    raise RecipeError(f"recipe {recipe}: no such file, nor a shipped recipe (ticketzoo recipe list)")


@app.command("list")
def list_recipes(as_json: JsonOption = False) -> None:
    """Name the recipes that come with ticketzoo, with what they are for."""
    from ticketzoo.cli.output import console, print_json
    from ticketzoo.shipped_files import shipped, shipped_recipes

    recipes = {
        name.removeprefix("recipes/").removesuffix(".yaml"): shipped(name).read_text().splitlines()[0].lstrip("# ")
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
    import yaml

    from ticketzoo.cli.output import print_json
    from ticketzoo.finding import FindRecipe
    from ticketzoo.recipe import dump_recipe, read_recipe
    from ticketzoo.transfer import TransferRecipe

    path = recipe_path(recipe)
    content = yaml.safe_load(path.read_text())
    kind = TransferRecipe if isinstance(content, dict) and "targets" in content else FindRecipe
    parsed = read_recipe(path, kind, overrides)
    if as_json:
        print_json(parsed.model_dump(mode="json"))
    else:
        print(dump_recipe(parsed), end="")
