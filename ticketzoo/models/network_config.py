"""The base of the configs of all model types of transformers, and the bounded types of their keys."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from ticketzoo.recipe import Config

Units = Annotated[int, Field(ge=1, le=65_536)]
Layers = Annotated[int, Field(ge=1, le=128)]
Few = Annotated[int, Field(ge=1, le=1024)]
Vocabulary = Annotated[int, Field(ge=1, le=2_000_000)]
Positions = Annotated[int, Field(ge=1, le=131_072)]
Types = Annotated[int, Field(ge=0, le=1024)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Scale = Annotated[float, Field(ge=0, le=1)]
Token = Annotated[int, Field(ge=0)]
Activation = Literal[
    "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", "tanh"
]


class NetworkConfig(Config):
    """The keys of a model type.

    Attributes:
        prefix: names the bare network in the models with a head.
        decodes: whether each token sees those before it alone, so that the network says the next one.
        positions_from_pad: whether a text's first position is `pad_token_id` + 1, so that texts have that many
            tokens fewer than there are positions.
        ends: token that a decoder's texts begin and end with where its config.json names none.
    """

    model_config = ConfigDict(strict=True)

    prefix: ClassVar[str]
    decodes: ClassVar[bool] = False
    positions_from_pad: ClassVar[bool] = False
    ends: ClassVar[int] = 0

    def sizes(self) -> tuple[int, int]:
        """Return the units of a layer, and attention heads that share them."""
        raise NotImplementedError

    @classmethod
    def with_old_keys(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Return the content of a config.json with keys as they are called now. Raises ValueError as `known_keys`."""
        return config

    @model_validator(mode="after")
    def _heads_share_units(self) -> "NetworkConfig":
        units, heads = self.sizes()
        if units % heads:
            raise ValueError(f"{units} hidden units cannot be shared by {heads} attention heads")
        return self
