"""Lengths of training in a recipe, in iterations."""

from ticketzoo.errors import RecipeError
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.recipe import Steps
from ticketzoo.tasks.task import Task


def steps_before_the_end(length: Steps, recipe: FindRecipe, task: Task) -> int:
    """Return the rewind step `length` in iterations.

    Raises:
        RecipeError: it is not before the end of training.
    """
    per_epoch = task.steps_per_epoch(recipe.training.batch_size)
    step, whole = length.iterations(per_epoch), recipe.training.steps.iterations(per_epoch)
    if step >= whole:
        what = f"{length} is iteration {step}, not before the end of training ({whole})"
        rewinds = length == getattr(recipe.finder, "rewind", None)
        key, advice = ("finder.rewind", "rewind to") if rewinds else ("finder", "choose")
        raise RecipeError(f"{key}: {what}: {advice} an earlier one, or train longer")
    return step
