"""A language model of LSTM layers.

Zaremba, Sutskever and Vinyals 2014 (arXiv 1409.2329); the tickets of Yu et al. 2020 (arXiv 1906.02768), section 3.
"""

from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import ConfigDict, Field
from torch import Tensor, nn

from ticketzoo.errors import ModelError
from ticketzoo.models.architecture import ARCHITECTURES
from ticketzoo.models.signature import CarriedTokens, NextTokens, Tokens
from ticketzoo.recipe import Config

Units = Annotated[int, Field(ge=1, le=16_384)]


class LstmLmArguments(Config):
    """Defaults are those of Yu et al. 2020. `tied` makes the decoder's weights the embeddings, which need its width."""

    model_config = ConfigDict(strict=True)

    vocabulary: Annotated[int, Field(ge=1, le=2_000_000)] = 10_000
    embedding: Units = 650
    hidden: Units = 650
    layers: Annotated[int, Field(ge=1, le=16)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    tied: bool = False


class Said(NamedTuple):
    """The scores [b, t, vocabulary] of the token after each, and the state [layers, b, hidden], twice, after all."""

    logits: Tensor
    state: tuple[Tensor, ...]


def _sized(tokens: Tokens, said: NextTokens) -> dict[str, Any]:
    return {} if tokens.vocabulary is None else {"vocabulary": tokens.vocabulary}


@ARCHITECTURES.add(
    "lstm-lm", arguments=LstmLmArguments, accepts={(Tokens, NextTokens): _sized, (Tokens, CarriedTokens): _sized}
)
class LstmLm(nn.Module):
    """Embeddings, `torch.nn.LSTM` and a linear decoder, with dropout before, between and after the layers.

    Embeddings and decoder start uniform in [-0.1, 0.1], the decoder's biases at 0. Prunable are by default the
    decoder's weights, unless they are tied; `finder.include` brings in `embedding.weight` and `lstm.*`. With a
    vocabulary of 33,278 and its defaults it has 50,065,078 parameters, 6,770,400 of them in the LSTM.
    """

    head_layers: ClassVar[tuple[str, ...]] = ("embedding", "decoder")
    """Made anew for texts of other words."""

    def __init__(self, arguments: LstmLmArguments) -> None:
        super().__init__()
        vocabulary, wide, units = arguments.vocabulary, arguments.embedding, arguments.hidden
        if arguments.tied and wide != units:
            raise ModelError(f"lstm-lm: tied needs embedding and hidden to be the same, not {wide} and {units}")
        self.vocabulary, between = vocabulary, arguments.dropout if arguments.layers > 1 else 0.0
        self.dropout = nn.Dropout(arguments.dropout)
        self.embedding = nn.Embedding(vocabulary, wide)
        self.lstm = nn.LSTM(wide, units, arguments.layers, dropout=between, batch_first=True)
        self.decoder = nn.Linear(units, vocabulary)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        if arguments.tied:
            self.decoder.weight = self.embedding.weight

    def forward(self, input_ids: Tensor, state: tuple[Tensor, ...] | None = None, return_dict: bool = True) -> Said:
        """Return the scores of the tokens after `input_ids`, int64 [b, t], read from `state` on; None is zeros."""
        units, after = self.lstm(self.dropout(self.embedding(input_ids)), state)
        return Said(self.decoder(self.dropout(units)), after)
