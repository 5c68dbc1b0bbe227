"""The verdict on a ticket, as ticket.json holds it. `ticketzoo.evaluation.verdict` gives it."""

import html
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from ticketzoo.seeds import FIRST_LOOK, MAX_SEEDS
from ticketzoo.ticket.parts import FIRST, Count, Level, Part, Seed, Sparsity, Text
from ticketzoo.ticket.verdict_words import sentence as sentence
from ticketzoo.util.text import for_markdown, for_terminal

Label: TypeAlias = Literal[
    "winning",
    "filters matter",
    "matches untrained",
    "matching",
    "works untrained",
    "undecided",
    "below",
    "not matching",
    "not measured",
]
"""A label: "not matching" is one of the rule of versions before 0.2, which old tickets still state."""

LABELS: tuple[Label, ...] = get_args(Label)
"""Every label, best first."""

GOOD: tuple[Label, ...] = ("winning", "filters matter", "matches untrained", "matching", "works untrained")
"""Labels that a user looks for."""

SEEDS: dict[Label, int] = {
    "winning": 3,
    "filters matter": 3,
    "matches untrained": 2,
    "matching": 2,
    "works untrained": 3,
}
"""The fewest seeds that a label may rest on."""

SHOWN = (*LABELS, *(f"{label} (short training)" for label in GOOD))
"""Every label as it is shown: with a mark where dense trained for longer is better by more than the margin."""


def _shown(label: Label, short: bool) -> str:
    return f"{label} (short training)" if short and label in GOOD else label


def _unless(default: Any, **bounds: Any) -> Any:
    """Return a field that is left out of ticket.json at its default: verdicts of earlier versions have it not."""
    return Field(default=default, exclude_if=lambda value: value == default, **bounds)


Range: TypeAlias = Annotated[list[float], Field(min_length=2, max_length=2)]


class Compared(Part):
    """The ticket minus another arm: mean over seeds, and the interval whose ends are the tested one-sided bounds."""

    arm: Text
    difference: float
    interval: Range


class LevelVerdict(Part):
    """The label that one level earned on one target, the seeds that it rests on, and why.

    Attributes:
        dense: the ticket minus dense.
        control: the ticket minus the best control, where controls were measured.
        above_dense: True where the ticket is shown to be above dense, with Holm's correction over levels.
        seeds_to_decide: seeds of each arm that would decide an undecided level with 80% power, were the difference as
            measured; None where it has as many, so that another level leaves it open, or where more than 1,000.
        look: number of the look at which the label was earned first, from 1; 0 where seeds were not added.
        published: labels by published rules, by the name of the rule.
    """

    level: Level
    sparsity: Sparsity
    target: Text
    label: Label
    seeds: Count
    reason: str
    dense: Compared | None = _unless(None)
    control: Compared | None = _unless(None)
    above_dense: bool = _unless(False)
    seeds_to_decide: Count | None = _unless(None)
    published: dict[str, str] = _unless({}, max_length=100)
    look: Count = _unless(0)

    @model_validator(mode="after")
    def _is_backed_by_seeds(self) -> "LevelVerdict":
        needed = SEEDS.get(self.label, 0)
        if self.seeds < needed:
            raise ValueError(f"'{self.label}' needs at least {needed} seeds, not {self.seeds}")
        return self


class TargetVerdict(Part):
    """The things that the labels on one target share.

    Attributes:
        metric: by which arms were compared.
        margin: by which a ticket may be below dense and match it, in the metric's unit.
        spread: pooled standard deviation over seeds; None where nothing was pooled.
        freedom: its degrees of freedom.
        pooled: the groups that share it, in words.
        alpha: level of each one-sided test against dense; smaller than 0.05 where several targets share it.
        alpha_winning: of each test against controls, and of being above dense.
        chance: best score of a guess that takes no notice of the input, where it was recorded.
        examples: test examples, where the rows state how many.
        sampling_error: the standard error of a difference of fractions over test sets as large, which seeds do not
            show: as much as this where two networks err independently.
        short_training: True where dense trained for longer is better by more than the margin.
    """

    target: Text
    metric: Text
    margin: float
    spread: float | None = _unless(None)
    freedom: Count = _unless(0)
    pooled: str = ""
    alpha: float = _unless(0.05)
    alpha_winning: float = _unless(0.05)
    examples: Count | None = _unless(None)
    sampling_error: float | None = _unless(None)
    chance: float | None = _unless(None)
    short_training: bool = _unless(False)


