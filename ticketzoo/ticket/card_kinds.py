"""The kind of a ticket in the words of its card: how it is used, where its weights come from, what it was made from."""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ticketzoo.data.images.label_noise import LabelNoise
from ticketzoo.errors import TicketError
from ticketzoo.tasks.adversarial import AdversarialConfig
from ticketzoo.ticket.card_metadata import data_name
from ticketzoo.ticket.config import CUSTOM, EXTRA, BaseRewind, Filters, SeedRewind, TicketConfig
from ticketzoo.ticket.origin import CONFIG, NETWORK
from ticketzoo.ticket.recipe_file import parse_recipe
from ticketzoo.util.text import show_numbers

TRAINED = frozenset({"edge-popup", "biprop", "bernoulli", "mask-training"})
"""Methods that train a mask: as `finder.training` of their recipes says, or else as `training`."""

_UNITS = {"ep": "epoch", "it": "iteration"}

UNKNOWN = "unknown"
"""Stated, of masks that were brought, where nobody said what they were found on and ranked within."""


def summary_words(config: TicketConfig) -> str:
    """Return words for what the ticket is: masks, of which weights and to what end."""
    base = config.rewind if isinstance(config.rewind, BaseRewind) else None
    network = f"of the pretrained {base.repo_id}" if base else f"of {config.architecture.name}"
    chosen = "choose the weights that move" if config.masked == "frozen" else "keep some weights"
    if config.use == "as-is":
        trained = ", and their trained values" if config.values else ""
        return f"masks that {chosen} {network}{trained}, to use as they are"
    return f"masks that {chosen} {network}{'' if base else ', and their early values'} to train from"


def origin_words(config: TicketConfig) -> str:
    """Return words for where a ticket comes from: a search on its source, or tickets found there, without a search."""
    data = data_name(config)
    if config.derived is None:
        return f"found on {data} by {config.pruning.words.get('method', config.pruning.method)}"
    parents = " and ".join(one.name for one in config.derived.parents)
    return f"made by {config.derived.method} from {parents}, found on {data}, without a search of its own"


def kind_facts(config: TicketConfig) -> list[tuple[str, str | None]]:
    """Return facts that only some kinds of tickets have; None for those that this one has not."""
    values, derived = config.values, config.derived
    parents = ", ".join(f"{one.name} (masks {one.mask_sha256[:12]})" for one in derived.parents) if derived else ""
    arguments = f" with {json.dumps(derived.arguments)}" if derived and derived.arguments else ""
    own = config.architecture.library == CUSTOM
    whole = isinstance(config.pruning.structure, Filters) and not own and config.masked == "zero"
    small = f"written by ticketzoo export {config.name} --to small OUT"
    return [
        ("use", _use_words(config) if config.use == "as-is" else None),
        ("inputs", config.source.normalised.words if config.source.normalised else None),
        ("excluded weights", "stay at their start values" if config.masked == "frozen" else None),
        ("trained values", f"of level {show_numbers(values.levels)}, in `trained_state`" if values else None),
        ("made from", f"{parents} by {derived.method}{arguments}, without training" if derived else None),
        ("smaller dense network", small if whole else None),
        ("network", None if is_described(config) else "its author's own: build it yourself, then ticket.apply(model)"),
    ]


def _use_words(config: TicketConfig) -> str:
    if config.masked == "frozen" and config.values:
        return "as a delta: `apply` gives the network with the new values, `remove` the base again"
    return "as it is: it was measured without training the weights"


def found_facts(config: TicketConfig) -> list[tuple[str, str | None]]:
    """Return the parts of how the ticket was found: words, else names; None for what is not stated."""
    pruning, words = config.pruning, config.pruning.words
    structure = "filters" if isinstance(pruning.structure, Filters) else pruning.structure
    return [
        ("method", words.get("method", pruning.method)),
        ("criterion", words.get("criterion", pruning.criterion)),
        ("removed as one", words.get("structure", structure)),
        ("scope", words.get("scope", pruning.scope)),
        ("schedule", words.get("schedule", pruning.schedule)),
    ]


def at_sparsities(sparsities: Sequence[str]) -> str:
    """Return "at sparsity 0.950", or "sparsity 0.200 to 0.965" of several levels."""
    return f"at sparsity {sparsities[0]}" if len(sparsities) == 1 else f"sparsity {sparsities[0]} to {sparsities[-1]}"


def not_pruned_words(config: TicketConfig) -> str | None:
    """Return words for the parameters that the task does not train, if there are any."""
    names = config.pruning.not_trained
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{', '.join(names[:10])}{more}, which {config.task} does not train" if names else None


def is_single_cut(config: TicketConfig) -> bool:
    """Tell whether a ticket's levels end with the first, so that no round followed another."""
    return all(entry.level <= 1 for entry in config.levels)


def of_weights(config: TicketConfig) -> str:
    """Return what fractions of `pruning.rate` are of: "surviving weights", or of a single cut "weights"."""
    if is_single_cut(config):
        return "weights"
    return f"{'surviving' if config.pruning.rate_of == 'survivors' else config.pruning.rate_of} weights"


def rewind_fact(config: TicketConfig) -> tuple[str, str]:
    """Return what the weights of a ticket are, under their name: those to train from, or to use as they are."""
    return ("weights" if config.use == "as-is" else "rewinds to"), rewind_words(config)


