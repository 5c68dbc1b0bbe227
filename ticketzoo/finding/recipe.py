from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue, PositiveInt, SerializeAsAny, model_validator
from torch import nn

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.again import VerdictConfig
from ticketzoo.evaluation.arms import ARMS, DENSE, FIND_ARMS, TICKET, Arm, controls_among, pretrained_arms
from ticketzoo.evaluation.controls import Controls
from ticketzoo.evaluation.draw import ReinitFrom
from ticketzoo.evaluation.filter_arms import FILTER_ARMS
from ticketzoo.evaluation.rows import Row
from ticketzoo.evaluation.target import Use
from ticketzoo.evaluation.verdict import judge
from ticketzoo.finding.as_is import AsIsConfig
from ticketzoo.finding.config import MethodConfig, RewindingConfig
from ticketzoo.finding.method import METHODS
from ticketzoo.hub.references import FolderReference, HubReference
from ticketzoo.models.gguf import SUFFIX
from ticketzoo.models.pretrained import PREFIX, pretrained_reference
from ticketzoo.models.small import takes_widths
from ticketzoo.models.unit_groups import unit_groups
from ticketzoo.pruning.structure import STRUCTURES
from ticketzoo.recipe import Config, ConfiguredBy, RecipeName, Seed, Steps, StepsOrAuto
from ticketzoo.tasks import TaskConfig
from ticketzoo.tasks.task import Task
from ticketzoo.ticket.verdict import Until, Verdict
from ticketzoo.training import TrainingConfig


class ModelConfig(Config):
    """An architecture by name, with its keyword arguments. `model: lenet-300-100` is short for a name alone.

    Attributes:
        name: name of an architecture (`ticketzoo.models.ARCHITECTURES`), such as `resnet-20` or `torchvision/resnet50`;
            `transformers/<folder>` and `transformers/owner/name@commit` stand for a pretrained model, weights and
            tokenizer.
        kwargs: keyword arguments that build the architecture, such as `{width: 0.5}`; none by default.
        mirror: folder that holds a copy of the Hub model, or a copy of its GGUF file, which is read in its place; not
            written down with a run. By default the Hub is read.
        weights: weights to start from, of an image network: a file or folder, also that of a finished training in the
            `cells/` of a run or of a ticket found with `package_trained` (its densest level), or `DEFAULT` for those
            that torchvision or timm publishes (downloaded). A head of other classes is fresh. By default all weights
            are.
    """

    name: str
    kwargs: dict[str, JsonValue] = Field(default={})
    mirror: Annotated[str | None, Field(exclude=True)] = None
    weights: str | None = Field(default=None, exclude_if=lambda value: value is None)

    @property
    def here(self) -> str:
        """The name, or that of the mirror."""
        return self.name if self.mirror is None else f"{PREFIX}{Path(self.mirror).expanduser().absolute()}"

    @property
    def tokenizer(self) -> str | None:
        """Folder or Hub id (`owner/name@revision`) of a pretrained model's tokenizer."""
        reference = pretrained_reference(self.here)
        if isinstance(reference, FolderReference) and self.here.endswith(SUFFIX):
            return str(reference.path)
        return None if reference is None else self.here.removeprefix(PREFIX)

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


def _of_filters(finder: MethodConfig) -> bool:
    """Tell whether masks are of whole filters and of what reads them."""
    return STRUCTURES[finder.pruning.structure.name].on is not None


def _default_arms(given: dict[str, Any]) -> tuple[str, ...]:
    model = given.get("model")
    named = isinstance(model, ModelConfig) and (model.weights or pretrained_reference(model.name))
    finder = given.get("finder")
    if isinstance(finder, MethodConfig) and _of_filters(finder):
        small = isinstance(model, ModelConfig) and takes_widths(model.name)
        return (TICKET, DENSE, *(FILTER_ARMS if small else FILTER_ARMS[:1]))
    return pretrained_arms(FIND_ARMS) if named else FIND_ARMS


