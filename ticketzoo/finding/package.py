"""Packaging what a recipe found: the ticket's folder, its plots and its card."""

import math
import shutil
from pathlib import Path
from typing import Any

import torch

from ticketzoo.distributed import processes
from ticketzoo.evaluation.again import with_all_seeds
from ticketzoo.evaluation.distances import NAME as DISTANCES
from ticketzoo.evaluation.evidence import card_files
from ticketzoo.evaluation.rows import carried_to
from ticketzoo.evaluation.target import Use
from ticketzoo.finding.beside import keep_another
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.method import found_words
from ticketzoo.finding.recipe import FindRecipe, steps_before_the_end
from ticketzoo.finding.replicates import extra_files, packaged
from ticketzoo.finding.run import Finding, find_tickets
from ticketzoo.finding.start import SourceModel, load_task
from ticketzoo.masks.masks import Masks
from ticketzoo.models import bare_names, create_from_architecture
from ticketzoo.models.own import OwnArchitecture
from ticketzoo.pruning.filters import FilterStructure
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.pruning.structure import Structure
from ticketzoo.recipe import dump_recipe, short_recipe
from ticketzoo.runs.plan import NotTrainedYet, Plan, PlannedCells
from ticketzoo.runs.progress import Progress
from ticketzoo.runs.store import Store, environment
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket, custom_architecture
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.config import EXTRA
from ticketzoo.ticket.effective import effective_sparsity
from ticketzoo.ticket.fields import Filters
from ticketzoo.ticket.found import fits_signed
from ticketzoo.training.parametrisation import NOTHING
from ticketzoo.util.files import write_atomically


def find_and_package(
    recipe: FindRecipe,
    out: str | Path,
    *,
    task: Task | None = None,
    model: SourceModel | None = None,
    device: torch.device | None = None,
    executor: str = "local",
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
) -> tuple[Ticket, Path]:
    """Run `recipe` in the folder `out`; a run that was stopped goes on from what it had finished.

    Of several processes (`ticketzoo.distributed.processes`) all train, and the first writes into the folder.

    Args:
        recipe: what to find.
        out: working folder: `cells/` receives the trainings, `<recipe.name>/` the ticket.
        task: what to train on, in place of what the recipe names.
        model: what to train, likewise.
        device: where to train; if None the CPU, or with Ray what the cluster has.
        executor: `local`; `stacked` or `ray` for independent trainings at once (see `ticketzoo.runs.executor`).
        checkpoint_seconds: how often a training under way is saved.
        progress: told how it goes.

    Returns:
        the ticket and its folder.

    Raises:
        RecipeError, ModelError, DataError: the recipe asks for what cannot be.
        RunError: see `Store`.
        TicketError: the ticket's folder cannot be written.
    """
    out = Path(out)
    processes.check_same("the recipe:", recipe.model_dump(mode="json"))
    task = task or load_task(recipe.task, recipe.model)
    with Store(
        out / "cells", executor, device=device, checkpoint_seconds=checkpoint_seconds, progress=progress
    ) as cells:
        finding = find_tickets(recipe, task, cells, model)
        ticket = make_ticket(recipe, task, finding)

        def write() -> Path:
            extras = make_card(ticket, finding, cells.device)
            for half_written in out.glob(f".{recipe.name}.*"):  # by a run that was killed
                shutil.rmtree(half_written)
            if kept := keep_another(out / recipe.name, ticket):
                cells.progress.warn(f"{out / recipe.name} held another ticket, which is kept as {kept}")
            if distances := extras.get(DISTANCES):
                write_atomically(out / DISTANCES, distances)
            return ticket.save_pretrained(out / recipe.name, extras=extras)

        folder = processes.from_first(write)
    return ticket, folder


def plan_find(
    recipe: FindRecipe,
    out: str | Path,
    *,
    task: Task | None = None,
    model: SourceModel | None = None,
    device: torch.device | None = None,
    seconds: float = 0.5,
) -> Plan:
    """Return what `find_and_package` has left to do; writes nothing. Raises as it does before anything is trained.

    Args:
        recipe: what to find.
        out: the working folder of the run.
        task: what to train on, in place of what the recipe names.
        model: what to train, likewise.
        device: where it would train; default the CPU.
        seconds: how long iterations are timed at each of three places of a training, about.
    """
    task = task or load_task(recipe.task, recipe.model)
    cells = PlannedCells(Path(out) / "cells", device=device or torch.device("cpu"))

    def planned(recipe: FindRecipe) -> Plan:
        try:
            finding = find_tickets(recipe, task, cells, model)
        except NotTrainedYet as unknown:
            plan = cells.plan(seconds=seconds)
            plan.not_counted += (str(unknown), "the ticket's size")
            return plan
        plan = cells.plan(seconds=seconds)
        plan.disk_bytes["ticket"] = _ticket_bytes(recipe, finding)
        return plan

    plan = planned(recipe)
    if recipe.until and not cells.complete:
        plan.most = planned(with_all_seeds(recipe))
    return plan


