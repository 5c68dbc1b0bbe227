"""Linear layers of any number and widths on the flattened image: LeNet-300-100 made deeper.

Chen et al. 2021 (arXiv 2103.16547) stretch tickets of 784, n layers of 300, 100 and 10 units; with n = 1 the network is
LeNet-300-100, to the bit of a fresh initialisation.
"""

from itertools import groupby, pairwise
from typing import Annotated

from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.models.architecture import ARCHITECTURES, SCORES_IMAGES
from ticketzoo.models.arguments import Shape, WidthArguments, as_tuple
from ticketzoo.models.initialisation import Initialisation

Units = Annotated[int, Field(ge=1, le=65_536)]


class MlpArguments(WidthArguments):
    """Defaults are MNIST's; `hidden` are the units of each hidden layer, from the input on, times `width`."""

    in_shape: Shape = (1, 28, 28)
    init: Initialisation = "glorot_normal"
    hidden: Annotated[tuple[Units, ...], BeforeValidator(as_tuple), Field(min_length=1, max_length=64)] = (300, 100)


@ARCHITECTURES.add("mlp", arguments=MlpArguments, accepts=SCORES_IMAGES)
class Mlp(nn.Module):
    """Linear layers `fc1`, `fc2`, ... with ReLU in between on the flattened image, of any size.

    Input (batch, channels, height, width), or already flattened; output (batch, num_classes). On MNIST, with `hidden`
    of 300, 300, 100: 356,200 prunable weights.
    """

    def __init__(self, arguments: MlpArguments) -> None:
        super().__init__()
        channels, height, width = arguments.in_shape
        self._hidden = arguments.hidden
        sizes = [channels * height * width, *map(arguments.scale, arguments.hidden), arguments.num_classes]
        for number, (inputs, outputs) in enumerate(pairwise(sizes), 1):
            self.add_module(f"fc{number}", nn.Linear(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores, (batch, num_classes)."""
        *hidden, last = self.children()
        x = x.flatten(1)
        for layer in hidden:
            x = F.relu(layer(x))
        return last(x)

    def unit_stages(self) -> list[list[str]]:
        """Return the layers of each run of equal widths, the last layer being one of its own."""
        stages, number = [], 0
        for _, run in groupby(self._hidden):
            stages.append([f"fc{(number := number + 1)}" for _ in run])
        return [*stages, [f"fc{number + 1}"]]
