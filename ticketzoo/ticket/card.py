"""The model card of a ticket: MODEL_CARD_TEMPLATE.md filled with what its files say, and nothing else."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ticketzoo.ticket.card_kinds import (
    at_sparsities,
    bibtex_of,
    found_facts,
    holding_words,
    is_described,
    is_single_cut,
    kind_facts,
    nature_words,
    not_pruned_words,
    of_weights,
    origin_words,
    recipe_facts,
    rewind_fact,
    summary_words,
)
from ticketzoo.ticket.card_metadata import Measurement, data_name, headline_level, metadata, pruned_levels
from ticketzoo.ticket.config import BaseRewind, TicketConfig
from ticketzoo.ticket.recipe_file import DIFFERS
from ticketzoo.ticket.verdict_words import look_lines, published_lines
from ticketzoo.util.shipped import MODEL_CARD_TEMPLATE, shipped
from ticketzoo.util.text import fenced, for_markdown, numbered, show_duration, show_names, show_numbers, show_sparsity

Facts = list[tuple[str, str]]
"""Names, and in Markdown what is known under them."""


@dataclass(frozen=True)
class ExpectedArm:
    """An arm of which a card says where it was not measured: its name in rows, in words, and if levels matter to it."""

    name: str
    words: str
    every_level: bool = True


@dataclass(frozen=True)
class Evidence:
    """The measurements of a ticket, ready to be printed; `ticketzoo.evaluation.evidence` makes it from rows.

    `source` is the target that is the task the ticket was found on, `sentence` the verdict in words; `tables` are
    Markdown and printed as they are; `arms` say what their arms are; `expected` are the arms of which the card says
    where they were not measured; `faults` are trainings that went wrong without an error.
    """

    source: str | None = None
    sentence: str = ""
    tables: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    measured: tuple[Measurement, ...] = ()
    expected: tuple[ExpectedArm, ...] = ()
    faults: tuple[str, ...] = ()


def render_card(  # noqa: PLR0913 - all that a card says, by keyword
    config: TicketConfig,
    evidence: Evidence | None,
    *,
    plots: Sequence[str] = (),
    cost: Mapping[str, Any] | None = None,
    recipe_text: str | None = None,
    short_recipe: str | None = None,
    reference: str | None = None,
    empty: Sequence[str] = (),
    effective: Sequence[str] = (),
) -> str:
    """Return the card of the ticket whose ticket.json holds `config`, as the text of its README.md.

    What is not known is left out. Text from outside is escaped.

    Args:
        config: of ticket.json.
        evidence: what was measured; None where that was not looked at, and the card says nothing of it.
        plots: names of PNG files beside the card. Anything but a plain file name raises ValueError.
        cost: what one run took to find it: any of `trainings`, `seconds`, `cpu_seconds`, `device`, `left_out`.
        recipe_text: of recipe.yaml.
        short_recipe: of its keys that differ from their defaults.
        reference: what to load it by, such as a Hub id; its name by default.
        empty: lines of `ticketzoo.ticket.empty.empty_layers`.
        effective: lines of `ticketzoo.ticket.effective.Effective`.
    """
    from huggingface_hub import ModelCard

    looked_at, evidence = evidence is not None, evidence or Evidence()
    ticket = {
        "name": for_markdown(config.name),
        "summary": _summary(config),
        "facts": _facts(config),
        "loading": _loading(config, reference or config.name),
        "holding": holding_words(config),
        "nature": nature_words(config),
        "unstructured": config.pruning.structure is None,
        "origin": "found" if config.derived is None else "made",
        "found": _found(config, recipe_text),
        "laid_out": [for_markdown(line) for line in config.source.laid_out or ()],
        "plots": [_plot(file) for file in plots],
        "tables": evidence.tables,
        "arms": [for_markdown(line) for line in evidence.arms],
        "has_results": bool(evidence.measured),
        "faults": [for_markdown(line) for line in evidence.faults],
        "verdict": _verdict(config, evidence.sentence),
        "not_measured": _not_measured(config, evidence) if looked_at else [],
        "empty": [for_markdown(line) for line in empty],
        "effective": [for_markdown(line) for line in effective],
        "several_levels": bool(config.verdict and not config.verdict.targets and len(config.verdict.levels) > 1),
        "provenance": _provenance(config),
        "bibtex": fenced(bibtex_of(config), "bibtex"),
        "cost": _cost(cost or {}),
        "recipe": fenced(recipe_text, "yaml") if recipe_text else None,
        "short_recipe": f"{DIFFERS}\n\n{fenced(short_recipe, 'yaml')}" if short_recipe else None,
        "transfers": [fenced(text, "yaml") for text in config.transfers],
    }
    data = metadata(config, evidence.measured, evidence.source)
    return str(ModelCard(_template().render(card_data=data.to_yaml(), ticket=ticket)))


@cache
def _template() -> Any:
    import jinja2

    return jinja2.Template(shipped(MODEL_CARD_TEMPLATE).read_text(encoding="utf-8"))


def _summary(config: TicketConfig) -> str:
    return f"A lottery ticket: {for_markdown(summary_words(config))}; {for_markdown(origin_words(config))}."


def _facts(config: TicketConfig) -> Facts:
    of_model = config.architecture.kwargs.items()
    kwargs = ", ".join(f"{name}={json.dumps(value)}" for name, value in of_model if not isinstance(value, dict))
    sparsities = list(dict.fromkeys(show_sparsity(entry.sparsity) for entry in pruned_levels(config)))
    levels = show_numbers(entry.level for entry in pruned_levels(config))
    seeds = [replicate.seed for replicate in config.replicates]
    return _known(
        ("architecture", f"{config.architecture.name}({kwargs}), of {config.architecture.library}"),
        ("task", "its author's own: loss and metric of a program" if config.task == "own" else config.task),
        ("prunable weights", f"{config.prunable_weights:,}"),
        ("not pruned", not_pruned_words(config)),
        ("packaged levels", f"{levels}; {at_sparsities(sparsities)}" if levels else None),
        rewind_fact(config),
        *kind_facts(config),
        ("replicates", f"{len(seeds)}, from {numbered('seed', seeds)}"),
    )


def _loading(config: TicketConfig, reference: str) -> str:
    headline = headline_level(config)
    level, note = "", ""
    if headline is not None:
        level, note = f", level={headline.level}", f"  # sparsity {show_sparsity(headline.sparsity)}"
    call = f"load_ticket({json.dumps(reference)}{level})"
    put = "model = ticket.build()" if is_described(config) else "ticket.apply(network)  # one that you build"
    return fenced(f"from ticketzoo import load_ticket\nticket = {call}{note}\n{put}", "python")


def _found(config: TicketConfig, recipe_text: str | None) -> Facts:
    rate = config.pruning.rate
    rates = rate if isinstance(rate, dict) else {"all layers": rate} if rate is not None else {}
    return _known(
        *found_facts(config),
        (
            f"fraction of the {of_weights(config)} removed{'' if is_single_cut(config) else ' in a round'}",
            ", ".join(f"{'all others' if name == '*' else name}: {value:g}" for name, value in rates.items()),
        ),
        *recipe_facts(config, recipe_text),
        ("compared", config.pruning.compared),
        ("library", f"ticketzoo {config.library_version}"),
    )


def _verdict(config: TicketConfig, sentence: str) -> dict[str, Any] | None:
    verdict = config.verdict
    if verdict is None:
        return None
    return {
        "label": for_markdown(verdict.shown),
        "sparsity": None if verdict.sparsity is None else show_sparsity(verdict.sparsity),
        "sentence": for_markdown(sentence),
        "metric": for_markdown(f"{verdict.metric.replace('_', ' ')}, {verdict.at}"),
        "rule": for_markdown(verdict.rule),
        "published": [for_markdown(line) for line in published_lines(verdict)],
        "looks": look_lines(verdict),
    }


def _not_measured(config: TicketConfig, evidence: Evidence) -> list[str]:
    """Return what a reader may expect and no row says: levels, arms, other targets, a verdict."""
    wanted = {entry.level for entry in pruned_levels(config)}
    on_source = [result for result in evidence.measured if result.target == evidence.source]
    items = []
    for arm in evidence.expected:
        levels = {result.level for result in on_source if result.arm == arm.name}
        if not levels:
            items.append(f"{for_markdown(arm.words)}: not at all")
        elif arm.every_level and wanted - levels:
            items.append(f"{for_markdown(arm.words)}: not at packaged levels {show_numbers(wanted - levels)}")
    if not {result.target for result in evidence.measured} - {evidence.source}:
        items.append("transfer: on no other data set")
    judged = config.verdict.levels if config.verdict else []
    reasons = {level.reason for level in judged if level.label == "not measured"}
    items += [f"verdict: {for_markdown(reason)}" for reason in sorted(reasons)]
    if config.verdict is None:
        items.append("verdict: none was given")
    return [*items, "speed and memory, in training and inference"]


def _provenance(config: TicketConfig) -> Facts:
    base = config.rewind if isinstance(config.rewind, BaseRewind) else None
    return _known(
        ("licence of the ticket", config.license),
        ("data", data_name(config)),
        ("classes", show_names(config.source.classes) if config.source.classes else None),
        ("revision of the data", config.source.revision),
        ("fingerprint of the data", config.source.fingerprint),
        ("base weights", None if base is None else f"{base.repo_id} at {base.revision}"),
        ("sha256 of the masks", config.mask_sha256),
    )


def _cost(cost: Mapping[str, Any]) -> Facts:
    trainings, seconds, cpu = (cost.get(key) for key in ("trainings", "seconds", "cpu_seconds"))
    return _known(
        ("trainings", None if trainings is None else f"{trainings:,}"),
        ("time", None if seconds is None else show_duration(seconds)),
        ("processor time", show_duration(cpu) if cpu else None),
        ("device", cost.get("device")),
        ("left out", f"{cost['left_out']:,} that could not be read" if cost.get("left_out") else None),
    )


def _plot(file: str) -> dict[str, str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.png", file):
        raise ValueError(
            f"a plot is a PNG file beside the card, named with letters, digits, '.', '_' and '-': {file!r}"
        )
    return {"file": file, "text": for_markdown(re.sub(r"[_-]", " ", file.removesuffix(".png")))}


def _known(*facts: tuple[str, str | None]) -> Facts:
    """Return the facts that are known, escaped."""
    return [(name, for_markdown(fact)) for name, fact in facts if fact]
