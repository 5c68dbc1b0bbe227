"""The weights that `model.weights` of a recipe names: a file or folder, or those that a library publishes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

from torch import Tensor

from ticketzoo.bridges.checkpoint import open_source
from ticketzoo.errors import RecipeError, RegistryError
from ticketzoo.hub.errors import HubUnreachable
from ticketzoo.runs.cell import FINAL
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.util.text import one_line
from ticketzoo.zoo.load import load_ticket

PUBLISHED = "DEFAULT"
_INSTEAD = "give a copy, --set model.weights=FILE"


def given_weights(name: str, weights: str) -> Mapping[str, Tensor]:
    """Return the tensors of the weights that a model starts from.

    Args:
        name: of the model, such as `torchvision/resnet50`.
        weights: a file or folder, also that of a finished training in the `cells/` of a run or of a ticket, for its
            trained weights; `DEFAULT` for those that torchvision or timm publishes.

    Raises:
        RecipeError: another model has no published weights, or a training or ticket did not keep its own.
        RegistryError: they cannot be fetched.
        TicketError: they cannot be read.
    """
    if weights != PUBLISHED and (Path(weights).expanduser() / CONFIG_FILE).is_file():
        return _of_ticket(weights)
    library, _, inner = name.partition("/")
    if weights != PUBLISHED:
        tensors = open_source(_place(Path(weights).expanduser())).tensors
        return _in_timms_names(tensors) if library == "timm" else tensors
    if library == "torchvision":
        return _of_torchvision(inner)
    if library == "timm":
        return _of_timm(inner)
    raise RecipeError(f"model.weights: {PUBLISHED} goes with torchvision/NAME and timm/NAME: {_INSTEAD}")


def _place(path: Path) -> Path:
    """Return the file with the trained weights of a finished training; any other file or folder as it is."""
    if not (path / "cell.json").is_file():
        return path
    if not (path / FINAL).is_file():
        raise RecipeError(f"model.weights: {path}: this training did not keep its weights: it has no {FINAL}")
    return path / FINAL


def _in_timms_names(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    from ticketzoo.models.efficientnet_names import in_timms_names

    return in_timms_names(tensors)


def _of_ticket(folder: str) -> Mapping[str, Tensor]:
    """Return the trained weights of a ticket's densest level, of its first seed."""
    ticket = load_ticket(folder)
    trained = ticket.at(level=min(entry.level for entry in ticket.levels)).trained_state
    if trained is None:
        remedy = "find it again with --set package_trained=true: what is trained already is not trained again"
        raise RecipeError(f"model.weights: {folder}: this ticket holds no trained weights; {remedy}")
    return trained


def _of_torchvision(name: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    try:
        published = get_model_weights(name).DEFAULT
        state: Mapping[str, Tensor] = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError) as error:
        what = f"torchvision/{name}: its weights cannot be fetched: {one_line(error)[:200]}"
        raise RegistryError(f"{what}; {_INSTEAD}") from error
    return state


def _of_timm(name: str) -> Mapping[str, Tensor]:
    import timm

    settings: Any = timm.models.get_pretrained_cfg(name)
    place = getattr(settings, "hf_hub_id", None)
    if not place:
        raise RegistryError(f"timm/{name}: no weights of it are on the Hub: {_INSTEAD}")
    tag = f".{settings.tag}" if settings.tag else ""
    repository = f"{place}{settings.architecture}{tag}" if place.endswith("/") else place
    try:
        return BaseWeights.from_hub(repository).state
    except HubUnreachable as error:
        raise HubUnreachable(f"timm/{name}: {error}; or {_INSTEAD}") from error
