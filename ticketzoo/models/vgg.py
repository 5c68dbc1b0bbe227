"""VGG-11, 13, 16 and 19 for CIFAR, with batch norm and one linear layer.

Simonyan and Zisserman 2014 (arXiv 1409.1556), table 1, as in Frankle and Carbin 2019, sec. 4 (VGG-19) and Frankle et
al. 2020 (arXiv 1912.05671; VGG-16).

Modules have open_lth's names, and convolutions their (redundant) biases, so that its checkpoints load.
"""

from functools import partial
from itertools import islice

from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import ModelError
from ticketzoo.models.architecture import ARCHITECTURES, SCORES_IMAGES
from ticketzoo.models.arguments import FilterArguments
from ticketzoo.models.initialisation import Initialisation

_CHANNELS = (64, 128, 256, 512, 512)
_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGGArguments(FilterArguments):
    """Defaults are CIFAR-10's, and the start of Frankle et al. 2020."""

    init: Initialisation = "kaiming_normal_bn_uniform"


class ConvolutionNormReLU(nn.Module):
    """A 3x3 convolution (padding 1), batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, height, width) to (batch, outputs, height, width)."""
        return F.relu(self.bn(self.conv(x)))


class VGG(nn.Module):
    """Five stages of convolutions with 64, 128, 256, 512, 512 channels, max-pooled by 2 in between, a linear layer.

    What the last stage leaves is averaged. Input (batch, channels, height, width) of at least 16x16; output
    (batch, num_classes). VGG-19 on CIFAR-10: 20,024,000 prunable weights, 20,018,880 of them in convolutions.
    """

    def __init__(self, depth: int, arguments: VGGArguments) -> None:
        super().__init__()
        channels, height, width = arguments.in_shape
        if min(height, width) < 16:
            raise ModelError(f"vgg-{depth} takes images of at least 16x16 pixels, not {height}x{width}")
        self.layers = nn.Sequential()
        counts = _CONVOLUTIONS[depth]
        filters = iter(arguments.filters([one for one, of in zip(_CHANNELS, counts, strict=True) for _ in range(of)]))
        for stage, count in enumerate(counts):
            if stage > 0:
                self.layers.append(nn.MaxPool2d(2))
            for outputs in islice(filters, count):
                self.layers.append(ConvolutionNormReLU(channels, outputs))
                channels = outputs
        self.fc = nn.Linear(channels, arguments.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores, (batch, num_classes)."""
        return self.fc(self.layers(x).mean(dim=(2, 3)))

    def unit_stages(self) -> list[list[str]]:
        """Return the convolutions with their norm between one max-pooling and the next."""
        stages: list[list[str]] = [[]]
        for number, layer in enumerate(self.layers):
            if isinstance(layer, nn.MaxPool2d):
                stages.append([])
            else:
                stages[-1].append(f"layers.{number}")
        return stages


for _depth in _CONVOLUTIONS:
    ARCHITECTURES.add(f"vgg-{_depth}", arguments=VGGArguments, accepts=SCORES_IMAGES)(partial(VGG, _depth))
