"""A tiny Llama with zeros in a GGUF file, written by the package gguf, is a ticket."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_brought_networks import halved, made, same
from torch import Tensor
from typer.testing import CliRunner

from ticketzoo import Ticket, check, load_ticket
from ticketzoo.cli.main import app

pytestmark = pytest.mark.slow

PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
PARTS |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
PARTS |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
NAMES = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}


def rotated(weight: Tensor, heads: int) -> Tensor:
    """The rows of queries and keys in the order of llama.cpp, which rotates neighbours."""
    return weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def written(model: Any, path: Path) -> Path:
    gguf = pytest.importorskip("gguf")
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(4)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    tokens = ["<s>", "</s>", "!!", *(chr(33 + letter) for letter in range(config.vocab_size - 3))]
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, *([1] * (len(tokens) - 2))])
    writer.add_token_merges(["! !"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        there, value = NAMES.get(name), tensor
        if there is None:
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            there = f"blk.{layer}.{PARTS[part]}.weight"
            if part in ("self_attn.q_proj", "self_attn.k_proj"):
                heads = config.num_attention_heads if "q_proj" in part else config.num_key_value_heads
                value = rotated(tensor, heads)
        writer.add_tensor(there, value.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_zeros_of_a_gguf_file(tmp_path: Path, caches: Path) -> None:
    model = halved(made("LlamaForCausalLM"))
    file = written(model, tmp_path / "pruned.gguf")
    ticket = Ticket.from_zeros(file)
    assert ticket.config.mask_sha256 == Ticket.from_zeros(model).config.mask_sha256
    assert same(ticket.build(), model)
    ticket.apply(other := made("LlamaForCausalLM"))
    assert torch.equal(other.model.layers[0].mlp.up_proj.weight, model.model.layers[0].mlp.up_proj.weight)
    check(other)
    result = CliRunner().invoke(app, ["import", str(file), str(tmp_path / "ticket")])
    assert result.exit_code == 0, result.output
    assert load_ticket(tmp_path / "ticket").config.mask_sha256 == ticket.config.mask_sha256