class Until(Part):
    """The statement, made before anything was measured, that seeds are added until the levels are decided.

    Attributes:
        seeds: of the first look, one at least.
        max_seeds: the number of seeds at the last look.
    """

    seeds: Annotated[list[Seed], FIRST] = Field(min_length=1, max_length=MAX_SEEDS)
    max_seeds: Annotated[int, Field(ge=FIRST_LOOK, le=MAX_SEEDS)]

    @model_validator(mode="after")
    def _has_room(self) -> "Until":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ from each other")
        if self.max_seeds < len(self.seeds):
            raise ValueError(f"max_seeds: {self.max_seeds} is less than the {len(self.seeds)} seeds of the first look")
        return self


class Look(Part):
    """The verdict at one of the looks that were made while seeds were added.

    Attributes:
        seeds: number of them.
        spent: share of the level of 0.05 that was spent at this look and before.
        label: of the ticket, of claims made at this look and before.
        undecided: by target the levels that further seeds might have decided; no target where there are none.
    """

    seeds: Count
    spent: float
    label: Label
    undecided: dict[Text, Annotated[list[Level], FIRST]] = Field(default={}, max_length=1_000)


class Verdict(Part):
    """The verdict on a ticket, by the stated rule.

    Attributes:
        rule: the rule in words.
        metric: the one by which arms were compared, or those of the targets, with commas between them.
        at: "final" for the end of training, "best" for the step of minimum validation loss.
        label: the best that a level earns on the source; on every target, where all are other data.
        sparsity: of the sparsest level with that label; None where nothing was measured.
        levels: the label of each level on each target.
        targets: margin, spread and chance of each target.
        stated_margin: the margin that the recipe states, of every target or by target; None for the defaults.
        transfer: targets on which a winning ticket has to be above the controls of its scale, too.
        until: how seeds were added until the levels were decided; None where all were stated.
        looks: the looks that were made then, the last of which gives the verdict.
    """

    rule: str
    metric: Text
    at: Text
    label: Label
    sparsity: Sparsity | None = None
    levels: Annotated[list[LevelVerdict], FIRST] = Field(default=[], max_length=10_000)
    targets: list[TargetVerdict] = _unless([], max_length=1_000)
    stated_margin: float | dict[str, float] | None = _unless(None)
    transfer: list[Text] = _unless([], max_length=1_000)
    until: Until | None = _unless(None)
    looks: Annotated[list[Look], FIRST] = _unless([], max_length=MAX_SEEDS)

    @property
    def short_training(self) -> bool:
        """True where a target's training is short."""
        return any(target.short_training for target in self.targets)

    def labels(self, target: str) -> dict[int, str]:
        """Return the labels of the levels on `target` as they are shown."""
        short = any(one.short_training for one in self.targets if one.target == target)
        return {level.level: _shown(level.label, short) for level in self.levels if level.target == target}

    @property
    def shown(self) -> str:
        """The label as it is shown: with "(short training)" where that is so."""
        return _shown(self.label, self.short_training)

    @model_validator(mode="after")
    def _is_backed_by_a_level(self) -> "Verdict":
        if self.label in GOOD and self.label not in {level.label for level in self.levels}:
            raise ValueError(f"no level is '{self.label}'")
        return self

    def _repr_html_(self) -> str:
        """Return what a notebook shows, as HTML."""
        said, rule = (html.escape(for_terminal(text)) for text in (sentence(self), self.rule))
        return f"<p><b>{said}</b></p><details><summary>the rule</summary>{rule}</details>"

    def _repr_markdown_(self) -> str:
        """Return what a notebook shows: the verdict in words, and the rule."""
        return f"**{for_markdown(sentence(self))}**\n\n> {for_markdown(self.rule)}"
