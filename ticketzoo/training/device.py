import torch

from ticketzoo.errors import RunError


def training_device(name: str | None = None) -> torch.device:
    """The device called `name`, or the best one there is.

    Raises:
        RunError: there is no such device here.
    """
    if name is None:
        from accelerate import PartialState

        device: torch.device = PartialState().device
        return device
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RunError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return device
