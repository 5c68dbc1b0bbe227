"""The fit of a ticket's tensors to the model of a target."""

from collections.abc import Mapping

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.models.body import within


def made_as_large(source: Mapping[str, object], there: Mapping[str, object]) -> str:
    """Return the keys of a target that make its images those that the ticket's network reads; "" where none do."""
    match source.get("in_shape"), there.get("in_shape"):
        case [int(channels), int(height), int(width)], [int(), int(), int()] as its if height == width:
            keys = [f"task.dataset.channels: {channels}"] * (its[0] != channels and channels in (1, 3))
            keys += [f"task.dataset.image_size: {height}"] * (list(its[1:]) != [height, width])
            return f", or set {' and '.join(keys)} there" if keys else ""
    return ""


def check_fit(
    where: str, moved: Mapping[str, Tensor], fresh: Mapping[str, Tensor], head: list[str], as_large: str
) -> None:
    """Raise TicketError where tensors that are moved to a target do not fit its model, or do not fill it.

    Args:
        where: ticket and target, in words.
        moved: of the ticket.
        fresh: of the target's model.
        head: the modules that score classes.
        as_large: what would make the target's images fit, in words.
    """
    for name, tensor in moved.items():
        if name not in fresh or fresh[name].shape != tensor.shape:
            there = tuple(fresh[name].shape) if name in fresh else "none"
            raise TicketError(
                f"{where}: {name} is {tuple(tensor.shape)} in the ticket and {there} in "
                "the target's model; choose a target of the same image size and channels"
                + (", or head: dense for other classes" if within(name, head) else as_large)
            )
    if missing := [name for name in fresh if name not in moved and not within(name, head)]:
        raise TicketError(f"{where}: the ticket has no {', '.join(missing)}, which the target's model needs")
