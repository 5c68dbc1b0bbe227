"""Conv-2, Conv-4 and Conv-6: Frankle and Carbin 2019 (arXiv 1803.03635), fig. 2, small relatives of VGG."""

from functools import partial
from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import ModelError
from ticketzoo.models.architecture import ARCHITECTURES, SCORES_IMAGES
from ticketzoo.models.arguments import FilterArguments
from ticketzoo.models.binary import binary_sign
from ticketzoo.models.initialisation import Initialisation

_CHANNELS = (64, 64, 128, 128, 256, 256)


class ConvArguments(FilterArguments):
    """Defaults are CIFAR-10's, and the paper's Gaussian Glorot start."""

    init: Initialisation = "glorot_normal"
    activations: Literal["relu", "binary"] = Field(default="relu", exclude_if=lambda kind: kind == "relu")


class ConvNet(nn.Module):
    """`depth` 3x3 convolutions (padding 1), max-pooled by 2 after every second, then three linear layers.

    Input (batch, channels, height, width), each side at least 2 ** (depth / 2); output (batch, num_classes).
    The linear layers have 256, 256 and `num_classes` outputs. Prunable weights on CIFAR-10: 4,300,992 (in convolutions
    38,592), 2,425,024 (259,776) and 2,261,184 (1,144,512) for depths 2, 4 and 6. The paper's figure prints 1.7M for the
    last, but its layers add up to the number above.

    With `activations: binary` what follows a layer is the maximum, if any, batch normalisation and the sign, -1 or +1
    (Diffenderfer and Kailkhura 2021): the first layer sees the image, and the last gives real scores. What
    convolutions pad with are zeros all the same.
    """

    def __init__(self, depth: int, arguments: ConvArguments) -> None:
        super().__init__()
        channels, height, width = arguments.in_shape
        rows, columns = height >> depth // 2, width >> depth // 2
        if min(rows, columns) < 1:
            least = 2 ** (depth // 2)
            raise ModelError(f"conv-{depth} takes images of at least {least}x{least} pixels, not {height}x{width}")
        self.depth = depth
        filters = [channels, *arguments.filters(_CHANNELS[:depth])]
        for number, (inputs, outputs) in enumerate(pairwise(filters), start=1):
            self.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))
        hidden = arguments.scale(256)
        self.fc1 = nn.Linear(filters[-1] * rows * columns, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, arguments.num_classes)
        self.binary = arguments.activations == "binary"
        if self.binary:
            for number, width in enumerate(filters[1:], start=1):
                self.add_module(f"bn{number}", nn.BatchNorm2d(width))
            self.bn_fc1, self.bn_fc2 = nn.BatchNorm1d(hidden), nn.BatchNorm1d(hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores, (batch, num_classes)."""
        if self.binary:
            return self._binary(x)
        for number in range(1, self.depth + 1):
            x = F.relu(getattr(self, f"conv{number}")(x))
            if number % 2 == 0:
                x = F.max_pool2d(x, 2)
        x = F.relu(self.fc1(x.flatten(1)))
        x = F.relu(self.fc2(x))
        return self.fc3(x)

    def _binary(self, x: Tensor) -> Tensor:
        for number in range(1, self.depth + 1):
            x = getattr(self, f"conv{number}")(x)
            x = F.max_pool2d(x, 2) if number % 2 == 0 else x
            x = binary_sign(getattr(self, f"bn{number}")(x))
        x = binary_sign(self.bn_fc1(self.fc1(x.flatten(1))))
        x = binary_sign(self.bn_fc2(self.fc2(x)))
        return self.fc3(x)


for _depth in (2, 4, 6):
    ARCHITECTURES.add(f"conv-{_depth}", arguments=ConvArguments, accepts=SCORES_IMAGES)(partial(ConvNet, _depth))
