"""Check everything about a ticket that can be checked without its data set."""

from collections.abc import Iterator
from pathlib import Path

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.free_texts import FoundWords
from ticketzoo.ticket.config import MASKS_FILE, RESULTS_FILE, REWINDS, BaseRewind, Filters, TicketConfig
from ticketzoo.ticket.empty import empty_layers_of
from ticketzoo.ticket.files import Files
from ticketzoo.ticket.folder import CONFIG_FILE, check_file, file_entries, read_config, replicate_path
from ticketzoo.ticket.levels import PackedLevels
from ticketzoo.ticket.stored import Stored, stored_in
from ticketzoo.ticket.structure import check_filters
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.text import counted
from ticketzoo.zoo.beside import check_beside
from ticketzoo.zoo.checks import Check as Check
from ticketzoo.zoo.derived import check_derived
from ticketzoo.zoo.recipe_statements import check_recipe, check_targets
from ticketzoo.zoo.statements import (
    check_card_beside,
    check_free_texts,
    check_plots_beside,
    check_rows_and_verdict,
    plot_names,
)
from ticketzoo.zoo.transfer_statements import check_transfers


def verify_ticket(folder: str | Path, *, results: bool = True, found_words: FoundWords | None = None) -> list[Check]:
    """Check a ticket's sizes, digests, coverage, nesting, counts, weights, documents, and that it fits its model.

    Whatever ticket.json states of masks and weights is computed from them again. Weights of a base model are not
    fetched.

    Args:
        folder: of the ticket.
        results: whether the verdict, the levels' sparsities and the card's numbers are computed again from the rows.
        found_words: gives this version's words for how a ticket was found, of what ticket.json states under `pruning`
            (`ticketzoo.finding.method.found_words`); without it the ticket's words are not compared with any.

    Returns:
        what was checked, and notes of what is only claimed.

    Raises:
        TicketError: at the first damage, naming file, tensor and both values; ModelError for an architecture that
            this version does not know.
    """
    folder = Path(folder).absolute()
    config = read_config(folder)
    checks = [
        Check(
            CONFIG_FILE,
            f"format {config.format}, {counted(len(config.levels), 'level')}, consistent counts and digests",
        )
    ]
    for name, entry in file_entries(config).items():
        check_file(folder, name, entry)
        checks.append(Check(name, f"{entry.bytes} bytes, sha256 {entry.sha256}"))
    documents, empty = stored_in(Files(folder), config), []
    checks += check_beside(folder, config, plot_names(folder, config, documents))
    checks += check_recipe(folder, config, documents)
    checks += check_targets(folder, config, documents)
    checks += check_transfers(folder, config, documents)
    rows = len(documents.results)
    if results:
        checks += check_rows_and_verdict(folder, config, documents)
        checks += check_free_texts(config, documents, found_words)
    nested: set[int] = {entry.level for entry in config.levels}
    for replicate in config.replicates:
        stored = stored_in(Files(folder), config)  # anew, so that one replicate's weights are in memory at a time
        levels = stored.replicates[replicate.seed].levels
        nested = {level for level in nested if levels.nested(level)}
        checks += _check_masks(folder, config, replicate.seed, levels)
        empty += empty_layers_of(levels, config, replicate.seed)
        checks += _check_weights(folder, config, replicate.seed, stored)
    if wrong := [entry.level for entry in config.levels if entry.level in nested and not entry.nested]:
        raise TicketError(f"{folder / CONFIG_FILE}: level {wrong[0]} is stated not to be nested, and is")
    checks += check_derived(folder, config)
    if results:
        checks += check_card_beside(folder, config, documents, empty)
        checks += check_plots_beside(folder, config, documents)
    if RESULTS_FILE in config.files:
        checks.append(Check(RESULTS_FILE, counted(rows, "row")))
    return checks


def _check_masks(folder: Path, config: TicketConfig, seed: int, levels: PackedLevels) -> Iterator[Check]:
    file = replicate_path(seed, MASKS_FILE)
    nested = "nested" if all(entry.nested for entry in config.levels) else "nested where stated"
    covers = f"covers {counted(len(levels.shapes), 'parameter')} at {counted(len(levels), 'level')}"
    yield Check(file, f"{covers}, {nested}, counts as declared")
    yield Check(file, f"masks have digest {levels.sha256()}")
    yield from (Check(file, f"NOTE: {line}") for line in empty_layers_of(levels, config))
    structure = config.pruning.structure
    if isinstance(structure, Filters):
        stated = config.replicates[config.index_of(seed)].filters or {}
        for level, masks in levels.items():
            try:
                check_filters(masks, stated[str(level)], structure.layers)
            except TicketError as error:
                raise TicketError(f"{folder / file}: level {level}: {error}") from None
        yield Check(file, f"whole filters are kept of {counted(len(structure.layers), 'layer')}, as stated")


def _check_weights(folder: Path, config: TicketConfig, seed: int, stored: Stored) -> Iterator[Check]:
    if isinstance(config.rewind, BaseRewind):
        return
    replicate = stored.replicates[seed]
    tensors = sum(len(state.tensors) for _, state in replicate.rewind.walk())
    drawn = "" if REWINDS[config.rewind.kind].in_file else ", drawn from a seed"
    yield Check(f"seed-{seed}/rewind.safetensors", f"{counted(tensors, 'tensor')}{drawn}, finite, digest as declared")
    if config.values:
        tensors = sum(len(state.tensors) for _, state in replicate.values.walk())
        yield Check(f"seed-{seed}/values.safetensors", f"{counted(tensors, 'tensor')}, finite, digest as declared")
    if config.architecture.parameters is None:
        for entry in config.levels if config.rewind.levels or config.values else config.levels[:1]:
            Ticket(config, entry.level, seed, stored).build(allow_empty=True)
        yield Check(f"seed-{seed}", f"fits {config.architecture.name}")
        return
    stated = {parameter.name: tuple(parameter.shape) for parameter in config.architecture.parameters}
    for _, state in replicate.rewind.walk():
        found = {name: tuple(tensor.shape) for name, tensor in state.dense().items()}
        if found != stated:
            wrong = min(name for name in {*found, *stated} if found.get(name) != stated.get(name))
            both = f"{found.get(wrong, 'none')} in the weights, {stated.get(wrong, 'none')} in ticket.json"
            raise TicketError(f"{folder}: seed {seed}: '{wrong}' has shape {both}")
    yield Check(f"seed-{seed}", f"has the parameters that are stated of {config.architecture.name}")
