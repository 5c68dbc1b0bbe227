"""The metadata at the top of a model card: what the Hub shows, filters on and compares."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ticketzoo.tasks.metrics import METRICS, Metric, metric_called
from ticketzoo.ticket.config import BaseRewind, LevelEntry, TicketConfig
from ticketzoo.util.text import for_terminal, show_sparsity

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

BANDS = (0, 50, 80, 90, 95, 98, 99, 100)
"""Limits, in percent, of the bands of sparsity that tickets are tagged with."""

CLAIM_TAG_PREFIXES = ("verdict-", "sparsity-")
"""Beginnings of the tags that say how good or how sparse the ticket is; no name of an author's own gives one."""

PIPELINES = frozenset({"image-classification", "text-classification", "fill-mask", "question-answering"})
"""Tasks of ours that the Hub knows by the same name."""

HUB_LICENSES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"}
    | {"cc-by-nc-sa-4.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "unlicense", "openrail", "other", "unknown"}
)
"""Licence identifiers that the Hub accepts; any other is "other" there, with its name beside it."""


@dataclass(frozen=True)
class Measurement:
    """One metric of one arm at one level on one target: its mean over `seeds`, from `low` to `high` with 95%."""

    arm: str
    target: str
    level: int
    sparsity: float
    metric: str
    at: str
    seeds: int
    mean: float
    low: float | None
    high: float | None
    higher_is_better: bool = True


def metadata(config: TicketConfig, measured: Sequence[Measurement], source: str | None) -> "ModelCardData":
    """Return the card metadata of a ticket that was `measured`, on its own task under the target name `source`."""
    from huggingface_hub import ModelCardData

    results = _eval_results(config, measured, source)
    license_id = (config.license or "").lower()
    known = license_id in HUB_LICENSES
    dataset = hub_dataset(config)
    return ModelCardData(
        library_name="ticketzoo",
        license=(license_id if known else "other") if license_id else None,
        license_name=slug(license_id) if license_id and not known else None,
        base_model=config.rewind.repo_id if isinstance(config.rewind, BaseRewind) else None,
        base_model_relation="adapter" if isinstance(config.rewind, BaseRewind) else None,
        datasets=[dataset] if dataset else None,
        pipeline_tag=config.task if config.task in PIPELINES else None,
        tags=tags(config),
        model_name=config.name if results else None,
        eval_results=results or None,
    )


def tags(config: TicketConfig) -> list[str]:
    """Return the tags by which a ticket is found: architecture, method, task, source, sparsity bands, verdict."""
    names = [name for name in (config.architecture.name, config.pruning.method) if not _is_claim(name)]
    names += [task_tag(config.task), source_tag(data_name(config))]
    names += [sparsity_band(entry.sparsity) for entry in pruned_levels(config)]
    names.append(verdict_tag(config.verdict.shown if config.verdict else "not measured"))
    return list(dict.fromkeys(["lottery-ticket", "sparse", *map(slug, names)]))


def _is_claim(name: str) -> bool:
    return slug(name).startswith(CLAIM_TAG_PREFIXES)


def task_tag(task: str) -> str:
    """Return the tag of a task."""
    return f"task-{slug(task)}"


def source_tag(dataset: str) -> str:
    """Return the tag of the data set that a ticket was found on."""
    return f"source-{slug(dataset)}"


def verdict_tag(label: str) -> str:
    """Return the tag of a verdict's label."""
    return f"verdict-{slug(label)}"


def sparsity_band(sparsity: float) -> str:
    """Return the tag of a sparsity: `sparsity-90-95` from 0.90 up to, and not with, 0.95."""
    low, high = next((low, high) for low, high in pairwise(BANDS) if sparsity < high / 100)
    return f"sparsity-{low}-{high}"


def slug(text: str) -> str:
    """Return `text` as a tag: in lower case, all but letters, digits and dots turned into single hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def hub_dataset(config: TicketConfig) -> str | None:
    """Return the source's Hub id, a namespaced name with a known revision; None for a folder or built-in data."""
    name = data_name(config)
    return name if "/" in name and config.source.revision else None


def data_name(config: TicketConfig) -> str:
    """Return the source data set's Hub id, or the last part of a path, which is nobody else's business."""
    dataset = config.source.dataset
    is_id = re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", dataset, re.ASCII)
    return dataset if is_id else for_terminal(re.split(r"[/\\]", dataset.rstrip("/\\"))[-1]) or "unknown"


def pruned_levels(config: TicketConfig) -> list[LevelEntry]:
    """Return the packaged levels above 0."""
    return [entry for entry in config.levels if entry.level > 0]


def headline_level(config: TicketConfig) -> LevelEntry | None:
    """Return the packaged level a card is headed by: the one its verdict names, else the sparsest."""
    verdict = config.verdict
    named = {level.level for level in verdict.levels if level.sparsity == verdict.sparsity} if verdict else set()
    packaged = pruned_levels(config)
    return next((entry for entry in packaged if entry.level in named), packaged[-1] if packaged else None)


def _eval_results(config: TicketConfig, measured: Sequence[Measurement], source: str | None) -> list["EvalResult"]:
    """Return the ticket's test metrics on its own task after the last step, at the headline level.

    Dense has none here: its numbers are not those of the model that is published.
    """
    from huggingface_hub import EvalResult

    headline = headline_level(config)
    return [
        EvalResult(
            task_type=config.task,
            dataset_type=data_name(config),
            dataset_name=for_terminal(result.target),
            dataset_revision=for_terminal(config.source.revision) if config.source.revision else None,
            metric_type=_metric(result).hub_name or _metric(result).name,
            metric_name=f"{result.metric.replace('_', ' ')} {_how(config)} retraining at sparsity "
            f"{show_sparsity(result.sparsity)}, mean over seeds",
            metric_value=round(result.mean, 6),
            metric_args=_arguments(result),
        )
        for result in measured
        if headline is not None
        and (result.arm, result.level, result.target, result.at) == ("ticket", headline.level, source, "final")
        and result.metric.startswith("test_")
    ]


def _how(config: TicketConfig) -> str:
    return "without" if config.use == "as-is" and not config.values else "after"


def _arguments(result: Measurement) -> dict[str, Any]:
    arguments: dict[str, Any] = {"level": result.level, "seeds": result.seeds}
    if result.low is not None and result.high is not None:
        arguments["interval_95"] = [round(result.low, 6), round(result.high, 6)]
    if not result.higher_is_better and _metric(result).name not in METRICS:
        arguments["higher_is_better"] = False
    return arguments


def _metric(result: Measurement) -> Metric:
    return metric_called(result.metric.removeprefix("test_"))
