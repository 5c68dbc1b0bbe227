"""Networks of `transformers`, bare or under a task's head, built from their configuration with random weights.

An architecture's name is a model type such as `bert`, or of a decoder `gpt2`. What is built always has the whole bare
network, an encoder's pooler included, also under the heads that `transformers` builds without one: so the same masks
fit under every head.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field, JsonValue
from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.arguments import ClassCount, parse_arguments, shorten, suggest
from ticketzoo.models.body import body_prefix
from ticketzoo.models.signature import Accepts, Classes, Features, NextTokens, Spans, Tokens, Vocabulary
from ticketzoo.models.transformer_configs import CONFIGS, known_keys
from ticketzoo.recipe import Config
from ticketzoo.seeds import derive_seed

MAX_PARAMETERS = 1_000_000_000
DEFAULT_LABELS = 2

Head = Literal["fill-mask", "text-classification", "question-answering", "causal-language-modelling"]

_SIZES = (
    "hidden_size",
    "dim",
    "num_hidden_layers",
    "n_layers",
    "intermediate_size",
    "hidden_dim",
    "n_embd",
    "n_layer",
    "num_key_value_heads",
    "vocab_size",
)
_HINTS = {"vocab_size": " (its tokenizer is another; if you added tokens, resize the embeddings after applying)"}
_HEADS = {
    "fill-mask": "AutoModelForMaskedLM",
    "text-classification": "AutoModelForSequenceClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "causal-language-modelling": "AutoModelForCausalLM",
}

ACCEPTS: Accepts = {
    (Tokens, Vocabulary): lambda tokens, vocabulary: {"head": "fill-mask"},
    (Tokens, Classes): lambda tokens, classes: {"head": "text-classification", "num_labels": classes.count},
    (Tokens, Features): lambda tokens, features: {"head": "text-classification", "num_labels": features.size},
    (Tokens, Spans): lambda tokens, spans: {"head": "question-answering"},
    (Tokens, NextTokens): lambda tokens, vocabulary: {"head": "causal-language-modelling"},
}
"""By signature, the head. Encoders bring a vocabulary of their own, which tasks compare with their tokenizer's."""


class TransformersArguments(Config):
    """`config`: keys of the model type in `transformer_configs`. `head`: of which task, or none.

    `num_labels` counts for text classification alone (1 for a number to predict) and is 2 elsewhere.
    """

    model_config = ConfigDict(strict=True)

    config: dict[str, JsonValue] = Field(default={})
    head: Head | None = None
    num_labels: ClassCount = DEFAULT_LABELS


def architecture(model_type: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the `{"library", "name", "kwargs"}` of a model, every default written out. Raises ModelError."""
    if model_type not in CONFIGS:
        hint = suggest(model_type, list(CONFIGS), f"known are {', '.join(CONFIGS)}; a folder is ./FOLDER")
        raise ModelError(f"unknown model type {shorten(model_type)}; {hint}")
    arguments = parse_arguments(f"transformers/{model_type}", TransformersArguments, kwargs)
    config = parse_arguments(f"transformers/{model_type} config", CONFIGS[model_type], arguments.config)
    _check_head(model_type, arguments.head)
    labels = arguments.num_labels if arguments.head == "text-classification" else DEFAULT_LABELS
    checked = {"config": config.model_dump(mode="json"), "head": arguments.head, "num_labels": labels}
    return {"library": "transformers", "name": model_type, "kwargs": checked}


def _check_head(model_type: str, head: Head | None) -> None:
    """Raise ModelError for a decoder under an encoder's head, or the other way round."""
    decodes = CONFIGS[model_type].decodes
    if head is not None and decodes != (head == "causal-language-modelling"):
        needed = [name for name, config in CONFIGS.items() if config.decodes != decodes]
        what = f"transformers/{model_type} {'says the next token' if decodes else 'reads whole texts'}"
        raise ModelError(f"{what} and has no head for {head}: choose a model of type {', '.join(needed)}")


def pretrained_architecture(
    config: Mapping[str, Any], head: Head | None = None, num_labels: int = DEFAULT_LABELS
) -> dict[str, Any]:
    """Return the architecture of a pretrained model under a head.

    Args:
        config: content of its config.json; keys that do not shape the network are left out.
        head: of which task; None for the bare encoder.
        num_labels: of the head for text classification.

    Raises:
        ModelError: a model type that is not known, and for a model that is more than its encoder or brings code.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIGS:
        known = f"known are {', '.join(CONFIGS)}"
        raise ModelError(f"config.json: model_type {shorten(model_type)} cannot be used here; {known}")
    try:
        kwargs = {"config": known_keys(model_type, dict(config)), "head": head, "num_labels": num_labels}
    except ValueError as error:
        raise ModelError(f"config.json: {error}") from None
    return architecture(model_type, kwargs)


def create(model_type: str, kwargs: dict[str, Any], seed: int, at_most: int | None = None) -> nn.Module:
    """Build what `architecture` described, on the CPU, in training mode, with weights drawn from `seed`.

    The body's fresh weights are the same under every head.

    Raises:
        ModelError: arguments that do not fit, or for more parameters than `at_most` (default `MAX_PARAMETERS`), before
            anything is allocated.
    """
    most = MAX_PARAMETERS if at_most is None else min(at_most, MAX_PARAMETERS)
    checked = architecture(model_type, kwargs)["kwargs"]
    with torch.random.fork_rng(devices=[]):
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in _build(model_type, seed, **checked).parameters())
        if parameters > most:
            allowed = f"at most {most:,} are allowed"
            raise ModelError(f"transformers/{model_type} of this config has {parameters:,} parameters; {allowed}")
        with torch.device("cpu"):
            return _build(model_type, seed, **checked)


def differences(described: Mapping[str, Any], model: nn.Module) -> list[str]:
    """Return the sizes in which the encoder of `model` differs from an architecture, a phrase each.

    Empty where one of the two is not of `transformers`.

    Raises:
        ModelError: the architecture is not valid.
    """
    if described["library"] != "transformers" or not hasattr(model, "base_model_prefix"):
        return []
    there: Any = model.config
    model_type, kwargs = described["name"], described["kwargs"]
    if model_type != there.model_type:
        return [f"it is of a {model_type}, the model a {there.model_type}"]
    config = architecture(model_type, kwargs)["kwargs"]["config"]
    pairs = [(key, config[key], getattr(there, key)) for key in _SIZES if key in config]
    return [
        f"{key} is {here} in the ticket, {other} in the model{_HINTS.get(key, '')}"
        for key, here, other in pairs
        if here != other
    ]


def _build(model_type: str, seed: int, config: dict[str, Any], head: Head | None, num_labels: int) -> nn.Module:
    import transformers

    known = CONFIGS[model_type]
    fewer = known.decodes and config["vocab_size"] <= known.ends
    unused = {"bos_token_id": None, "eos_token_id": None} if fewer else {}
    settings = transformers.AutoConfig.for_model(model_type, **config, num_labels=num_labels, **unused)
    if known.decodes:
        settings.use_cache = False
    if head is None:
        return _build_body(settings, seed)
    torch.default_generator.manual_seed(derive_seed(seed, "head"))
    model = getattr(transformers, _HEADS[head]).from_config(settings)
    place = body_prefix(model).rstrip(".")
    model.set_submodule(place, nn.Identity())  # so that there are never two in memory
    model.set_submodule(place, _build_body(settings, seed))
    model.tie_weights()
    return model.train()


def _build_body(settings: Any, seed: int) -> nn.Module:
    from transformers import AutoModel

    torch.default_generator.manual_seed(seed)
    return AutoModel.from_config(settings).train()
