"""The table of studies, and what a recipe of `ticketzoo study` holds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SerializeAsAny

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arms import ARMS, DENSE, TICKET, Arm
from ticketzoo.evaluation.tables import Table
from ticketzoo.finding.recipe import FindRecipe, ModelConfig
from ticketzoo.finding.run import Search
from ticketzoo.finding.start import load_task
from ticketzoo.recipe import Config, ConfiguredBy, RecipeName, Seed
from ticketzoo.runs.plan import Unknown
from ticketzoo.runs.store import Store
from ticketzoo.tasks import TaskConfig
from ticketzoo.training import TrainingConfig
from ticketzoo.util.registry import Registry

Row = dict[str, Any]
"""A line of results.jsonl."""


def _trained_anew(arm: str) -> str:
    if not ARMS[arm].once and arm not in (TICKET, DENSE):
        return arm
    raise ValueError(
        f"{arm} is no training beside each level's ticket: leave it out, dense and ticket are there anyway"
    )


BesideTicket = Annotated[Arm, AfterValidator(_trained_anew)]
"""An arm that is trained beside the ticket of each level."""


class StudyConfig(Config):
    """The section `study` of a recipe: its name decides which keys there are.

    Attributes:
        name: name of the study.
        seeds: seeds of the runs: everything is done once with each.
    """

    name: str
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)


class NetworkStudyConfig(StudyConfig):
    """A study that trains networks.

    Attributes:
        model: the network: an architecture's name, or its keys.
        task: data set and objective; its `type` decides which keys there are.
        training: settings of every training: length, batch size, optimizer, schedule, precision.
    """

    model: ModelConfig
    task: TaskConfig
    training: TrainingConfig = TrainingConfig()

    def search(self, name: str, store: Store, task: TaskConfig | None = None, **keys: Any) -> Search:
        """Return a search in whose labs networks are trained and pruned, on `task` if it is another than the study's.

        `keys` are further ones of a find recipe.
        """
        task = task or self.task
        recipe = FindRecipe(
            name=name,
            model=self.model,
            task=task,
            training=self.training,
            seeds=self.seeds,
            **{"arms": ("ticket", "dense"), **keys},
        )
        return Search(recipe, load_task(task, self.model), store)


class StudyRecipe(Config):
    """A recipe of `ticketzoo study`: one experiment with masks or weights, which packages nothing."""

    name: RecipeName
    """Name of the experiment, in file names and results."""
    study: Annotated[SerializeAsAny[StudyConfig], ConfiguredBy(lambda: STUDIES, "name")]
    """The experiment. Its `name` decides which keys there are."""


@dataclass(frozen=True)
class Curve:
    """A curve of a plot: points (x, y), and how it is called."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Outcome:
    """The result of a study.

    Attributes:
        rows: of results.jsonl.
        text: a paragraph that says what was measured.
        curves: of the plot.
        axes: words for the horizontal and the vertical axis.
        log: whether the vertical axis is logarithmic.
        joined: whether lines join the points of a curve.
        tables: the numbers of the text, and those beside them, as people look at them.
    """

    rows: list[Row]
    text: str
    curves: Sequence[Curve] = ()
    axes: tuple[str, str] = ("", "")
    log: bool = False
    joined: bool = True
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Study:
    """A row of `STUDIES`.

    Attributes:
        name: by which recipes ask for it; `ticketzoo study NAME` runs the recipe `studies/NAME`.
        make: `make(recipe, store)` trains and computes in the store and gives an `Outcome`. In a plan the weights of
            trainings to come are `Unknown`, and their records empty.
        config: the keys of a recipe's `study` section.
        cite: where it comes from.
        words: what it does, for help texts.
    """

    name: str
    make: Callable[[StudyRecipe, Store], Outcome]
    config: type[StudyConfig]
    cite: str
    words: str


STUDIES: Registry[Study] = Registry("study", Study, error=RecipeError)


def is_known(state: Mapping[str, Any]) -> bool:
    """Tell whether weights are there; those of a training that a plan has yet to do are not."""
    return not isinstance(state, Unknown)


def learned(values: Sequence[float], chance: Sequence[float], *, higher: bool = True) -> bool:
    """Tell whether networks are better than the best constant guess by three standard deviations over seeds."""
    if not values or not chance:
        return bool(values)
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    gap = statistics.fmean(values) - statistics.fmean(chance)
    return (gap if higher else -gap) > 3 * std
