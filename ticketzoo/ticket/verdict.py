"""The verdict on a ticket: as ticket.json holds it, as `ticketzoo.evaluation.verdict` gives it, and in words."""

import html
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from ticketzoo.ticket.parts import FIRST, Count, Level, Part, Sparsity, Text
from ticketzoo.util.text import for_markdown, for_terminal, show_numbers, show_sparsity

Label: TypeAlias = Literal["winning", "matching", "not matching", "not measured"]

LABELS: tuple[Label, ...] = get_args(Label)
"""Every label, best first."""

SEEDS: dict[Label, int] = {"winning": 3, "matching": 2}
"""The fewest seeds that a label may rest on."""


class LevelVerdict(Part):
    """The label that one level earned on one target, the seeds that it rests on, and why."""

    level: Level
    sparsity: Sparsity
    target: Text
    label: Label
    seeds: Count
    reason: str

    @model_validator(mode="after")
    def _is_backed_by_seeds(self) -> "LevelVerdict":
        needed = SEEDS.get(self.label, 0)
        if self.seeds < needed:
            raise ValueError(f"'{self.label}' needs at least {needed} seeds, not {self.seeds}")
        return self


class Verdict(Part):
    """The verdict on a ticket, by the stated rule.

    Attributes:
        rule: the rule in words.
        metric: the one by which arms were compared, or those of the targets, with commas between them.
        at: "final" for the end of training, "best" for the step of minimum validation loss.
        label: the best that a level earns on every target.
        sparsity: of the sparsest level with that label; None where nothing was measured.
        levels: the label of each level on each target.
    """

    rule: str
    metric: Text
    at: Text
    label: Label
    sparsity: Sparsity | None = None
    levels: Annotated[list[LevelVerdict], FIRST] = Field(default=[], max_length=10_000)

    @model_validator(mode="after")
    def _is_backed_by_a_level(self) -> "Verdict":
        if self.label in ("winning", "matching") and self.label not in {level.label for level in self.levels}:
            raise ValueError(f"no level is '{self.label}'")
        return self

    def _repr_html_(self) -> str:
        """Return what a notebook shows, as HTML."""
        said, rule = (html.escape(for_terminal(text)) for text in (sentence(self), self.rule))
        return f"<p><b>{said}</b></p><blockquote>{rule}</blockquote>"

    def _repr_markdown_(self) -> str:
        """Return what a notebook shows: the verdict in words, and the rule."""
        return f"**{for_markdown(sentence(self))}**\n\n> {for_markdown(self.rule)}"


def sentence(verdict: Verdict) -> str:
    """Return the verdict in words, as "winning at sparsity 0.488, 0.738, 0.866 (levels 3, 6, 9); 3 seeds"."""
    by_target: dict[str, list[LevelVerdict]] = defaultdict(list)
    for level in verdict.levels:
        by_target[level.target].append(level)
    if not by_target:
        return "not measured"
    if len(by_target) == 1:
        return _sentence(verdict.levels)
    return ". ".join(f"On {target}: {_sentence(levels)}" for target, levels in by_target.items())


def _sentence(levels: Sequence[LevelVerdict]) -> str:
    parts = [_claim(label, [level for level in levels if level.label == label]) for label in LABELS]
    seeds = [level.seeds for level in levels if level.label != "not measured"]
    if seeds:
        few, many = min(seeds), max(seeds)
        parts.append(f"{few} seeds" if few == many else f"{few} to {many} seeds")
    return "; ".join(part for part in parts if part)


def _span(levels: Sequence[LevelVerdict]) -> str:
    """Return the sparsities as `show_numbers` has the levels: "0.488 to 0.866" only where none between is left out."""
    of_level = {str(level.level): show_sparsity(level.sparsity) for level in levels}
    return re.sub(r"\d+", lambda number: of_level[number[0]], show_numbers(level.level for level in levels))


def _claim(label: Label, levels: Sequence[LevelVerdict]) -> str:
    if not levels:
        return ""
    span = _span(levels)
    numbers = show_numbers(level.level for level in levels)
    reasons = {level.reason for level in levels}
    why = f": {reasons.pop()}" if label == "not measured" and len(reasons) == 1 else ""
    return f"{label} at sparsity {span} (level{'s' if len(levels) > 1 else ''} {numbers}){why}"
