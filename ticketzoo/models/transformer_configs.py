"""Keys of a transformers model's config.json that decide its network, typed and bounded: it comes from strangers.

Keys, meanings and defaults are those of `transformers`' config of the same model type. No other key reaches it: none
that names code, a file or a precision.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ticketzoo.models.decoder_configs import GPT2Config, LlamaConfig
from ticketzoo.models.network_config import (
    Activation,
    Few,
    Layers,
    NetworkConfig,
    Positions,
    Probability,
    Scale,
    Token,
    Types,
    Units,
    Vocabulary,
)


class EncoderConfig(NetworkConfig):
    """The keys of every encoder."""

    vocab_size: Vocabulary = 30522
    max_position_embeddings: Positions = 512
    initializer_range: Scale = 0.02
    pad_token_id: Token | None = 0
    tie_word_embeddings: bool = True

    @model_validator(mode="after")
    def _padding_fits(self) -> "EncoderConfig":
        if self.pad_token_id is not None and self.pad_token_id >= min(self.vocab_size, self.max_position_embeddings):
            raise ValueError(f"pad_token_id {self.pad_token_id} is beyond the vocabulary or the positions")
        return self


class _LayeredConfig(EncoderConfig):
    """The keys of BERT and its descendants."""

    hidden_size: Units = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Few = 12
    intermediate_size: Units = 3072
    hidden_act: Activation = "gelu"
    hidden_dropout_prob: Probability = 0.1
    attention_probs_dropout_prob: Probability = 0.1
    layer_norm_eps: Scale = 1e-12

    def sizes(self) -> tuple[int, int]:
        return self.hidden_size, self.num_attention_heads


class BertConfig(_LayeredConfig):
    """Devlin et al. 2019 (arXiv 1810.04805)."""

    prefix = "bert"
    type_vocab_size: Types = 2
    classifier_dropout: Probability | None = None


class RobertaConfig(BertConfig):
    """Liu et al. 2019 (1907.11692)."""

    prefix = "roberta"
    positions_from_pad = True
    vocab_size: Vocabulary = 50265
    pad_token_id: Token = 1


class XLMRobertaConfig(RobertaConfig):
    """Conneau et al. 2020 (1911.02116)."""

    vocab_size: Vocabulary = 30522


class DistilBertConfig(EncoderConfig):
    """Sanh et al. 2019 (1910.01108). No pooler."""

    prefix = "distilbert"
    sinusoidal_pos_embds: bool = False
    n_layers: Layers = 6
    n_heads: Few = 12
    dim: Units = 768
    hidden_dim: Units = 3072
    dropout: Probability = 0.1
    attention_dropout: Probability = 0.1
    activation: Activation = "gelu"
    qa_dropout: Probability = 0.1
    seq_classif_dropout: Probability = 0.2

    def sizes(self) -> tuple[int, int]:
        """See `EncoderConfig`."""
        return self.dim, self.n_heads


class ElectraConfig(BertConfig):
    """Clark et al. 2020 (2003.10555). No pooler."""

    prefix = "electra"
    embedding_size: Units = 128
    hidden_size: Units = 256
    num_attention_heads: Few = 4
    intermediate_size: Units = 1024


class AlbertConfig(_LayeredConfig):
    """Lan et al. 2020 (1909.11942). Layers of a group share their weights."""

    prefix = "albert"
    vocab_size: Vocabulary = 30000
    embedding_size: Units = 128
    hidden_size: Units = 4096
    num_hidden_groups: Layers = 1
    num_attention_heads: Few = 64
    intermediate_size: Units = 16384
    inner_group_num: Layers = 1
    hidden_act: Activation = "gelu_new"
    hidden_dropout_prob: Probability = 0.0
    attention_probs_dropout_prob: Probability = 0.0
    type_vocab_size: Types = 2
    classifier_dropout_prob: Probability = 0.1

    @model_validator(mode="after")
    def _groups_have_layers(self) -> "AlbertConfig":
        if self.num_hidden_groups > self.num_hidden_layers:
            raise ValueError(f"{self.num_hidden_groups} groups cannot share {self.num_hidden_layers} layers")
        return self


class MPNetConfig(_LayeredConfig):
    """Song et al. 2020 (2004.09297)."""

    prefix = "mpnet"
    positions_from_pad = True
    vocab_size: Vocabulary = 30527
    pad_token_id: Token = 1
    relative_attention_num_buckets: Annotated[int, Field(ge=2, le=1024)] = 32


def _split_at_bars(value: object) -> object:
    return value.lower().split("|") if isinstance(value, str) else value


class DebertaV2Config(_LayeredConfig):
    """He et al. 2021 (2006.03654, 2111.09543: DeBERTa-v3). No pooler but that of the classification head."""

    prefix = "deberta"
    vocab_size: Vocabulary = 128100
    hidden_size: Units = 1536
    num_hidden_layers: Layers = 24
    num_attention_heads: Few = 24
    intermediate_size: Units = 6144
    layer_norm_eps: Scale = 1e-7
    type_vocab_size: Types = 0
    relative_attention: bool = False
    max_relative_positions: Annotated[int, Field(ge=-1, le=131_072)] = -1
    position_buckets: Annotated[int, Field(ge=-1, le=65_536)] = -1
    norm_rel_ebd: Literal["none", "layer_norm"] = "none"
    share_att_key: bool = False
    position_biased_input: bool = True
    pos_att_type: Annotated[list[Literal["p2c", "c2p"]], BeforeValidator(_split_at_bars)] | None = None
    conv_kernel_size: Annotated[int, Field(ge=0, le=31)] = 0
    conv_act: Activation = "tanh"
    pooler_dropout: Probability = 0.0
    pooler_hidden_act: Activation = "gelu"
    legacy: bool = True


CONFIGS: dict[str, type[NetworkConfig]] = {
    "albert": AlbertConfig,
    "bert": BertConfig,
    "deberta-v2": DebertaV2Config,
    "distilbert": DistilBertConfig,
    "electra": ElectraConfig,
    "gpt2": GPT2Config,
    "llama": LlamaConfig,
    "mpnet": MPNetConfig,
    "roberta": RobertaConfig,
    "xlm-roberta": XLMRobertaConfig,
}
"""By the model type that config.json states."""

_REFUSED: dict[str, Any] = {
    "auto_map": "it runs code of its own",
    "quantization_config": "its weights are quantized",
    "is_decoder": "it is a decoder",
    "is_encoder_decoder": "it is a sequence-to-sequence model",
    "add_cross_attention": "it has cross-attention",
    "pruned_heads": "some of its attention heads are cut out",
}


def known_keys(model_type: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the content of a config.json that `CONFIGS[model_type]` takes.

    Raises:
        ValueError: a key would make another network of it.
    """
    for key, why in _REFUSED.items():
        if config.get(key):
            raise ValueError(f"{key} is set: {why}, and cannot be used here")
    if (positions := config.get("position_embedding_type", "absolute")) != "absolute":
        raise ValueError(f"position_embedding_type is {str(positions)[:80]!r}; only absolute ones can be used here")
    config = CONFIGS[model_type].with_old_keys(config)
    return {key: config[key] for key in CONFIGS[model_type].model_fields if key in config}
