"""A transformer of one layer, small enough to be looked into.

Without normalisation, biases and places, as in the studies of grokking: Nanda et al. 2023 (arXiv 2301.05217),
Minegishi et al. 2023 (arXiv 2310.19470).
"""

from typing import Annotated

from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.errors import ModelError
from ticketzoo.models.architecture import ARCHITECTURES
from ticketzoo.models.signature import Classes, Symbols
from ticketzoo.recipe import Config

Units = Annotated[int, Field(ge=1, le=4096)]


class OneLayerArguments(Config):
    """Defaults are those of Minegishi et al. 2023: width and units of the MLP 128, one head."""

    model_config = ConfigDict(strict=True)

    vocabulary: Annotated[int, Field(ge=1, le=50_000)] = 67
    num_classes: Annotated[int, Field(ge=1, le=50_000)] = 67
    width: Units = 128
    units: Units = 128
    heads: Annotated[int, Field(ge=1, le=64)] = 1


@ARCHITECTURES.add(
    "one-layer-transformer",
    arguments=OneLayerArguments,
    accepts={(Symbols, Classes): lambda symbols, classes: {"vocabulary": symbols.kinds, "num_classes": classes.count}},
)
class OneLayerTransformer(nn.Module):
    """Embedding, attention, an MLP of ReLUs and a linear decoder, which scores what follows the last symbol.

    All matrices start normal with the standard deviation 1 / sqrt(inputs), the embedding's with 1 / sqrt(vocabulary).
    Prunable are by default all but the embedding; `finder.include: [embedding]` brings it in. With its defaults it has
    115,456 weights, and no other parameters. Attention is written out, so that it has a derivative of every kind.
    """

    def __init__(self, arguments: OneLayerArguments) -> None:
        super().__init__()
        width, units = arguments.width, arguments.units
        if width % arguments.heads:
            raise ModelError(f"one-layer-transformer: heads={arguments.heads} do not divide the width, {width}")
        self.heads = arguments.heads
        self.embedding = nn.Embedding(arguments.vocabulary, width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.mlp_in, self.mlp_out = nn.Linear(width, units, bias=False), nn.Linear(units, width, bias=False)
        self.decoder = nn.Linear(width, arguments.num_classes, bias=False)
        nn.init.normal_(self.embedding.weight, std=arguments.vocabulary**-0.5)
        for layer in (self.query, self.key, self.value, self.out, self.mlp_in, self.mlp_out, self.decoder):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, symbols: Tensor) -> Tensor:
        """Return scores [b, classes] of what follows `symbols`, int64 [b, t].

        As places do not count, query, key and value are worked out once for each symbol there is.
        """
        every = self.embedding.weight
        query, key, value = (of(every).view(len(every), self.heads, -1) for of in (self.query, self.key, self.value))
        last, keys = symbols[:, -1], F.embedding(symbols, key.flatten(1)).view(*symbols.shape, self.heads, -1)
        asked = F.embedding(last, query.flatten(1)).view(len(symbols), 1, self.heads, -1)
        looked = ((asked * keys).sum(-1) * key.shape[-1] ** -0.5).softmax(1)
        values = F.embedding(symbols, value.flatten(1)).view_as(keys)
        read = self.embedding(last) + self.out((looked.unsqueeze(-1) * values).sum(1).flatten(1))
        return self.decoder(read + self.mlp_out(self.mlp_in(read).relu()))
