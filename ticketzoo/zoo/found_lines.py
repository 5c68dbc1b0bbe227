"""Facts of `ticketzoo info` on how a ticket was found, and what it is worth: in words, without what is not stated."""

from collections.abc import Mapping, Sequence

from ticketzoo.evaluation.arms import DENSE
from ticketzoo.evaluation.evidence import source_of
from ticketzoo.evaluation.metrics import with_unit, words
from ticketzoo.evaluation.statistics import Row, group_rows
from ticketzoo.evaluation.verdict import sentence
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.ticket.card_kinds import found_facts, is_single_cut, of_weights
from ticketzoo.ticket.config import StoredRewind, TicketConfig
from ticketzoo.ticket.verdict_words import UNCOUNTED
from ticketzoo.util.text import show_numbers, show_sparsity

LABELS = {"removed as one": "structure"}


def found_lines(config: TicketConfig) -> dict[str, str]:
    """Return method, criterion, structure, scope and schedule in words, each with its name; what is stated alone."""
    pruning = config.pruning
    found = {LABELS.get(name, name): fact for name, fact in found_facts(config) if fact}
    if "scope" not in pruning.words and pruning.scope in SCOPES:
        found["scope"] = SCOPES[pruning.scope].words
    if "schedule" not in found and pruning.rate is not None:
        one = "one cut" if is_single_cut(config) else "a round"
        found["schedule"] = f"{one} removes {_rates(pruning.rate)} of the {of_weights(config)}"
    return found


def accuracy_line(config: TicketConfig, rows: Sequence[Row]) -> str:
    """Return the ticket's means at its packaged levels after that of dense, on its source; "" where rows lack them.

    Raises:
        TicketError: the rows are damaged.
    """
    groups = group_rows(rows)  # refuses rows that are none
    source, packaged = source_of(config, rows), {entry.level: entry.sparsity for entry in config.levels if entry.level}
    groups = [one for one in groups if source in (None, one.key.target)]
    dense = next((one for one in groups if one.key.arm == DENSE), None)
    levels = [one for one in groups if one.key.arm == "ticket" and one.key.level in packaged]
    if dense is None or not levels or len({one.key.target for one in levels}) > 1:
        return ""
    shown = [f"{with_unit(one.metric, one.summary.mean)} at {show_sparsity(packaged[one.key.level])}" for one in levels]
    name = words(dense.metric).removeprefix("test ")
    return f"{name}: {', '.join(shown)}; dense {with_unit(dense.metric, dense.summary.mean)}"


def verdict_line(config: TicketConfig) -> str:
    """Return the verdict in words; where it lacks the number of test examples, why."""
    if config.verdict is None:
        return "not measured"
    return sentence(config.verdict).replace(UNCOUNTED, f"{UNCOUNTED} (earlier versions did not write it down)", 1)


def rewind_line(config: TicketConfig) -> str:
    """Return kind and step of the weights that the ticket starts from."""
    way, step = "", f"{config.rewind.step}"
    if isinstance(config.rewind, StoredRewind):
        way, step = f", {config.rewind.rewinding}", show_numbers(config.rewind.steps or [config.rewind.step])
    own = ", each level its own" if config.rewind.levels else ""
    return f"{config.rewind.kind}{way}, step {step}{own}"


def _rates(rate: float | Mapping[str, float]) -> str:
    if not isinstance(rate, Mapping):
        return f"{rate:g}"
    return ", ".join(f"{'all others' if name == '*' else name}: {one:g}" for name, one in rate.items())
