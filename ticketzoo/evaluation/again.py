"""The verdict on a ticket, computed anew from its rows, by what its recipe states and by its source."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, Self, TypedDict, TypeVar

from pydantic import Field, PositiveFloat, model_validator

from ticketzoo.data.kept_classes import of_classes
from ticketzoo.evaluation.looks import looks_of
from ticketzoo.evaluation.rows import carried_to, check_rows
from ticketzoo.evaluation.statistics import Row
from ticketzoo.evaluation.target import Margin, Use
from ticketzoo.evaluation.verdict import Verdict, judge
from ticketzoo.recipe import Config
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.seeds import FIRST_LOOK, MAX_SEEDS
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.config import BaseRewind, Filters, TicketConfig
from ticketzoo.ticket.verdict import Until


class VerdictConfig(Config):
    """The section `verdict` of a recipe: the things that are stated before anything is measured."""

    margin: PositiveFloat | dict[str, PositiveFloat] | None = None
    """Difference by which a matching ticket may be below dense, in the metric's unit (0.002 is 0.2 points of accuracy),
    of every target or by target. Default: of accuracies 0.002 or 5% of dense's error, whichever is more; of other
    fractions and correlations 0.01; of anything else 2% of dense's value."""
    until: Literal["decided"] | None = None
    """`decided`: seeds are added to the recipe's, in looks at 3, 5, 7 and 10 of them, until every level is matching or
    below."""
    max_seeds: Annotated[int, Field(ge=FIRST_LOOK, le=MAX_SEEDS)] | None = None
    """Seeds of the last look; 10 by default."""

    @model_validator(mode="before")
    @classmethod
    def _states_the_last_look(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("until") and given.get("max_seeds") is None:
            return given | {"max_seeds": 10}
        return given

    @model_validator(mode="after")
    def _has_looks(self) -> "VerdictConfig":
        if self.max_seeds is not None and self.until is None:
            raise ValueError("max_seeds goes with until: decided (--until decided)")
        return self

    def until_decided(self, seeds: Sequence[int]) -> Until | None:
        """Return how seeds are added to the recipe's; None where they are not.

        Raises:
            ValueError: there are more than `max_seeds` of them.
        """
        if self.until is None or self.max_seeds is None:
            return None
        if len(seeds) > self.max_seeds:
            raise ValueError(f"verdict.max_seeds: {self.max_seeds} is below the recipe's {len(seeds)} seeds")
        return Until(seeds=list(seeds), max_seeds=self.max_seeds)


class JudgedRecipe(Protocol):
    """A recipe whose rows are judged."""

    @property
    def until(self) -> Until | None:
        """The statement that seeds are added until the levels are decided, if it is made."""
        ...

    @property
    def verdict(self) -> VerdictConfig:
        """The section `verdict`."""
        ...

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """Return a copy with other values."""
        ...


JudgedT = TypeVar("JudgedT", bound=JudgedRecipe)


def with_all_seeds(recipe: JudgedT) -> JudgedT:
    """Return `recipe` with the seeds of the last look stated at once, and no looks."""
    if (until := recipe.until) is None:
        return recipe
    verdict = recipe.verdict.model_copy(update={"until": None, "max_seeds": None})
    return recipe.model_copy(update={"seeds": tuple(looks_of(until)[-1]), "verdict": verdict})


def until_keys(until: str | None, max_seeds: int | None) -> dict[str, Any]:
    """Return the keys of a section `verdict` that the arguments `until` and `max_seeds` of a run stand for."""
    return {key: value for key, value in {"until": until, "max_seeds": max_seeds}.items() if value is not None}


def stated(recipe_text: str | None) -> tuple[Margin, Until | None]:
    """Return what the text of a ticket's recipe.yaml states of its verdict: the margin, and how seeds are added.

    None and None where it states none that can be read.
    """
    try:
        recipe = _parsed(recipe_text)
        config = VerdictConfig.model_validate(recipe.get("verdict") or {})
        return config.margin, config.until_decided(recipe["seeds"]) if config.until else None
    except (ValueError, KeyError, TypeError):
        return None, None


class Terms(TypedDict):
    """The arguments of `judge` that a ticket's files decide."""

    margin: Margin
    transfer: list[str]
    pretrained: bool
    use: Use
    until: Until | None


def terms_of(config: TicketConfig, rows: Iterable[Row], recipe_text: str | None) -> Terms:
    """Return what the verdict on a ticket rests on beside its rows.

    Args:
        config: of ticket.json.
        rows: of results.jsonl, or of a transfer evaluation.
        recipe_text: of recipe.yaml.
    """
    margin, until = stated(recipe_text)
    return Terms(
        margin=margin,
        transfer=beside_source(rows, config, _parsed(recipe_text)),
        pretrained=isinstance(config.rewind, BaseRewind),
        use="filters" if config.use == "train" and isinstance(config.pruning.structure, Filters) else config.use,
        until=until,
    )


def judge_ticket(ticket: Ticket, *, metric: str | None = None, at: str = "final") -> Verdict:
    """Return the verdict on `ticket`. Takes and raises what `judge` does."""
    rows = check_rows(ticket.results)
    return judge(rows, metric=metric, at=at, **terms_of(ticket.config, rows, ticket.recipe_text))


def beside_source(rows: Iterable[Row], config: TicketConfig, recipe: Mapping[str, object]) -> list[str]:
    """Return the targets among `rows` that are other data than the source in ticket.json: see `carried_to`.

    A ticket made from others has no training on the source that found it: all of its targets were transferred to.

    Args:
        rows: of results.jsonl.
        config: of ticket.json.
        recipe: the ticket's recipe, which may give its data a name.
    """
    if config.derived is not None and not recipe:
        return sorted({row["target"] for row in rows})
    task = recipe.get("task")
    names = _names_of(config.source.dataset, task if isinstance(task, Mapping) else {})
    return carried_to(rows, config.source.fingerprint, names)


def rows_on_source(rows: Sequence[Row], config: TicketConfig, recipe_text: str | None) -> list[Row]:
    """Return the rows that are of the source, by `beside_source`; all where none is known to be."""
    beside = beside_source(rows, config, _parsed(recipe_text))
    return [row for row in rows if row["target"] not in beside] or list(rows)


def _names_of(dataset: str, task: Mapping[str, Any]) -> set[str]:
    """Return the names that a target of the source may have: its own, that of a part of it, and the recipe's."""
    own = dataset.rstrip("/").rpartition("/")[2].replace("_", "-").lower()
    names, data = {own}, task.get("dataset")
    part, classes = (data.get("name"), data.get("classes")) if isinstance(data, Mapping) else (None, None)
    if isinstance(part, str):
        names |= {f"{own}-{part}{ending}".replace("_", "-").lower() for ending in ("", "-mismatched")}
    if isinstance(classes, list) and classes and all(type(one) is int for one in classes):
        names.add(of_classes(own, classes))
    return names | ({task["name"]} if isinstance(task.get("name"), str) else set())


def _parsed(recipe_text: str | None) -> dict[str, Any]:
    try:
        recipe = parse_yaml(recipe_text or "")
    except ValueError:
        return {}
    return recipe if isinstance(recipe, dict) else {}
