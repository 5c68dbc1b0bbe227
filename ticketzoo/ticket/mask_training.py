"""The training of a mask, in words: how long it was, as the recipe in a ticket says."""

import re
from typing import Any

from ticketzoo.ticket.config import BaseRewind, SeedRewind, TicketConfig
from ticketzoo.ticket.recipe_file import parse_recipe

TRAINED = frozenset({"edge-popup", "biprop", "bernoulli", "mask-training"})
"""Methods that train a mask: as `finder.training` of their recipes says, or else as `training`."""

_UNITS = {"ep": "epoch", "it": "iteration"}


def mask_training_facts(config: TicketConfig, recipe_text: str | None) -> list[tuple[str, str | None]]:
    """Return how long a mask was trained, or when it had settled; None for other tickets, and where it is not stated.

    Args:
        config: of ticket.json.
        recipe_text: of recipe.yaml.
    """
    method, rewind = config.pruning.method, config.rewind
    settled = None
    if method == "early-bird" and not isinstance(rewind, BaseRewind | SeedRewind):
        settled = f"after {rewind.shown_step} iterations"
    training = _training(parse_recipe(recipe_text, "recipe.yaml")) if recipe_text and method in TRAINED else None
    return [("mask trained for", training), ("mask settled", settled)]


def _training(recipe: dict[str, Any]) -> str | None:
    finder = _keys(recipe, "finder")
    training = _keys(finder, "training") or _keys(recipe, "training")
    length = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ep|it)", str(training.get("steps")))
    size, optimizer = training.get("batch_size"), _keys(training, "optimizer")
    name, rate = optimizer.get("name"), optimizer.get("lr")
    if length is None or not isinstance(size, int) or not isinstance(name, str) or not isinstance(rate, int | float):
        return None
    unit = _UNITS[length[2]] + "s" * (length[1] != "1")
    return f"{length[1]} {unit} of batches of {size:,}, by {name} with learning rate {rate:g}"


def _keys(content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}
