"""Find, transfer and stability by recipe, and the verdict on what was measured."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar

import torch
from pydantic import BaseModel

from ticketzoo.api.progress import RunProgress
from ticketzoo.api.recipes import read_for
from ticketzoo.distributed import processes
from ticketzoo.distributed.device import training_device
from ticketzoo.errors import RecipeError, TicketError
from ticketzoo.evaluation import verdict as verdicts
from ticketzoo.evaluation.again import VerdictConfig, judge_ticket, until_keys
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.instability import StabilityRecipe, run_stability
from ticketzoo.instability.auto import find_from_stable
from ticketzoo.instability.report import StabilityReport
from ticketzoo.recipe import parse_recipe
from ticketzoo.runs.executor import EXECUTORS
from ticketzoo.runs.progress import Progress, Quiet
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.targets.report import TransferReport
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.verdict import Verdict
from ticketzoo.util.arguments import checked
from ticketzoo.watching.watched import asked_for, watched

RecipeT = TypeVar("RecipeT", bound=BaseModel)
StatingT = TypeVar("StatingT", FindRecipe, TransferRecipe)


class Where(TypedDict):
    """The arguments that every run takes: device, executor, progress."""

    device: torch.device | None
    executor: str
    progress: Progress


def find_by_recipe(
    recipe: str | Path | FindRecipe,
    set: Sequence[str],
    stated: Mapping[str, Any],
    out: str | Path | None,
    where: Where,
    log: str | None = None,
) -> Ticket:
    """Run a recipe of `ticketzoo find`, with keys of `verdict` `stated`; see `ticketzoo.find`."""
    parsed = _stating(_read("find", recipe, FindRecipe, set), stated)
    run = find_from_stable if parsed.rewinds_auto else find_and_package
    with kept_journal("find", parsed, folder := folder_of(parsed.name, out), where, log) as told:
        return run(parsed, folder, **told)[0]


@checked
def transfer(  # noqa: PLR0913 - the options of the command
    recipe: str | Path | TransferRecipe,
    *,
    set: Sequence[str] = (),
    until: Literal["decided"] | None = None,
    max_seeds: int | None = None,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    executor: str = "local",
    progress: bool | Progress = True,
    log: str | None = None,
) -> TransferReport:
    """Retrain tickets on targets and compare them with their controls, seed by seed.

    Args:
        recipe: a file, the name of a shipped recipe, or a `TransferRecipe`.
        set: overrides such as `"seeds=[0, 1]"`.
        until: "decided" adds seeds until every level is matching or below, in looks at 3, 5, 7 and 10 seeds.
        max_seeds: seeds of the last look; 10 by default.
        out: working folder, `runs/<name of the recipe>` by default; a run that was stopped goes on there.
        device: such as `"cuda"`; by default a GPU where there is one, or what the executor chooses.
        executor: `local`, `stacked` for like trainings at once on one device, or `ray` for a cluster.
        progress: whether to show progress, or a listener: derive it from `ticketzoo.runs.progress.Quiet`.
        log: where curves of trainings go: `csv`, `tensorboard`, `trackio` or `wandb`; nowhere by default.

    Returns:
        Rows, a verdict for each ticket, the table of ticket minus dense, and the folder with plots and report.

    Raises:
        TicketzooError: the recipe asks for what cannot be, or the run cannot go on; the message is one line.
    """
    parsed = _stating(_read("transfer", recipe, TransferRecipe, set), until_keys(until, max_seeds))
    folder = folder_of(parsed.name, out)
    with running(device, executor, progress) as where, kept_journal("transfer", parsed, folder, where, log) as told:
        return run_transfer(parsed, folder, **told)


@checked
def stability(
    recipe: str | Path | StabilityRecipe,
    *,
    set: Sequence[str] = (),
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    executor: str = "local",
    progress: bool | Progress = True,
    log: str | None = None,
) -> StabilityReport:
    """Measure from which step on training is stable: where to rewind to (Frankle et al. 2020, section 3).

    Args:
        recipe: a file, the name of a shipped recipe, or a `StabilityRecipe`.
        set: overrides such as `"seeds=[0, 1]"`.
        out: working folder, `runs/<name of the recipe>` by default; a run that was stopped goes on there.
        device: such as `"cuda"`; by default a GPU where there is one, or what the executor chooses.
        executor: a name in the table of executors.
        progress: whether to show progress, or a listener: derive it from `ticketzoo.runs.progress.Quiet`.
        log: where curves of trainings go: `csv`, `tensorboard`, `trackio` or `wandb`; nowhere by default.

    Raises:
        TicketzooError: the recipe asks for what cannot be, or the run cannot go on; the message is one line.
    """
    parsed = _read("stability", recipe, StabilityRecipe, set)
    folder = folder_of(parsed.name, out)
    with running(device, executor, progress) as where, kept_journal("stability", parsed, folder, where, log) as told:
        return run_stability(parsed, folder, **told)


@checked
def judge(
    measured: Ticket | Iterable[Mapping[str, Any]],
    *,
    metric: str | None = None,
    at: str = "final",
    margin: float | None = None,
    transfer: Collection[str] | None = None,
) -> Verdict:
    """Return the verdict on one ticket, computed from its rows.

    Args:
        measured: a ticket, or rows of results.jsonl that are all about one.
        metric: the metric that decides, such as `test_accuracy`; by default each target's own.
        at: `final`, after the last step, or `best`, at the step of minimum validation loss.
        margin: by which a matching ticket may be below dense, in the metric's unit; default the metric's own. Of
            rows alone: a ticket's is the one that its recipe states.
        transfer: targets with other data than the ticket was found on, where winning needs more controls. Of rows
            alone, by default all of them: a ticket's files say which.

    Raises:
        ValueError: the rows are about several tickets.
        TicketError: the rows are damaged, none has that metric or moment, or a margin or
            targets are given of a ticket.
    """
    rows = measured.results if isinstance(measured, Ticket) else [dict(row) for row in measured]
    for key, asked in (("metric", metric), ("at", at)):
        known = sorted({str(row.get(key)) for row in rows})
        if asked is not None and rows and asked not in known:
            raise TicketError(f"judge: no row has {key} {asked!r}; there are {', '.join(known)}")
    if isinstance(measured, Ticket):
        if margin is not None or transfer is not None:
            raise TicketError("judge: a ticket's files state its margin and source; give its `results` to try others")
        return judge_ticket(measured, metric=metric, at=at)
    return verdicts.judge(rows, metric=metric, at=at, margin=margin, transfer=transfer)


@contextmanager
def running(device: str | torch.device | None, executor: str, progress: bool | Progress) -> Iterator[Where]:
    """Give a run its device, executor and progress; of several processes the first alone shows it."""
    chooses = device is None and EXECUTORS[executor].chooses_device
    where = None if chooses else training_device(None if device is None else str(device))
    if not isinstance(progress, bool):
        yield Where(device=where, executor=executor, progress=progress)
    elif progress and processes.rank() == 0:
        with RunProgress() as shown:
            yield Where(device=where, executor=executor, progress=shown)
    else:
        yield Where(device=where, executor=executor, progress=Quiet())


@contextmanager
def kept_journal(command: str, recipe: Any, folder: Path, where: Where, log: str | None = None) -> Iterator[Where]:
    """Keep the journal of a run of `recipe` in `folder`, which `ticketzoo report` reads, and its curves in `log`."""
    with watched(folder, asked_for(command, recipe), where["progress"], log) as progress:
        yield Where(device=where["device"], executor=where["executor"], progress=progress)


def folder_of(name: str, out: str | Path | None) -> Path:
    """Return the working folder of a run."""
    return Path(out) if out is not None else Path("runs") / name


def _read(command: str, recipe: str | Path | RecipeT, kind: type[RecipeT], set: Sequence[str]) -> RecipeT:
    if isinstance(recipe, str | Path):
        return read_for(command, recipe, kind, list(set))
    if not isinstance(recipe, kind):
        raise RecipeError(f"recipe: give a file, a name or a {kind.__name__}, not {type(recipe).__name__}")
    if set:
        raise RecipeError("set: goes with a recipe by file or name; change a recipe object itself")
    return recipe


def _stating(recipe: StatingT, stated: Mapping[str, Any]) -> StatingT:
    """Return `recipe` with the keys of its section `verdict` that are `stated`. Raises RecipeError."""
    if not stated:
        return recipe
    verdict = parse_recipe({**recipe.verdict.model_dump(), **stated}, VerdictConfig, recipe.name)
    changed = recipe.model_copy(update={"verdict": verdict})
    try:
        verdict.until_decided(recipe.seeds)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    return changed
