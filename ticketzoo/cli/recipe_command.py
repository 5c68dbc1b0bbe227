"""The commands that run a recipe: one signature and one body for find, transfer, stability and those to come."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from ticketzoo.cli import options
from ticketzoo.errors import RecipeError

if TYPE_CHECKING:
    from ticketzoo.runs.plan import Plan

FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class Work(Generic[FoundT]):
    """The work of a command.

    Attributes:
        recipe: the type its recipes are read as.
        plan: such as `ticketzoo.finding.plan_find`.
        run: such as `ticketzoo.finding.find_and_package`.
        show: prints what `run` returned, as JSON if its second argument is True.
        overrides: of the recipe, by options of the command's own: the override, and the option as it was typed.
        sweep: keys of the recipe and lists of values: `ticketzoo.watching.sweep.grid`; none by default.
    """

    recipe: type[BaseModel]
    plan: "Callable[..., Plan]"
    run: Callable[..., FoundT]
    show: Callable[[FoundT, bool], None]
    overrides: Mapping[str, str] = field(default_factory=dict)
    sweep: tuple[str, ...] = ()


def until_overrides(until: str | None, max_seeds: int | None) -> dict[str, str]:
    """Return what the options `--until` and `--max-seeds` set in a recipe, each with the option as it was typed."""
    from ticketzoo.evaluation.again import until_keys

    typed = {"until": "--until", "max_seeds": "--max-seeds"}
    keys = until_keys(until, max_seeds)
    return {f"verdict.{key}={value}": f"{typed[key]} {value}" for key, value in keys.items()}


@contextmanager
def _blaming_options(overrides: Mapping[str, str]) -> Iterator[None]:
    """Name in errors of a recipe the options that were typed, and not the overrides that they stand for."""
    try:
        yield
    except RecipeError as error:
        said = str(error)
        for override, option in overrides.items():
            said = said.replace(f"--set {override}", option)
        raise RecipeError(said) from error


def recipe_command(work: Callable[..., Work[Any]]) -> Callable[..., None]:
    """Make a command that runs recipes, with the name and docstring of `work`.

    Args:
        work: called when the command is, so that the help needs no heavy import. Its own parameters become options
            of the command, after `--out`.
    """

    def command(
        recipe: options.RecipeArgument,
        overrides: options.SetOption = None,
        out: options.OutOption = None,
        device: options.DeviceOption = None,
        executor: options.ExecutorOption = "local",
        checkpoint_seconds: options.CheckpointOption = 60.0,
        log: options.LogOption = None,
        plan: options.PlanOption = False,
        as_json: options.JsonOption = False,
        **own: Any,
    ) -> None:
        from ticketzoo.api.recipes import read_for
        from ticketzoo.cli.running import RunOptions, plan_or_run
        from ticketzoo.cli.sweep import run_sweep
        from ticketzoo.distributed.joining import joined

        todo = work(**own)
        with joined(device):

            def read(further: list[str]) -> Any:
                every = [*(overrides or ()), *todo.overrides, *further]
                with _blaming_options(todo.overrides):
                    return read_for(work.__name__, recipe, todo.recipe, every)

            asked = RunOptions(out, device, executor, checkpoint_seconds, plan, as_json, log)
            if todo.sweep:
                run_sweep(work.__name__, todo.sweep, read, asked, todo)
                return
            plan_or_run(work.__name__, read([]), asked, plan=todo.plan, run=todo.run, show=todo.show)

    shared = [parameter for name, parameter in inspect.signature(command).parameters.items() if name != "own"]
    signature = inspect.Signature([*shared[:3], *inspect.signature(work).parameters.values(), *shared[3:]])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    command.__name__, command.__doc__ = work.__name__, work.__doc__
    return command
