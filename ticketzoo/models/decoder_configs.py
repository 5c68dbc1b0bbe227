"""Keys of the config.json of decoders, which say the next token: GPT-2 and Llama."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from ticketzoo.models.network_config import (
    Activation,
    Few,
    Layers,
    NetworkConfig,
    Positions,
    Probability,
    Scale,
    Units,
    Vocabulary,
)

_ROPE_BASE = Annotated[float, Field(gt=0, le=1e9)]


class GPT2Config(NetworkConfig):
    """Radford et al. 2019. Its linear layers are `Conv1D`: their weights are [inputs, outputs]."""

    prefix = "transformer"
    decodes = True
    ends = 50256
    vocab_size: Vocabulary = 50257
    n_positions: Positions = 1024
    n_embd: Units = 768
    n_layer: Layers = 12
    n_head: Few = 12
    n_inner: Units | None = None
    activation_function: Activation = "gelu_new"
    resid_pdrop: Probability = 0.1
    embd_pdrop: Probability = 0.1
    attn_pdrop: Probability = 0.1
    layer_norm_epsilon: Scale = 1e-5
    initializer_range: Scale = 0.02
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False
    tie_word_embeddings: bool = True

    def sizes(self) -> tuple[int, int]:
        """See `NetworkConfig`."""
        return self.n_embd, self.n_head


class LlamaConfig(NetworkConfig):
    """Touvron et al. 2023 (2302.13971); with `num_key_value_heads` grouped queries (Ainslie et al. 2023)."""

    prefix = "model"
    decodes = True
    ends = 2
    vocab_size: Vocabulary = 32000
    max_position_embeddings: Positions = 2048
    hidden_size: Units = 4096
    intermediate_size: Units = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Few = 32
    num_key_value_heads: Few | None = None
    head_dim: Units | None = None
    hidden_act: Activation = "silu"
    initializer_range: Scale = 0.02
    rms_norm_eps: Scale = 1e-6
    attention_bias: bool = False
    attention_dropout: Probability = 0.0
    mlp_bias: bool = False
    rope_theta: _ROPE_BASE = 10000.0
    tie_word_embeddings: bool = False

    def sizes(self) -> tuple[int, int]:
        """See `NetworkConfig`."""
        return self.hidden_size, self.num_attention_heads

    @classmethod
    def with_old_keys(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Return the content of a config.json with what is in `rope_parameters` as `rope_theta`."""
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        if not isinstance(rope, dict) or rope.get("rope_type", rope.get("type", "default")) != "default":
            raise ValueError("rope_parameters stretch the positions; only rope_type: default can be used here")
        theta = rope.get("rope_theta", config.get("rope_theta"))
        if theta is not None and (type(theta) not in (int, float) or not 0 < theta <= 1e9):
            raise ValueError(f"rope_theta is a number above 0 and at most 1e9, not {theta!r:.100}")
        return config | ({} if theta is None else {"rope_theta": float(theta)})

    @model_validator(mode="after")
    def _groups_share_queries(self) -> "LlamaConfig":
        groups = self.num_key_value_heads
        if groups is not None and self.num_attention_heads % groups:
            raise ValueError(f"{self.num_attention_heads} attention heads cannot share {groups} of keys and values")
        return self