class FindRecipe(Config):
    """A recipe of `ticketzoo find`: everything that decides which tickets come out."""

    name: RecipeName
    """Name of the ticket, `<architecture>.<source>-<method>[-<variant>]`."""
    model: ModelConfig
    """The network: an architecture's name, or its keys."""
    task: TaskConfig
    """Data set and objective that tickets are found on; its `type` decides which keys there are."""
    training: TrainingConfig = TrainingConfig()
    """Settings of every training: length, batch size, optimizer, schedule, precision."""
    head_first: TrainingConfig | None = None
    """How the head alone is trained before everything else, for a pretrained model that brings none for the task. What
    comes of it counts as the pretrained model's; a ticket that refers to that model does not hold it."""
    finder: Annotated[SerializeAsAny[MethodConfig], ConfiguredBy(lambda: METHODS, "method", "imp")] = RewindingConfig()
    """How tickets are found. Its `method` decides which keys there are."""
    arms: tuple[Arm, ...] = Field(default_factory=_default_arms)
    """Arms that are measured on the source task; the ticket and dense always are. By default `random_reinit` and
    `random_mask`; of a pretrained model `magnitude` and `random_mask`; of structure `filters` `random_filters` and, of
    a model that takes widths, `small_dense`."""
    arm_levels: tuple[PositiveInt, ...] | None = None
    """Levels at which the other arms are measured; all when not given."""
    draws: PositiveInt | None = None
    """Random draws of each random arm per seed; by default 2 of `random_mask` and 1 of any other."""
    reinit_from: ReinitFrom = "start"
    """The step that fresh initialisations are trained from: "start" for step 0, with the warm-up, or "rewind-step"."""
    verdict: VerdictConfig = VerdictConfig()
    """Terms of the verdict that are stated before anything is measured; by default the usual margins, without looks."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    """Seeds of the runs: each gives one replicate (initialization, data order, masks); a verdict needs at least 3."""
    package_from: Annotated[int, Field(ge=0)] = 0
    """Number of the densest level that is packaged; rewind weights are stored for its survivors. 0 is the dense
    network."""
    package_trained: bool = False
    """Whether the trained weights of every packaged level are packaged, too (`Ticket.trained_state`)."""
    license: str | None = None
    """SPDX identifier of the ticket's licence, such as `apache-2.0`; by default the ticket states none."""

    @model_validator(mode="after")
    def _levels_exist(self) -> "FindRecipe":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ from each other")
        self.verdict.until_decided(self.seeds)
        if len(set(self.control_levels)) != len(self.control_levels):
            raise ValueError("arm_levels must differ from each other")
        if (what := self.finder.not_inverted) and self.controls.inverts:
            raise ValueError(f"arms: inverted_mask keeps the lowest scores, and {what}: leave it out")
        self._check_twins()
        as_is = self.finder if isinstance(self.finder, AsIsConfig) else None
        if not (as_is and as_is.trains_a_mask) and any(ARMS[arm].seeks for arm in self.arms):
            what = f"shuffled_labels trains a mask, and method {self.finder.method} trains none"
            raise ValueError(f"arms: {what}: leave it out")
        self._check_filter_arms()
        if self.model.mirror is not None and not isinstance(pretrained_reference(self.model.name), HubReference):
            raise ValueError("model.mirror goes with transformers/owner/name@commit, which it is a copy of")
        if self.model.weights is not None and self.model.name.startswith(PREFIX):
            raise ValueError(
                "model.weights goes with image networks; transformers/./FOLDER is a pretrained model itself"
            )
        if self.package_from > self.finder.levels:
            raise ValueError(f"package_from is beyond finder.levels ({self.finder.levels}): lower it, too")
        if (why := self.finder.last_level_alone) and self.package_from < self.finder.levels:
            what = f"a ticket of {why} holds its last level alone"
            raise ValueError(f"{what}: set package_from to finder.levels ({self.finder.levels})")
        if as_is and self.package_from == 0:
            what = f"a ticket of method: {self.finder.method} is used as it is and holds no dense network"
            raise ValueError(f"{what}: set package_from to 1")
        if beyond := [level for level in self.control_levels if level > self.finder.levels]:
            left = [level for level in self.control_levels if level <= self.finder.levels] or [self.finder.levels]
            what = f"arm_levels {beyond} are beyond finder.levels ({self.finder.levels})"
            raise ValueError(f"{what}: set arm_levels, too, to {left}, say")
        return self

    def _check_twins(self) -> None:
        arms = [arm for arm in self.controls.arms if ARMS[arm].twin]
        if not arms:
            return
        if getattr(self.finder, "rewinding", None) != "weights":
            raise ValueError(f"arms: {', '.join(arms)} takes weights at a rewind step: it goes with rewinding: weights")
        if self.model.weights or pretrained_reference(self.model.name) or self.head_first is not None:
            raise ValueError(f"arms: {', '.join(arms)} trains another initialization, and {self.model.name} has one")

    def _check_filter_arms(self) -> None:
        arms = [arm for arm in self.controls.arms if ARMS[arm].structured]
        if arms and not _of_filters(self.finder):
            raise ValueError(f"arms: {', '.join(arms)} goes with finder.prune.structure: filters")

    def check_arms(self, network: nn.Module) -> None:
        """Raise RecipeError or ModelError for an arm that `network` cannot have: smaller, or its units permuted."""
        if self.controls.twins:
            unit_groups(network)
        self.check_widths()

    def check_widths(self) -> None:
        """Raise RecipeError for an arm of smaller networks, where the model takes no widths."""
        small = [arm for arm in self.controls.arms if arm.startswith("small") and ARMS[arm].structured]
        if small and not takes_widths(self.model.name):
            raise RecipeError(f"arms: {', '.join(small)}: model {self.model.name} takes no widths: leave it out")

    @property
    def control_levels(self) -> tuple[int, ...]:
        """Levels at which the random arms are measured."""
        return tuple(range(1, self.finder.levels + 1)) if self.arm_levels is None else self.arm_levels

    @property
    def controls(self) -> Controls:
        """The arms that need trainings of their own."""
        search = self.finder if isinstance(self.finder, AsIsConfig) else None
        return Controls(controls_among(self.arms), self.draws, self.reinit_from, self.finder.trainings, search)

    @property
    def trainings(self) -> int:
        """The number of trainings the recipe asks for."""
        controls = self.controls.count(len(self.control_levels))
        return len(self.seeds) * ((self.head_first is not None) + self.finder.trainings + controls)

    @property
    def rewinds_auto(self) -> bool:
        """True where the rewind step is yet to be measured: see `ticketzoo.instability.auto`."""
        return getattr(self.finder, "rewind", None) == "auto"

    @property
    def until(self) -> Until | None:
        """Seeds are added to `seeds` until the levels are decided, up to a number; None where none are."""
        return self.verdict.until_decided(self.seeds)

    def judge(
        self,
        rows: Sequence[Row],
        use: Use = "train",
        *,
        transfer: Collection[str] | None = None,
        pretrained: bool = False,
    ) -> Verdict:
        """Return the verdict on `rows`, by what the recipe states. Takes and raises what `verdict.judge` does."""
        return judge(
            rows,
            margin=self.verdict.margin,
            transfer=transfer,
            pretrained=pretrained,
            use="filters" if use == "train" and _of_filters(self.finder) else use,
            until=self.until,
        )


def steps_before_the_end(length: StepsOrAuto, recipe: FindRecipe, task: Task) -> int:
    """Return the rewind step `length` in iterations.

    Raises:
        RecipeError: it is not before the end of training, or is yet to be measured.
    """
    if not isinstance(length, Steps):
        raise RecipeError("finder.rewind: auto goes with a recipe by file or name: set a step here")
    per_epoch = task.steps_per_epoch(recipe.training.batch_size)
    step, whole = length.iterations(per_epoch), recipe.training.steps.iterations(per_epoch)
    if step >= whole:
        what = f"{length} is iteration {step}, not before the end of training ({whole})"
        rewinds = length == getattr(recipe.finder, "rewind", None)
        key, advice = ("finder.rewind", "rewind to") if rewinds else ("finder", "choose")
        raise RecipeError(f"{key}: {what}: {advice} an earlier one, or train longer")
    return step
