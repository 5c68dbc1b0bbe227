"""Several tickets on several targets: what is known of their data, and the part of the report that compares them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ticketzoo.evaluation.arms import DENSE
from ticketzoo.evaluation.matrix import About, Data, matrices
from ticketzoo.evaluation.matrix_plot import plot_matrix
from ticketzoo.evaluation.matrix_tables import matrix_json, matrix_sections
from ticketzoo.evaluation.statistics import Row, group_rows
from ticketzoo.recipe import Config
from ticketzoo.recipe.local import last_part
from ticketzoo.targets.recipe import TransferRecipe
from ticketzoo.targets.run import Target
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.recipe_file import parse_recipe


def about_data(recipe: TransferRecipe, tickets: Sequence[Ticket], targets: Sequence[Target]) -> About:
    """Return what is known of the data of `tickets` and `targets`, the recipe's.

    Examples of a source are those of the target of the same data, or what the ticket's recipe says.
    """
    named = _series(recipe)
    of_targets: dict[str, Data] = {
        target.name: {
            "data": target.task.source.get("fingerprint"),
            "examples": target.task.examples.get("train"),
            "classes": getattr(target.task.signature.output, "count", None),
            "series": series,
        }
        for target, series in zip(targets, named, strict=True)
    }
    trained_on = {data["data"]: data["examples"] for data in of_targets.values() if data["data"]}
    of_tickets: dict[str, Data] = {}
    for ticket in tickets:
        data, classes = ticket.config.source.fingerprint, ticket.config.architecture.kwargs.get("num_classes")
        of_tickets[ticket.name] = {
            "data": data,
            "examples": (trained_on.get(data) if data else None) or _examples(ticket),
            "classes": classes if isinstance(classes, int) else None,
            "series": None,
        }
    return {"sources": of_tickets, "targets": of_targets}


def _examples(ticket: Ticket) -> int | None:
    match parse_recipe(ticket.recipe_text or "", f"'{ticket.name}': recipe.yaml"):
        case {"task": {"dataset": {"examples": int(examples)}}}:
            return examples
    return None


def _series(recipe: TransferRecipe) -> list[str | None]:
    """Return of each target the name of its data where another differs from it in `examples` alone; None elsewhere."""
    keys = [_without_examples(target.task) for target in recipe.targets]
    names: dict[str, str] = {}
    for key, target in zip(keys, recipe.targets, strict=True):
        if keys.count(key) > 1 and key not in names:
            dataset: Any = getattr(target.task, "dataset", None)
            name = getattr(dataset, "short_name", None) or last_part(str(getattr(dataset, "path", "data")))
            names[key] = name if name not in names.values() else f"{name} ({len(names) + 1})"
    return [names.get(key) for key in keys]


def _without_examples(task: Config) -> str:
    content = task.model_dump(mode="json", exclude={"name": True, "dataset": {"examples"}})
    return json.dumps(content, sort_keys=True)


def shared_dense(rows: Sequence[Row]) -> str:
    """Return a sentence where verdicts on several tickets rest on the same dense trainings; empty if none do."""
    trained: dict[tuple[str, tuple[tuple[int, float], ...]], list[str]] = {}
    for group in group_rows(rows):
        if group.key.arm == DENSE:
            key = group.key.target, tuple(group.by_seed.items())
            trained.setdefault(key, []).append(group.key.ticket)
    shared = sorted({target for (target, _), tickets in trained.items() if len(tickets) > 1})
    return f"Verdicts on {', '.join(shared)} share their dense trainings: they are not independent." if shared else ""


@dataclass(frozen=True)
class MatrixReport:
    """The part of a report on several tickets and targets: Markdown, plots, JSON by file name; empty for fewer."""

    sections: Sequence[str] = ()
    plots: Sequence[str] = ()
    conclusions: Mapping[str, object] = field(default_factory=dict)
    sentences: Sequence[str] = ()


def report_matrix(rows: Sequence[Row], about: About | None, out: Path) -> MatrixReport:
    """Draw the heat maps into `out` and return the rest of the report on `rows`, which are of several tickets."""
    if not about or len({row["ticket"] for row in rows}) < 2 or len({row["target"] for row in rows}) < 2:
        return MatrixReport()
    found = matrices(rows, about)
    plots = {"matrix-over-dense.png": False}
    if any(one.over_own for one in found):
        plots["matrix-over-own.png"] = True
    for name, over_own in plots.items():
        plot_matrix(rows, found, out / name, over_own=over_own)
    content = matrix_json(rows, about)
    pictures = "\n".join(f"![{name.removesuffix('.png').replace('-', ' ')}]({name})" for name in plots)
    sections = ["## Sources by targets", *matrix_sections(rows, about), pictures]
    return MatrixReport(sections, [*plots], {"matrix.json": content}, content["sentences"])