def make_ticket(recipe: FindRecipe, task: Task, finding: Finding) -> Ticket:
    """Return the ticket of what `recipe` found, with everything measured about it."""
    finder, architecture = recipe.finder, finding.model.architecture
    model = create_from_architecture(architecture, seed=0)
    structure = Pruner.of(finder, model).structure
    own = isinstance(architecture, OwnArchitecture)
    pruning = {"method": finder.method, **finder.stated()}
    not_trained = list(bare_names(dict.fromkeys(finding.idle), model))
    base = _base(finding)
    use: Use = "as-is" if all(one.found[-1].learn == NOTHING for one in finding.replicates) else "train"
    replicates = [
        packaged(one, model, recipe.package_from, by_reference=base is not None, trained=recipe.package_trained)
        for one in finding.replicates
    ]
    signed = use == "as-is" and base is None and fits_signed(replicates, recipe.package_from)
    return Ticket.create(
        name=recipe.name,
        architecture=custom_architecture(model, architecture["name"]) if own else architecture,
        task=recipe.task.type,
        source={**task.source, **_normalised(task, use)},
        pruning={**pruning, **_filters(structure), "not_trained": not_trained, "words": found_words(pruning)},
        rewind_step=rewind_steps(recipe, task, finding),
        rewinding=getattr(finder, "rewinding", "weights"),
        rewind_kind="signed" if signed else "packed",
        replicates=replicates,
        base=base,
        package_from=recipe.package_from,
        recipe_text=dump_recipe(recipe, public=True),
        results=finding.rows,
        verdict=recipe.judge(
            finding.rows,
            use,
            transfer=carried_to(finding.rows, task.source.get("fingerprint"), {task.name}),
            pretrained=base is not None,
        ),
        license=recipe.license,
        use=use,
        masked=finding.replicates[0].found[-1].learn.masked,
        files={name: content for one in finding.replicates for name, content in extra_files(one)},
    )


def _normalised(task: Task, use: Use) -> dict[str, Any]:
    """Return how inputs are normalised, where the ticket is a network that is used as it is and its task does that."""
    numbers = getattr(task, "normalised", None) if use == "as-is" else None
    return {} if numbers is None else {"normalised": numbers}


def _filters(structure: Structure) -> dict[str, Any]:
    """Return the layers that lost whole filters, as ticket.json states them; nothing for other structures."""
    if not isinstance(structure, FilterStructure):
        return {}
    return {"structure": Filters(kind="filters", layers=structure.stated).model_dump()}


def _base(finding: Finding) -> BaseWeights | None:
    """Return the pretrained weights that the ticket rewinds to and need not hold, if it does."""
    return finding.model.base if all(one.found[-1].start == one.initial for one in finding.replicates) else None


def rewind_steps(recipe: FindRecipe, task: Task, finding: Finding) -> list[int]:
    """Return the iteration whose weights each replicate starts from: of methods that do not rewind what they found."""
    finder = recipe.finder
    if isinstance(finder, RewindingConfig):
        return [steps_before_the_end(finder.rewind, recipe, task)] * len(finding.replicates)
    return [one.found[-1].start.step for one in finding.replicates]


def _ticket_bytes(recipe: FindRecipe, finding: Finding) -> int:
    """Return the size of masks, a bit for each weight that the level before keeps, and of the weights."""
    size, packaged = 0, range(recipe.package_from, recipe.finder.levels + 1)
    for replicate in finding.replicates:
        kept = {level: replicate.levels.kept(level) for level in packaged}
        before = [{name: math.prod(shape) for name, shape in replicate.levels.shapes.items()}, *kept.values()][:-1]
        size += sum(math.ceil(count / 8) for counts in before for count in counts.values())
        stored = [] if _base(finding) is not None else [kept[recipe.package_from]]
        for counts in stored + list(kept.values()) * recipe.package_trained:
            for name, tensor in replicate.found[-1].start.state.items():
                size += counts.get(name, tensor.numel()) * tensor.element_size()
    return size


def make_card(ticket: Ticket, finding: Finding, device: torch.device) -> dict[str, bytes]:
    """Return the plots and the model card of the ticket, by file name."""
    cost = {
        "trainings": len(finding.records),
        "seconds": sum(record.seconds for record in finding.records),
        "cpu_seconds": sum(record.cpu_seconds for record in finding.records),
        "device": ticket.config.devices or environment(device)["device"],
        "left_out": max(record.left_out for record in finding.records),
    }
    known: dict[str, Any] = {"recipe_text": ticket.recipe_text, "empty": ticket.empty_layers}
    known["effective"] = effective_sparsity(ticket).lines()
    known["short_recipe"] = short_recipe(ticket.recipe_text, FindRecipe)

    def read(path: str) -> bytes:
        return ticket.read_file(path.removeprefix(f"{EXTRA}/"))

    def masks_of(level: int, seed: int) -> Masks:
        return ticket.at(level=level, seed=seed).masks

    return card_files(ticket.config, ticket.results, read, masks_of, cost=cost, **known)
