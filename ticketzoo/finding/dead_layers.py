"""Layers that a search's masks keep nothing of: refused before they are trained, unless the recipe allows them."""

from collections.abc import Callable
from typing import Any

from ticketzoo.errors import ModelError, RunError, TicketError
from ticketzoo.masks.masks import Masks, kept, sparsity
from ticketzoo.models import create_from_architecture
from ticketzoo.models.effective_masks import effective_masks
from ticketzoo.models.state import State
from ticketzoo.runs.plan import Unknown
from ticketzoo.ticket.effective import NOT_FOLLOWED, biases_of, example_inputs
from ticketzoo.ticket.empty import refuse_empty
from ticketzoo.util.text import show_sparsity


def check_layers(
    masks: Masks,
    architecture: dict[str, Any],
    where: str,
    start: Callable[[], State],
    warn: Callable[[str], None] | None = None,
) -> None:
    """Refuse masks that keep no weight of a layer in use, or warn and say how many weights are on a path at all.

    Args:
        masks: of the level that is to be trained.
        architecture: of the network.
        where: begins the message.
        start: gives the weights that it is trained from.
        warn: told in one line, where the recipe allows it.

    Raises:
        RunError: a layer is dead, and the recipe does not allow that.
    """
    if all(mask.any() for mask in masks.values()):
        return
    where = f"{where} (sparsity {show_sparsity(sparsity(masks)) if kept(masks) else 1})"
    allow = "ask for a lower sparsity, or allow it: --allow-dead-layers (finder.allow_dead_layers: true)"
    try:
        refuse_empty(masks, create_from_architecture(architecture, seed=0), where, allow)
    except TicketError as error:
        if warn is None:
            raise RunError(str(error)) from None
        said = str(error).removesuffix(f"; {allow}")
        warn(f"{said}; {_on_paths(masks, architecture, start())}")


def _on_paths(masks: Masks, architecture: dict[str, Any], start: State) -> str:
    try:
        on = effective_masks(
            create_from_architecture(architecture, seed=0),
            masks,
            example_inputs(architecture["library"], architecture["name"], architecture["kwargs"]),
            None if isinstance(start, Unknown) else biases_of(start),
        )
    except ModelError as error:
        return f"how many weights are effective is not known ({error})"
    except (RuntimeError, TypeError, ValueError):
        return f"how many weights are effective is not known ({NOT_FOLLOWED})"
    return f"{kept(on):,} of {kept(masks):,} kept weights are on a path from input to output"
