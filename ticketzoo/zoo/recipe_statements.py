"""Statements of ticket.json about how a ticket was found, held against its recipe.yaml and its rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ticketzoo.errors import TicketError
from ticketzoo.evaluation.again import beside_source
from ticketzoo.evaluation.arms import DENSE
from ticketzoo.evaluation.backing import listed_differences
from ticketzoo.evaluation.statistics import Row
from ticketzoo.pruning.config import PruneConfig, PruningConfig, stated
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.recipe import Steps
from ticketzoo.ticket.config import CUSTOM, RECIPE_FILE, BaseRewind, Filters, StoredRewind, TicketConfig
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.ticket.rows import is_complete, shown
from ticketzoo.ticket.stored import Stored
from ticketzoo.util.text import counted, for_terminal
from ticketzoo.zoo.checks import Check

MAX_LEVELS = 1000
"""Rounds that a recipe may ask for."""


class Pair(NamedTuple):
    """One thing as ticket.json states it, and as the recipe does; `known` is False where the recipe does not say."""

    key: str
    stated: Any
    given: Any
    known: bool = True


def check_recipe(folder: Path, config: TicketConfig, stored: Stored) -> Iterator[Check]:
    """Hold what ticket.json says of task, data, pruning, rewinding, seeds, levels and licence against the recipe.

    Yields:
        what holds, and notes of what the recipe does not say: that is only claimed.

    Raises:
        TicketError: it is no recipe, or it says something else; the message names both values.
    """
    recipe = stored.recipe
    if stored.recipe_text is None:
        if not config.derived:
            yield Check(CONFIG_FILE, f"NOTE: how it was found is only claimed: there is no {RECIPE_FILE}")
        return
    yield Check(RECIPE_FILE, counted(len(recipe), "key"))
    if "name" in recipe and recipe["name"] != config.name:
        yield Check(RECIPE_FILE, f"NOTE: name is {shown(recipe['name'])}, in ticket.json {config.name}")
    if config.derived:
        yield Check(RECIPE_FILE, f"NOTE: was not compared: the ticket was made from others, by {config.derived.method}")
        return
    pairs = [*_pairs(config, recipe, stored.results)]
    differs = [
        f"{one.key} is {shown(one.stated)}, and {RECIPE_FILE} says {shown(one.given)}"
        for one in pairs
        if one.known and one.stated != one.given
    ]
    if differs:
        raise TicketError(f"{folder / CONFIG_FILE}: {listed_differences(differs)}")
    if unknown := [one.key for one in pairs if not one.known]:
        yield Check(CONFIG_FILE, f"NOTE: only claimed, as {RECIPE_FILE} does not say it: {', '.join(unknown)}")
    else:
        yield Check(CONFIG_FILE, f"task, data, pruning, rewinding, seeds, levels and licence as in {RECIPE_FILE}")


def check_targets(folder: Path, config: TicketConfig, stored: Stored) -> Iterator[Check]:
    """Hold the source data set against the rows, which name the data they measure: see `carried_to`.

    Raises:
        TicketError: there is a recipe, and no row is of the data.
    """
    rows = [row for row in stored.results if is_complete(row)]
    targets = sorted({row["target"] for row in rows})
    made = config.derived is not None and not stored.recipe
    if made or beside_source(rows, config, stored.recipe) != targets or not rows:
        return
    source, measured = config.source, ", ".join(map(shown, targets[:3]))
    phrase = f"source.dataset is {shown(source.dataset)}, and the rows measure {measured}"
    if source.fingerprint is not None and any(row.get("data") for row in rows):
        phrase += f", on data whose fingerprint is not {source.fingerprint[:12]}"
    if not _section(stored.recipe, "task"):
        yield Check(CONFIG_FILE, f"NOTE: {phrase}")
        return
    raise TicketError(f"{folder / CONFIG_FILE}: {phrase}")


def _pairs(config: TicketConfig, recipe: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Pair]:
    task, seeds = _section(recipe, "task"), [one.seed for one in config.replicates]
    yield Pair("task", config.task, task.get("type"), "type" in task)
    yield from _of_data(config, task)
    yield from _of_model(config, recipe)
    yield from _of_pruning(config, _section(recipe, "finder"))
    yield from _of_rewind(config, recipe, rows)
    if config.verdict and config.verdict.until:  # the others were added
        seeds = seeds[: len(config.verdict.until.seeds)]
    yield Pair("seeds of the replicates", seeds, recipe.get("seeds"), "seeds" in recipe)
    last = _section(recipe, "finder").get("levels")
    first = recipe.get("package_from", 0)
    given: Any = [first, last]
    if isinstance(first, int) and isinstance(last, int) and 0 <= first <= last <= MAX_LEVELS:
        given = list(range(first, last + 1))
    yield Pair("levels", [entry.level for entry in config.levels], given, last is not None)
    yield Pair("license", config.license, recipe.get("license"), "finder" in recipe or "license" in recipe)


def _of_data(config: TicketConfig, task: Mapping[str, Any]) -> Iterator[Pair]:
    data = _section(task, "dataset")
    if "path" in data:
        path = data["path"]
        folder = isinstance(path, str) and PurePosixPath(path).name == config.source.dataset
        yield Pair("source.dataset", config.source.dataset, config.source.dataset if folder else path)
        yield Pair("source.revision", config.source.revision, data.get("revision"))
    else:
        yield Pair("source.dataset", config.source.dataset, task.get("name"), task.get("type") == "own")


def _of_model(config: TicketConfig, recipe: Mapping[str, Any]) -> Iterator[Pair]:
    """Yield what the recipe says of the network: its name, and those arguments that it gives."""
    model, architecture = recipe.get("model"), config.architecture
    section = {"name": model} if isinstance(model, str) else _section(recipe, "model")
    name = section.get("name")
    if isinstance(config.rewind, BaseRewind):
        at, known = f"{config.rewind.repo_id}@{config.rewind.revision}", isinstance(name, str) and "@" in name
        yield Pair("rewind.repo_id", at, str(name).removeprefix("transformers/"), known)
    elif architecture.library not in (CUSTOM, "transformers"):
        prefix = "" if architecture.library == "ticketzoo" else f"{architecture.library}/"
        yield Pair("architecture", f"{prefix}{architecture.name}", name, name is not None)
    kwargs = _section(section, "kwargs")
    for key in sorted(kwargs.keys() & architecture.kwargs.keys()):
        stated, given = architecture.kwargs[key], kwargs[key]
        if isinstance(stated, dict) and isinstance(given, dict):  # a ticket writes every default out
            stated = {name: stated.get(name) for name in given}
        yield Pair(f"architecture.kwargs.{for_terminal(key)[:40]}", stated, given)


def _of_pruning(config: TicketConfig, finder: Mapping[str, Any]) -> Iterator[Pair]:
    pruning = config.pruning
    yield Pair("pruning.method", pruning.method, finder.get("method"), "method" in finder)
    given = _stated(finder)
    said: dict[str, Any] = {"scope": pruning.scope, "rate": pruning.rate, "rate_of": pruning.rate_of}
    if given is None or "rate" not in given:
        given = given and {"rate": None, "rate_of": pruning.rate_of} | given
    usual = PruneConfig()
    for key in ("criterion", "structure", "schedule"):
        default = getattr(usual, key).name
        said[key] = getattr(pruning, key) or default
        given = given and {key: default} | given
    if isinstance(pruning.structure, Filters):
        said["structure"] = "filters"
    for key, value in said.items():
        yield Pair(f"pruning.{key}", value, (given or {}).get(key), given is not None)


def _stated(finder: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the recipe says of pruning, as ticket.json states it; None where this version cannot read it."""
    scope = finder.get("scope")
    if isinstance(scope, str) and scope not in SCOPES and not {"rate", "prune"} & finder.keys():
        return {"scope": scope}  # of a method that learns how many weights stay
    if not ({"scope", "rate"} <= finder.keys() or "prune" in finder):
        return None
    try:
        known = {key: value for key, value in finder.items() if key in PruningConfig.model_fields}
        return stated(PruningConfig.model_validate(known))
    except (ValueError, LookupError, TypeError):
        return None