def rewind_words(config: TicketConfig) -> str:
    """Return words for the weights to train from, or to use as they are."""
    rewind = config.rewind
    if isinstance(rewind, BaseRewind):
        return f"the weights of {rewind.repo_id}, fetched from there"
    if isinstance(rewind, SeedRewind):
        return f"the initialization drawn from seed {show_numbers(rewind.seeds)}"
    own = "; each level has its own" if rewind.levels else ""
    if config.pruning.scope == UNKNOWN:
        return f"the weights that its masks came with{own}"
    if rewind.rewinding == "learning-rate":
        return f"the learning rate of iteration {rewind.shown_step}; the weights are trained ones, not early ones{own}"
    first = "the weights before training" if config.architecture.library == "transformers" else "initialisation"
    if rewind.kind == "signed":
        first = f"the signs of {'the ' * (first == 'initialisation')}{first}, one magnitude a layer"
    early = first if rewind.step == 0 else f"the weights after {rewind.shown_step} iterations"
    return (early if rewind.rewinding == "weights" else f"{early} ({rewind.rewinding})") + own


def holding_words(config: TicketConfig) -> str:
    """Return words for what happens to excluded weights in a training loop."""
    where = "at their start values" if config.masked == "frozen" else "exactly zero"
    return f"excluded weights stay {where}" if config.masked == "frozen" else f"pruned weights stay {where}"


def nature_words(config: TicketConfig) -> str:
    """Return the first limit of a ticket: how far it is a trained model."""
    if config.use == "as-is":
        trained = "the weights that its masks keep were trained" if config.values else "its weights were not trained"
        return f"This is a network to use as it is, not masks to train from: {trained}."
    return "This is not a trained model: it is masks and the early weights to train from."


def recipe_facts(config: TicketConfig, recipe_text: str | None) -> list[tuple[str, str | None]]:
    """Return how long a mask was trained, or when it had settled, and what was done to the data; None for the rest.

    Args:
        config: of ticket.json.
        recipe_text: of recipe.yaml.
    """
    method, rewind = config.pruning.method, config.rewind
    settled = None
    if method == "early-bird" and not isinstance(rewind, BaseRewind | SeedRewind):
        settled = f"after {rewind.shown_step} iterations"
    training = _training(parse_recipe(recipe_text, "recipe.yaml")) if recipe_text and method in TRAINED else None
    return [("mask trained for", training), ("mask settled", settled), *data_facts(recipe_text)]


def data_facts(recipe_text: str | None) -> list[tuple[str, str | None]]:
    """Return what a recipe does to labels and images: its numbers cannot be read without it.

    None where it does nothing; no fact of a text that is no recipe.

    Args:
        recipe_text: of recipe.yaml.
    """
    try:
        task = _keys(parse_recipe(recipe_text or "", "recipe.yaml"), "task")
    except TicketError:
        return []
    noise, adversarial = _keys(_keys(task, "dataset"), "label_noise"), _keys(task, "adversarial")
    return [("noise in labels", _words(LabelNoise, noise)), ("adversarial", _words(AdversarialConfig, adversarial))]


def _words(config: type[LabelNoise | AdversarialConfig], section: dict[str, Any]) -> str | None:
    try:
        return config.model_validate(section).words if section else None
    except ValidationError:
        return None


def _training(recipe: dict[str, Any]) -> str | None:
    finder = _keys(recipe, "finder")
    training = _keys(finder, "training") or _keys(recipe, "training")
    length = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ep|it)", str(training.get("steps")))
    size, optimizer = training.get("batch_size"), _keys(training, "optimizer")
    name, rate = optimizer.get("name"), optimizer.get("lr")
    if length is None or not isinstance(size, int) or not isinstance(name, str) or not isinstance(rate, int | float):
        return None
    unit = _UNITS[length[2]] + "s" * (length[1] != "1")
    return f"{length[1]} {unit} of batches of {size:,}, by {name} with learning rate {rate:g}"


def _keys(content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def is_described(config: TicketConfig) -> bool:
    """Tell whether the network can be built from what the ticket says of it."""
    return config.architecture.library != CUSTOM or any(f"{EXTRA}/{name}" in config.files for name in (CONFIG, NETWORK))


def bibtex_of(config: TicketConfig) -> str:
    """Return entries of a ticket, and of the papers that its words for its search name, each once.

    The ticket's states the digest of its masks, which says what was used whatever happens to its name.
    """
    note = f"ticketzoo {config.library_version}, masks {config.mask_sha256[:16]}"
    title = f"{{{config.name}: a lottery ticket}}"
    ticket = f"@misc{{{config.name},\n  title = {{{title}}},\n  note = {{{note}}},\n}}"
    named = re.compile(f"({'|'.join(map(re.escape, papers()))})(?![a-z])")
    found = dict.fromkeys(name for text in config.pruning.words.values() for name in named.findall(text))
    return "\n\n".join([ticket, *(papers()[name] for name in found)])


@cache
def papers() -> dict[str, str]:
    """Return the BibTeX entries of papers.bib by the words of the line before each, such as "Lee et al. 2019"."""
    text = Path(__file__).with_name("papers.bib").read_text(encoding="utf-8")
    blocks = (block.partition("\n") for block in text.strip().split("\n\n"))
    return {first.removeprefix("% "): entry for first, _, entry in blocks}
