"""LeNet-300-100 and LeNet-5 in the form Frankle and Carbin 2019 use: ReLU, and a Gaussian Glorot start.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition"; Frankle and Carbin
2019 (arXiv 1803.03635), fig. 2.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import ModelError
from ticketzoo.models.architecture import ARCHITECTURES, SCORES_IMAGES
from ticketzoo.models.arguments import FilterArguments, Shape, WidthArguments
from ticketzoo.models.initialisation import Initialisation


class LeNetArguments(WidthArguments):
    """Defaults are MNIST's."""

    in_shape: Shape = (1, 28, 28)
    init: Initialisation = "glorot_normal"


@ARCHITECTURES.add("lenet-300-100", arguments=LeNetArguments, accepts=SCORES_IMAGES)
class LeNet300100(nn.Module):
    """Three linear layers of 300, 100 and `num_classes` outputs on the flattened image, of any size.

    Input (batch, channels, height, width), or already flattened; output (batch, num_classes).
    On MNIST: 266,200 prunable weights of 266,610 parameters.
    """

    def __init__(self, arguments: LeNetArguments) -> None:
        super().__init__()
        channels, height, width = arguments.in_shape
        hidden1, hidden2 = arguments.scale(300), arguments.scale(100)
        self.fc1 = nn.Linear(channels * height * width, hidden1)
        self.fc2 = nn.Linear(hidden1, hidden2)
        self.fc3 = nn.Linear(hidden2, arguments.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores, (batch, num_classes)."""
        x = F.relu(self.fc1(x.flatten(1)))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class LeNet5Arguments(FilterArguments):
    """Defaults are MNIST's."""

    in_shape: Shape = (1, 28, 28)
    init: Initialisation = "glorot_normal"


@ARCHITECTURES.add("lenet-5", arguments=LeNet5Arguments, accepts=SCORES_IMAGES)
class LeNet5(nn.Module):
    """Convolutions of 6 and 16 channels (5x5), each max-pooled by 2, then linear layers of 120, 84 and `num_classes`.

    LeCun's input is 32x32, into which MNIST's 28x28 digits are padded: so images under 32 pixels are padded by 2,
    larger ones not. Input (batch, channels, height, width) of at least 12x12; output (batch, num_classes).
    On MNIST: 61,470 prunable weights of 61,706 parameters.
    """

    def __init__(self, arguments: LeNet5Arguments) -> None:
        super().__init__()
        channels, height, width = arguments.in_shape
        padding = 2 if min(height, width) < 32 else 0
        rows, columns = (((side + 2 * padding - 4) // 2 - 4) // 2 for side in (height, width))
        if min(rows, columns) < 1:
            raise ModelError(f"lenet-5 takes images of at least 12x12 pixels, not {height}x{width}: try lenet-300-100")
        maps1, maps2 = arguments.filters((6, 16))
        hidden1, hidden2 = map(arguments.scale, (120, 84))
        self.conv1 = nn.Conv2d(channels, maps1, kernel_size=5, padding=padding)
        self.conv2 = nn.Conv2d(maps1, maps2, kernel_size=5)
        self.fc1 = nn.Linear(maps2 * rows * columns, hidden1)
        self.fc2 = nn.Linear(hidden1, hidden2)
        self.fc3 = nn.Linear(hidden2, arguments.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores, (batch, num_classes)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        x = F.relu(self.fc2(x))
        return self.fc3(x)