def _of_rewind(config: TicketConfig, recipe: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Pair]:
    finder = _section(recipe, "finder")
    length = finder.get("rewind", "0it" if "method" in finder else None)
    complete = [row for row in rows if is_complete(row)]
    elsewhere = beside_source(complete, config, recipe)
    dense = [row for row in complete if row["arm"] == DENSE and row["at"] == "final"]
    trained = [row["step"] for row in dense if row["target"] not in elsewhere]
    step = _iterations(length, _section(recipe, "training").get("steps"), trained)
    if "watch" in finder and isinstance(config.rewind, StoredRewind):
        yield _of_watch(config, config.rewind, rows)
    else:
        yield Pair("rewind.step", config.rewind.step, length if step is None else step, step is not None)
    if isinstance(config.rewind, StoredRewind):
        yield Pair("rewind.rewinding", config.rewind.rewinding, finder.get("rewinding", "weights"), "method" in finder)


def _of_watch(config: TicketConfig, rewind: StoredRewind, rows: Sequence[Row]) -> Pair:
    """Return the steps at which masks settled, as the rows of the ticket on its source have them."""
    settled = {row["seed"]: row["value"] for row in rows if row["metric"] == "train_mask_settled_at"}
    given = [settled.get(one.seed) for one in config.replicates]
    stated = [rewind.step_of(number) for number in range(len(given))]
    return Pair("rewind.step of each replicate", stated, given, None not in given)


def _iterations(length: object, steps: object, trained: Sequence[int]) -> int | None:
    """Return a length of training in iterations; of epochs by the steps that dense trained. None where it is unknown.

    Args:
        length: of the recipe, such as `2ep`.
        steps: the whole training's, likewise.
        trained: steps of the rows of dense on the ticket's source.
    """
    try:
        part, whole = Steps.parse(length), Steps.parse(steps or "0it")
    except ValueError:
        return None
    if part.unit == "it" or part.count == 0:
        return part.iterations(1)
    if not trained or whole.unit != "ep" or whole.count < 1:
        return None
    epoch = max(trained) / whole.count
    return part.iterations(round(epoch)) if math.isclose(epoch, round(epoch), abs_tol=1e-9) else None


def _section(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a section of a recipe; an empty one where it is none."""
    section = content.get(key)
    return section if isinstance(section, dict) else {}
