"""A decoder that a user registers: GPT-2's own layers pruned by name, its embeddings tied to what scores the tokens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from ticketzoo import load_ticket
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.models import ARCHITECTURES, Signature, Tokens, Vocabulary
from ticketzoo.recipe import Config, parse_recipe
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.report import run_transfer
from ticketzoo.tasks import TASKS
from ticketzoo.tasks.metrics import PERPLEXITY
from ticketzoo.tasks.table import TaskSection

COUNT = 20


class DecoderArguments(Config):
    vocabulary: int = Field(default=COUNT, ge=1, le=1000)


def decoder(arguments: DecoderArguments) -> nn.Module:
    sizes = {"n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=arguments.vocabulary, **sizes)).train()


class CountingSection(TaskSection):
    type: Literal["counting"]
    by: int = 1


class Counting:
    """Say the next number."""

    metric = PERPLEXITY
    has_validation = False

    def __init__(self, config: CountingSection) -> None:
        self.name = f"counting-{config.by}"
        self.signature = Signature(Tokens(COUNT), Vocabulary(COUNT))
        self.identity = {"type": "counting", "by": config.by}
        self.source = {"dataset": self.name, "revision": None, "fingerprint": f"{config.by:064d}"}
        self.examples = {"train": COUNT, "validation": 0, "test": COUNT}
        self._texts = (torch.arange(COUNT)[:, None] + config.by * torch.arange(8)) % COUNT

    def steps_per_epoch(self, batch_size: int) -> int:
        return -(-COUNT // batch_size)

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Iterator[Tensor]:
        for step in range(start, stop):
            yield self._texts.roll(step + seed, 0)[:batch_size].to(device)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        logits = model(input_ids=batch).logits
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())

    def size(self, batch: Tensor) -> int:
        return len(batch)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        loss = self.loss(model, self._texts.to(device))
        return {"loss": loss.item(), "perplexity": loss.exp().item()}


@pytest.fixture(scope="module", autouse=True)
def entries() -> Iterator[None]:
    """Register them as a user's package would, and take them out again."""
    before = [dict(table._entries) for table in (ARCHITECTURES, TASKS)]
    accepts = {(Tokens, Vocabulary): lambda text, wanted: {"vocabulary": text.vocabulary}}
    ARCHITECTURES.add("mylab/decoder", arguments=DecoderArguments, accepts=accepts)(decoder)
    TASKS.add("counting", config=CountingSection, words="counting")(Counting)
    yield
    for table, known in zip((ARCHITECTURES, TASKS), before, strict=True):
        table._entries.clear()
        table._entries.update(known)


def test_it_is_found_loaded_and_transferred(tmp_path: Path) -> None:
    training = {"steps": "6it", "batch_size": 4, "optimizer": {"lr": 0.1}}
    content: dict[str, Any] = {
        "name": "decoder.counting",
        "model": "mylab/decoder",
        "task": {"type": "counting"},
        "training": training,
        "finder": {"include": ["*.c_*", "lm_head", "*.bias"], "exclude": ["*.ln_*"], "rate": 0.5, "levels": 1},
        "arms": ["ticket", "dense", "random_mask"],
        "seeds": [0],
    }
    _, folder = find_and_package(parse_recipe(content, FindRecipe, "test"), tmp_path)
    ticket = load_ticket(str(folder), level=1)
    weights = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
    blocks = [f"h.0.{layer}.{part}" for layer in weights for part in ("weight", "bias")]
    assert list(ticket.masks) == ["wte.weight", *blocks]
    assert ticket.sparsity == 0.5
    model: Any = ticket.build()
    assert model.lm_head.weight is model.transformer.wte.weight
    assert model.lm_head.weight[~ticket.masks["wte.weight"]].eq(0).all()

    content = {
        "name": "by-threes",
        "tickets": [str(folder)],
        "levels": [1],
        "targets": [{"task": {"type": "counting", "by": 3}}],
        "training": training,
        "seeds": [0],
    }
    report = run_transfer(parse_recipe(content, TransferRecipe, "test"), tmp_path / "transfer")
    measured = {row["arm"] for row in report.rows if row["metric"] == "test_perplexity"}
    assert {"ticket", "dense", "random_mask", "random_reinit"} <= measured
