"""Anyone's masks, measured as a ticket is: a recipe's arms, verdict and package, with masks that a file brings."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ticketzoo.errors import RecipeError
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.package import find_and_package, plan_find
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.start import SourceModel, load_model, load_task
from ticketzoo.masks.masks import sparsity
from ticketzoo.models import create_from_architecture, load_model_state, model_state, prunable_parameters
from ticketzoo.pruning.given import read_masks
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.plan import Plan
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket
from ticketzoo.util.text import for_terminal


@dataclass(frozen=True)
class Judging:
    """Masks to measure.

    Attributes:
        recipe: whose model, data, training, rewind step, arms and seeds to measure with.
        masks: a safetensors file of tensors of zeros and ones, by parameter name.
        weights: a safetensors file, a state dict, of the weights that every seed starts from; by default each seed's
            fresh initialization, or the pretrained weights.
    """

    recipe: FindRecipe
    masks: str
    weights: str | None = None

    @property
    def name(self) -> str:
        """Return the name of the ticket that comes of it, and of the working folder."""
        return f"{self.recipe.name}-judged"


def judge_masks(judging: Judging, out: str | Path, **where: Any) -> tuple[Ticket, Path]:
    """Measure masks as the levels of a ticket are measured, beside the recipe's arms, and package them.

    Args:
        judging: what to measure.
        out: working folder.
        where: as `find_and_package` takes it: `device`, `executor`, `checkpoint_seconds`, `progress`.

    Returns:
        the ticket and its folder.

    Raises:
        RecipeError: a file cannot be read, or its tensors are not those of the recipe's model.
        TicketzooError: as `find_and_package` raises it.
    """
    task, model = _source(judging)
    return find_and_package(_recipe(judging, model), out, task=task, model=model, **where)


def plan_judging(
    judging: Judging, out: str | Path, *, device: torch.device | None = None, seconds: float = 0.5
) -> Plan:
    """Return what `judge_masks` has left to do; nothing is written. Raises as it does."""
    task, model = _source(judging)
    return plan_find(_recipe(judging, model), out, device=device, seconds=seconds, task=task, model=model)


def _source(judging: Judging) -> tuple[Task, SourceModel]:
    task = load_task(judging.recipe.task, judging.recipe.model)
    model = load_model(judging.recipe, task)
    if judging.weights is None:
        return task, model
    try:
        weights = load_file(Path(judging.weights).expanduser())
        network = create_from_architecture(model.architecture, seed=0)
        load_model_state(network, weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RecipeError(f"{judging.weights}: no weights of the model: {for_terminal(error)[:300]}") from None
    return task, replace(model, fixed=model_state(network), base=None)


def _recipe(judging: Judging, model: SourceModel) -> FindRecipe:
    """Return the recipe with the masks in place of its search: one level, rewound as the recipe's are."""
    masks = read_masks(judging.masks)
    network = create_from_architecture(model.architecture, seed=0)
    known = dict(network.named_parameters())
    for name, mask in masks.items():
        if name not in known or known[name].shape != mask.shape:
            there = f"is {list(known[name].shape)} in the model" if name in known else "is no parameter of the model"
            raise RecipeError(f"{judging.masks}: '{for_terminal(name)}' of {list(mask.shape)} {there}")
    finder = {
        "method": "one-shot-initial",
        "levels": 1,
        "allow_dead_layers": judging.recipe.finder.allow_dead_layers,
        "include": sorted(masks),
        "exclude": sorted(prunable_parameters(network).keys() - masks.keys()),
        "prune": {
            "criterion": {"name": "given", "masks": judging.masks},
            "schedule": {"name": "levels", "levels": [sparsity(masks)]},
        },
    }
    its_own = judging.recipe.finder
    if isinstance(its_own, RewindingConfig):
        finder["rewind"] = str(its_own.rewind)
    content = judging.recipe.model_dump(mode="json", exclude={"finder", "arm_levels", "package_from"})
    return parse_recipe({**content, "name": judging.name, "finder": finder}, FindRecipe, judging.masks)
