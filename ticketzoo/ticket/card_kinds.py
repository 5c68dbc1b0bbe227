"""The kind of a ticket in the words of its card: how it is used, where its weights come from, what it was made from."""

import json
from collections.abc import Sequence

from ticketzoo.ticket.config import CUSTOM, BaseRewind, Filters, SeedRewind, TicketConfig
from ticketzoo.util.text import show_numbers

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
        ("network", "its author's own: build it yourself, then ticket.apply(model)" if own else None),
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


def rate_of_words(config: TicketConfig) -> str:
    """Return what fractions of `pruning.rate` are of: "surviving weights removed in a round", or of a single cut."""
    if all(entry.level <= 1 for entry in config.levels):
        return "weights removed"
    of_what = {"survivors": "surviving"}.get(config.pruning.rate_of, config.pruning.rate_of)
    return f"{of_what} weights removed in a round"


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
