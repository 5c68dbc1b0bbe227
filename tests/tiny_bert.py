"""A BERT of two layers, 64 units wide, over a vocabulary of 100 tokens: the real classes, built in milliseconds."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ticketzoo import Ticket
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters

CONFIG: dict[str, Any] = {
    "vocab_size": 100,
    "max_position_embeddings": 32,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}
PRUNABLE = 2 * (4 * 64 * 64 + 2 * 64 * 128) + 64 * 64
HEADS = [None, "fill-mask", "text-classification", "question-answering"]
SCORES = {None: "last_hidden_state", "question-answering": "start_logits"}


def tiny_architecture(head: str | None = None, num_labels: int = 3, **config: Any) -> dict[str, Any]:
    return architecture_of("transformers/bert", {"head": head, "num_labels": num_labels, "config": CONFIG | config})


def tiny_bert(head: str | None = None, seed: int = 0, num_labels: int = 3, **config: Any) -> nn.Module:
    return create_from_architecture(tiny_architecture(head, num_labels, **config), seed)


def save_tiny_bert(folder: Path, head: str | None = None, seed: int = 9, **config: Any) -> Path:
    """Return what somebody's `save_pretrained` leaves behind: config.json and model.safetensors."""
    tiny_bert(head, seed, **config).save_pretrained(folder)
    return folder


def tokens(seed: int = 0, texts: int = 4) -> Tensor:
    return torch.randint(5, 100, (texts, 12), generator=torch.Generator().manual_seed(seed))


def scores(model: nn.Module, head: str | None) -> Tensor:
    """Return what the model says of four texts of twelve tokens."""
    return model(input_ids=tokens())[SCORES.get(head, "logits")]


def random_masks(density: float = 0.5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = prunable_parameters(tiny_bert())
    return {name: torch.rand(weight.shape, generator=generator) < density for name, weight in weights.items()}


def make_ticket(**changed: Any) -> Ticket:
    """`replicates`, and `base` where they have no weights, are the caller's to give."""
    fields: dict[str, Any] = {
        "name": "tiny-bert.mlm-imp",
        "architecture": tiny_architecture("fill-mask"),
        "task": "fill-mask",
        "source": {"dataset": "text"},
        "pruning": {"method": "imp", "scope": "global", "rate": 0.5},
    }
    return Ticket.create(**{**fields, **changed})
