"""The pretrained model that a ticket was found on: the start of dense, so that it has no less to start from."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ticketzoo.bridges.checkpoint import open_source
from ticketzoo.deriving.stretch import METHOD as STRETCH
from ticketzoo.errors import RecipeError
from ticketzoo.hub.model_files import FolderFiles
from ticketzoo.models import create_from_architecture, load_base, model_state
from ticketzoo.models.arguments import shorten
from ticketzoo.models.body import in_body
from ticketzoo.models.given import load_given
from ticketzoo.models.pretrained import base_state, pretrained_reference
from ticketzoo.models.state import State
from ticketzoo.runs.store import Job
from ticketzoo.seeds import derive_seed
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.base import read_weights, shared_base
from ticketzoo.ticket.config import BaseRewind
from ticketzoo.ticket.recipe_file import parse_recipe


def pretrained_weights(ticket: Ticket, base: str | None) -> Mapping[str, Tensor] | None:
    """Return the weights of the model that `ticket` was found on, in its names; None for one initialised afresh.

    They are the ticket's base, or its own rewind weights where it has all of them as they were before training, or else
    those in the folder `base`. Raises RecipeError where they are needed and `base` is not given.
    """
    architecture, rewind = ticket.config.architecture, ticket.config.rewind
    if isinstance(rewind, BaseRewind):
        return shared_base(ticket)
    derived = ticket.config.derived
    if derived is not None and derived.method == STRETCH and architecture.library == "transformers":
        return _stretched_weights(ticket, base)
    name, given = _model_of(ticket)
    if name is None or not (given or (architecture.library == "transformers" and pretrained_reference(name))):
        return None
    if _holds_all(ticket):
        return ticket.known_state
    if base is None:
        raise RecipeError(
            f"tickets: {ticket.name} was found on a pretrained model, {shorten(name)}, and does not hold all its "
            "weights: set base to the folder of that model, for dense to start from"
        )
    if given:
        return open_source(Path(base).expanduser()).tensors
    return base_state(architecture.model_dump(), read_weights(FolderFiles(Path(base).expanduser())))


def _stretched_weights(ticket: Ticket, base: str | None) -> Mapping[str, Tensor]:
    """Return the weights of an encoder of another depth than its base: stretched as the ticket was."""
    if _holds_all(ticket):
        return ticket.known_state
    if base is None:
        raise RecipeError(
            f"tickets: {ticket.name} was stretched, and does not hold all weights before training for dense to start "
            "from: stretch one that refers to a base model, or set base to the folder of a model of its depth"
        )
    return base_state(ticket.config.architecture.model_dump(), read_weights(FolderFiles(Path(base).expanduser())))


def _holds_all(ticket: Ticket) -> bool:
    """Tell whether a ticket has all weights as they were before training."""
    rewind = ticket.config.rewind
    early = rewind.step == 0 and getattr(rewind, "rewinding", "weights") == "weights"
    return early and all(mask.all() for mask in ticket.known_rewind.values())


def start_of_dense(job: Job, weights: Mapping[str, Tensor]) -> State:
    """Return the start of dense beside the ticket's training `job`: the pretrained weights, under the same head.

    Raises ModelError where they do not fit.
    """
    model = create_from_architecture(job.architecture, seed=derive_seed(job.seed, "init"))
    if job.architecture["library"] != "transformers":
        fresh = load_given(model, weights)
        return {name: job.state[name] if name in fresh else tensor for name, tensor in model_state(model).items()}
    load_base(model, weights, fresh_pooler=True)
    return {name: tensor if in_body(name, model) else job.state[name] for name, tensor in model_state(model).items()}


def _model_of(ticket: Ticket) -> tuple[str | None, bool]:
    """Return the name of the model in the ticket's recipe, if it names one, and whether that gives it weights."""
    match parse_recipe(ticket.recipe_text or "", f"'{ticket.name}': recipe.yaml"):
        case {"model": {"name": str(name), "weights": str()}}:
            return name, True
        case {"model": str(name)} | {"model": {"name": str(name)}}:
            return name, False
    return None, False
