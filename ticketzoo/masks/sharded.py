"""Parameters of which this process holds a part: those of FSDP2 and of tensor parallelism."""

from typing import Any

from torch import Tensor, nn

from ticketzoo.errors import TicketError


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether a tensor is a `torch.distributed.tensor.DTensor`."""
    return type(tensor) not in (Tensor, nn.Parameter) and hasattr(tensor, "placements")


def memory(tensor: Any) -> Tensor:
    """Return the values in this process's memory, as a plain tensor whose changes autograd does not notice."""
    part: Tensor = tensor.to_local() if is_sharded(tensor) else tensor
    return part.data


def part_of(whole: Tensor, like: Any) -> Tensor:
    """Return the part of `whole`, the same in every process, that this process holds of `like`; no process waits.

    Args:
        whole: plain, of the full shape of `like`, in any dtype, on any device.
        like: a parameter, cut up or not.

    Raises:
        TicketError: it is cut in a way in which `whole` cannot be.
    """
    if not is_sharded(like):
        return whole
    from torch.distributed.tensor import distribute_tensor

    part: Tensor = distribute_tensor(
        whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    ).to_local()
    if part.shape != like.to_local().shape:
        raise TicketError(f"masks cannot follow a parameter cut up as {tuple(like.placements)}: train without it")
    return part
