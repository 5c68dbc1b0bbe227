"""Networks that differ by a positive factor alone, so that they decide alike whatever they are shown."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EXAMPLES = 16
NEAR = 1e-9


def like_each_other(networks: Sequence[nn.Module], shape: Sequence[int]) -> list[list[int]]:
    """Return groups of two and more networks whose outputs are positive multiples of each other, by their numbers.

    A network without biases whose activations are ReLUs is homogeneous: f(x; v) = v^L f(x; 1) for all weights at v > 0
    in L layers. Whether that is so here is looked at on random inputs, in float64.

    Args:
        networks: of one architecture, in evaluation mode.
        shape: of one input.
    """
    outputs = [_outputs(network, shape) for network in networks]
    groups: list[list[int]] = []
    for number, output in enumerate(outputs):
        alike = next((group for group in groups if _is_multiple(output, outputs[group[0]])), None)
        if alike is None:
            groups.append([number])
        else:
            alike.append(number)
    return [group for group in groups if len(group) > 1]


def common_groups(found: Sequence[Sequence[Sequence[float]]]) -> list[list[float]]:
    """Return the groups of two and more that are together in every one of several groupings.

    Args:
        found: groupings, each a list of groups without a member in common.
    """
    if not found:
        return []
    together = [list(group) for group in found[0]]
    for groups in found[1:]:
        together = [[one for one in group if one in other] for group in together for other in groups]
    return [group for group in together if len(group) > 1]


def _outputs(network: nn.Module, shape: Sequence[int]) -> Tensor:
    inputs = torch.randn((EXAMPLES, *shape), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made: Tensor = network.double()(inputs)
    network.float()
    return made


def _is_multiple(one: Tensor, other: Tensor) -> bool:
    """Tell whether `one` is `other` times a positive number."""
    size = float((other * other).sum())
    if size == 0:
        return not one.any()
    factor = float((one * other).sum()) / size
    return factor > 0 and bool((one - factor * other).abs().max() <= NEAR * one.abs().max())
