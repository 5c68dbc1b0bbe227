"""The start of a recipe's trainings: an architecture, and the pretrained weights its name may stand for."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ticketzoo.data.missing import check_path
from ticketzoo.data.stored import StoredDataset
from ticketzoo.data.text.labelled import LabelledTextDataset, check_labelled_text
from ticketzoo.distributed import processes
from ticketzoo.errors import RecipeError
from ticketzoo.finding.given_weights import given_weights
from ticketzoo.finding.recipe import FindRecipe, ModelConfig
from ticketzoo.hub.errors import HubUnreachable
from ticketzoo.hub.model_files import FolderFiles
from ticketzoo.hub.references import FolderReference, HubReference
from ticketzoo.models import create_from_architecture, load_base, model_state
from ticketzoo.models.body import in_body
from ticketzoo.models.create import architecture_for, arguments_for
from ticketzoo.models.given import load_given
from ticketzoo.models.pretrained import pretrained_reference
from ticketzoo.models.signature import NextTokens, Vocabulary
from ticketzoo.models.state import State
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks import TASKS, TaskConfig, create_task
from ticketzoo.tasks.task import Task
from ticketzoo.ticket.base import BaseWeights, read_weights

_log = logging.getLogger("ticketzoo")


@dataclass(frozen=True)
class SourceModel:
    """An architecture, and the pretrained weights that its trainings start from, if any."""

    architecture: dict[str, Any]
    weights: Mapping[str, Tensor] | None = None
    """Of the pretrained model, as its file names them; None for a model that is initialised."""
    base: BaseWeights | None = None
    """The same by its place on the Hub, for a ticket to refer to; None for a model that is only here, or not whole."""
    fixed: State | None = None
    """Parameters and buffers that every seed starts from instead."""

    def state(self, seed: int) -> State:
        """Return parameters and buffers of a fresh initialisation; of a pretrained model its head's alone are fresh."""
        if self.fixed is not None:
            return self.fixed
        model = create_from_architecture(self.architecture, seed=derive_seed(seed, "init"))
        if self.weights is not None:
            if self.architecture["library"] == "transformers":
                load_base(model, self.weights, fresh_pooler=True)
            else:
                load_given(model, self.weights)
        return model_state(model)


def load_task(config: TaskConfig, model: ModelConfig) -> Task:
    """Return the task that `model` is trained on, its data loaded; by the first process of each machine first.

    A model of texts is looked for before, as its tokenizer is found by the same name. A folder of data that is not
    there, or whose labels cannot be learned, is told of first: such a model may be large.

    Raises:
        DataError: the data is missing or unusable.
        ModelError, RegistryError: no model is named.
        RunError: several processes do not have the same data.
    """
    with processes.first_of_machine_first():
        if (known := TASKS[config.type].texts) is not None:
            if isinstance(dataset := getattr(config, "dataset", None), StoredDataset):
                check_path(dataset.mirror or dataset.path)
            if isinstance(dataset, LabelledTextDataset) and dataset.is_users:
                check_labelled_text(dataset)
            try:
                architecture_for(model.here, model.kwargs, known)
            except HubUnreachable as error:
                raise HubUnreachable(
                    f"{error}; or --set model=transformers/./FOLDER, a folder of such a model"
                ) from error
        task = create_task(config, tokenizer=model.tokenizer)
    processes.check_same("the data:", task.identity)
    return task


def load_model(recipe: FindRecipe, task: Task) -> SourceModel:
    """Load the model that `recipe.model` names, sized for the data of `task`.

    Raises:
        RecipeError: its arguments contradict the data, it has a mirror that cannot be, or no head to guess tokens with
            and none is trained first.
        ModelError: the architecture is unknown or does not fit the data.
        RegistryError, TicketError: a pretrained model cannot be fetched or read.
    """
    architecture = sized_architecture(recipe.model, task)
    reference = pretrained_reference(recipe.model.name)
    if reference is None:
        if recipe.model.weights is None:
            return SourceModel(architecture)
        weights = given_weights(recipe.model.name, recipe.model.weights)
        load_given(create_from_architecture(architecture, seed=0), weights)
        return SourceModel(architecture, weights)
    base, weights = _pretrained(reference, recipe.model.mirror)
    model = create_from_architecture(architecture, seed=0)
    fresh = set(load_base(model, weights, fresh_pooler=True))
    if any(in_body(name, model) for name in fresh):
        what = f"the weights of {recipe.model.name} have no pooler"
        _log.warning("%s: it starts from random ones, and the ticket holds its weights itself", what)
        base = None
    has_head = any(not in_body(name, model) for name in model_state(model).keys() - fresh)
    if isinstance(task.signature.output, NextTokens) and any(not in_body(name, model) for name in fresh):
        raise RecipeError(f"model: {recipe.model.name} has no head that says the next token: take a whole model")
    if isinstance(task.signature.output, Vocabulary) and recipe.head_first is None and not has_head:
        raise RecipeError(
            f"model: {recipe.model.name} has no head for {recipe.task.type}: train one first, by head_first"
        )
    return SourceModel(architecture, weights, base)


def sized_architecture(model: ModelConfig, task: Task) -> dict[str, Any]:
    """Return the architecture, sized for the data.

    Raises:
        RecipeError: its arguments contradict the data.
    """
    for key, needed in arguments_for(model.here, task.signature).items():
        if (asked := model.kwargs.get(key, needed)) != needed:
            raise RecipeError(f"model.kwargs.{key}: is {asked}, but {task.name} needs {needed}; leave it out")
    return architecture_for(model.here, model.kwargs, task.signature)


def _pretrained(
    reference: HubReference | FolderReference, mirror: str | None
) -> tuple[BaseWeights | None, Mapping[str, Tensor]]:
    if isinstance(reference, FolderReference):
        return None, read_weights(FolderFiles(reference.path))
    base = _base(reference, mirror)
    return base, base.state


def _base(reference: HubReference, mirror: str | None) -> BaseWeights:
    if mirror is None:
        return BaseWeights.from_hub(reference.repo_id, reference.revision)
    if len(reference.revision or "") != 40:
        what = "what is a copy of a Hub model must say of which commit"
        raise RecipeError(f"model.mirror: {what}: write model: transformers/{reference.repo_id}@COMMIT, all 40 digits")
    return BaseWeights.from_folder(mirror, reference.repo_id, str(reference.revision))
