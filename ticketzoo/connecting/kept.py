"""The trained networks of a finished run, read from its folder: nothing is trained."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.finding.beside import kept_of
from ticketzoo.finding.recipe import FindRecipe
from ticketzoo.finding.run import Replicate, Search
from ticketzoo.models.state import State
from ticketzoo.runs.cell import read_cell
from ticketzoo.runs.store import Cell, Job, Store
from ticketzoo.targets.source import source_of
from ticketzoo.tasks.task import Task
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.training.parametrisation import NOTHING
from ticketzoo.util.text import show_numbers
from ticketzoo.zoo.places import SWEEP


class KeptCells(Store):
    """A store that trains nothing: a training that it does not hold is refused in one line."""

    def run(self, job: Job, label: str, *, keep_final: bool = False, snapshot_steps: Collection[int] = ()) -> Cell:
        """Return the finished training of `job`. Raises RunError where it, or its weights, are not here."""
        folder, again = self.address(job.specification())[1], self._due_again(label)
        cell = processes.from_first(lambda: read_cell(folder, job, keep_final, snapshot_steps, again))
        if cell is None:
            what = f"does not keep the trained weights of {label}"
            raise RunError(f"{self.folder.parent}: {what}; finish it first: ticketzoo find with --out of this folder")
        return cell


@dataclass(frozen=True)
class KeptRun:
    """A finished run: its folder, what it found, and the recipe and data that it was found with."""

    folder: Path
    ticket: Ticket
    recipe: FindRecipe
    task: Task

    @classmethod
    def read(cls, folder: str | Path, *, data: str | None = None, overrides: Sequence[str] = ()) -> "KeptRun":
        """Read the run in `folder`, its data loaded.

        Args:
            folder: working folder of `ticketzoo find`, or the folder of the ticket in it.
            data: folder or Hub id of the data, in place of the recipe's.
            overrides: of the recipe, such as `task.dataset.mirror=DIR`.

        Raises:
            RunError: it is no folder of a run, or the data are not those that its ticket was found on.
            RecipeError, DataError, TicketError: what lies there cannot be read.
        """
        found = _ticket_folder(Path(folder))
        ticket = Ticket.from_pretrained(found, masks_only=True)
        recipe, task = source_of(ticket, data=data, overrides=overrides)
        stated = ticket.config.source.fingerprint
        if task.source["fingerprint"] != stated:
            raise RunError(
                f"{task.name}: not the data that {ticket.name} was found on (fingerprint {str(stated)[:12]})"
            )
        alone = {"seeds": tuple(ticket.seeds), "arms": ("ticket", "dense")}  # no search for other arms' masks
        recipe = recipe.model_copy(update=alone)
        return cls(found.parent, ticket, recipe, task)

    @property
    def cells(self) -> Path:
        """The folder of its trainings."""
        return self.folder / "cells"

    def seeds(self, asked: Sequence[int] | None) -> list[int]:
        """Return the seeds asked for, or all. Raises RunError where the run has no such seed."""
        there = self.ticket.seeds
        if unknown := [seed for seed in asked or () if seed not in there]:
            raise RunError(f"{self.folder}: has no seed {show_numbers(unknown)}; it has {show_numbers(there)}")
        return list(dict.fromkeys(asked or there))

    def opened(self, store: Store) -> "Networks":
        """Return its networks, read from `store`, which keeps the trainings of this run."""
        return Networks(self, store)


@dataclass(frozen=True)
class Networks:
    """The trained networks of a run, of every seed and level."""

    run: KeptRun
    store: Store

    @cached_property
    def search(self) -> Search:
        """The search that found them."""
        return Search(self.run.recipe, self.run.task, self.store)

    def replicate(self, seed: int) -> Replicate:
        """Return the levels of a seed: their masks, and their trainings as they were kept.

        Raises:
            RunError: a training is not kept, or the levels are used as they are, so that none is trained.
        """
        replicate = self.search.replicate(seed)
        if any(level.learn == NOTHING for level in replicate.found):
            raise RunError(
                f"{self.run.folder}: its tickets are used as they are, untrained: lines need trained weights"
            )
        return replicate


def final_state(replicate: Replicate, level: int) -> State:
    """Return the trained parameters and buffers of a level, 0 for dense."""
    trained = replicate.found[level].trained
    assert trained is not None
    return trained.final


def _ticket_folder(folder: Path) -> Path:
    """Return the folder of the ticket of a run. Raises RunError where there is none, or one has to be chosen."""
    if (folder / CONFIG_FILE).is_file():
        if (folder.parent / "cells").is_dir():
            return folder
        lacks = "has no cells/ beside it: a ticket alone holds no trained networks"
        raise RunError(f"{folder}: {lacks}; run ticketzoo find with its recipe.yaml, and give the folder of that run")
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder; names are not looked up: give the folder of a run")
    if not (folder / "cells").is_dir():
        raise RunError(f"{folder}: no working folder of ticketzoo find: it has no cells/ with trained networks")
    found = sorted(path.parent for path in folder.glob(f"*/{CONFIG_FILE}") if not path.parent.name.startswith("."))
    if not found:
        raise RunError(f"{folder}: holds no ticket, {_why_none(folder)}")
    names = {path.name for path in found}
    found = [path for path in found if kept_of(path.name) not in names]
    if len(found) > 1:
        raise RunError(f"{folder}: holds several tickets; name one of them: {', '.join(map(str, found))}")
    return found[0]


def _why_none(folder: Path) -> str:
    """Return why a working folder has no ticket, and what to give in its place."""
    if (folder / SWEEP).is_file():
        return "as it is that of a sweep: give the folder of one of its points"
    if (folder / "verdicts.json").is_file():
        return "as its run retrained tickets (ticketzoo transfer): give the folder of a run of ticketzoo find"
    return "so its run is not finished: give ticketzoo find the same --out"
