"""ResNet-20, 32, 44 and 56 for CIFAR: He et al. 2015 (arXiv 1512.03385), sec. 4.2, in the form of the ticket papers.

ResNet-14 is theirs with two blocks a segment (Chen et al. 2021, arXiv 2103.16547).

He et al. shorten a shortcut by subsampling and zero-padding channels (option A). Frankle and Carbin 2019 and open_lth
project it with a 1x1 convolution and batch norm, and prune that projection too; so do we, to be comparable with them
and to load their checkpoints: modules have open_lth's names. The projections are 2,560 of ResNet-20's 270,896 prunable
weights. The 270K convolution weights that Frankle and Carbin count are these 270,256; their 274K are our 272,474
parameters and 1,568 running statistics of batch norm.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.models.architecture import ARCHITECTURES, SCORES_IMAGES
from ticketzoo.models.arguments import FilterArguments
from ticketzoo.models.initialisation import Initialisation


class ResNetArguments(FilterArguments):
    """Defaults are CIFAR-10's, and the start of Frankle et al. 2020 (arXiv 1912.05671)."""

    init: Initialisation = "kaiming_normal_bn_uniform"


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which projects when the channels change (and then halves the image)."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, outputs, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, height, width) to (batch, outputs, height / stride, width / stride), rounded up."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    """A 3x3 convolution, three segments of (depth - 2) / 6 blocks with 16, 32 and 64 channels, a linear layer.

    The second and third segment halve the image; what is left is averaged. Input (batch, channels, height, width) of
    any size; output (batch, num_classes).
    """

    def __init__(self, depth: int, arguments: ResNetArguments) -> None:
        super().__init__()
        channels = arguments.scale(16)
        self.conv = nn.Conv2d(arguments.in_shape[0], channels, kernel_size=3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential()
        count = (depth - 2) // 6
        inner = iter(arguments.filters([filters for filters in (16, 32, 64) for _ in range(count)]))
        for segment, filters in enumerate(map(arguments.scale, (16, 32, 64))):
            for number in range(count):
                stride = 2 if segment > 0 and number == 0 else 1
                self.blocks.append(Block(channels, next(inner), filters, stride))
                channels = filters
        self.fc = nn.Linear(channels, arguments.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores, (batch, num_classes)."""
        x = F.relu(self.bn(self.conv(x)))
        x = self.blocks(x)
        return self.fc(x.mean(dim=(2, 3)))

    def unit_stages(self) -> list[list[str]]:
        """Return the blocks of each segment."""
        names = [f"blocks.{number}" for number in range(len(self.blocks))]
        count = len(names) // 3
        return [names[start : start + count] for start in range(0, len(names), count)]


for _depth in (14, 20, 32, 44, 56):
    ARCHITECTURES.add(f"resnet-{_depth}", arguments=ResNetArguments, accepts=SCORES_IMAGES)(partial(ResNet, _depth))
