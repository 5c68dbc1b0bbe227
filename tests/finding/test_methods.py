"""The methods themselves, in a lab whose trainings and prunings are made by hand."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from ticketzoo.errors import RecipeError
from ticketzoo.finding import FindRecipe
from ticketzoo.finding.method import METHODS, Lab, Level, Start, Trained
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.magnitude import prune_by_magnitude
from ticketzoo.pruning.probe import Probe
from ticketzoo.recipe import Steps, StepsOrAuto, parse_recipe
from ticketzoo.runs.store import Cell
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.parametrisation import WEIGHTS, Parametrisation
from ticketzoo.training.record import Record

DENSE = {"w": torch.ones(5, dtype=torch.bool)}


def kept(masks: Masks) -> list[int]:
    return masks["w"].nonzero().flatten().tolist()


@dataclass(frozen=True)
class Weights(Cell):
    """A finished training whose weights are called `name`; after k updates they were `name@k`."""

    name: str = ""

    def final_state(self) -> State:
        return {self.name: torch.empty(0)}

    def snapshot(self, step: int) -> State:
        return {f"{self.name}@{step}": torch.empty(0)}


@dataclass
class Journal:
    """A lab that writes down what is asked of it. Pruning removes the first survivor."""

    levels: int = 3
    dense: Masks = field(default_factory=lambda: DENSE)
    initial: Start = field(default_factory=lambda: Start(lambda: {"W0": torch.empty(0)}))
    lines: list[str] = field(default_factory=list)

    def steps(self, length: StepsOrAuto) -> int:
        assert isinstance(length, Steps)
        return length.iterations(10)

    def train(
        self,
        masks: Masks,
        start: Start,
        *,
        learn: Parametrisation = WEIGHTS,
        keep: Collection[int] = (),
        training: TrainingConfig | None = None,
        what: str = "",
    ) -> Trained:
        number = sum(line.startswith("train") for line in self.lines)
        kept_too = f", keep {list(keep)}" if keep else ""
        self.lines.append(f"train {kept(masks)} from {name_of(start)} step {start.step}{kept_too}")
        return Trained(Weights(Record(), Path(), f"T{number}"), start, masks)

    def prune(self, at: Trained | Start, masks: Masks, *, to: int) -> Masks:
        self.lines.append(f"prune {kept(masks)} by {name_of(at)} to level {to}")
        pruned = masks["w"].clone()
        pruned[kept(masks)[0]] = False
        return {"w": pruned}

    def rewritten(self, at: Start, *, to: int) -> Start:
        return at

    def refuse_dead(self, masks: Masks, *, to: int) -> None:
        pass

    def units(self, masks: Masks) -> Masks:
        return masks

    def probe(self, at: Trained | Start, masks: Masks) -> Probe:
        raise NotImplementedError


def name_of(at: Trained | Start) -> str:
    (name,) = at.final if isinstance(at, Trained) else at.state
    return name


def journal(method: str, levels: int = 2, **keys: str) -> list[str]:
    recipe = parse_recipe(
        {
            "name": "x",
            "model": "lenet-300-100",
            "task": {"type": "image-classification", "dataset": {"path": "digits"}},
            "finder": {"method": method, "levels": levels, **keys},
            "package_from": levels,
        },
        FindRecipe,
        "test",
    )
    lab = Journal(levels=levels)
    for level in METHODS[method].make(lab, recipe.finder):
        lab.lines.append(f"level {kept(level.masks)} from {name_of(level.start)} step {level.start.step}")
    return lab.lines


def test_imp_trains_prunes_what_was_just_trained_and_rewinds() -> None:
    assert journal("imp", rewind="2it") == [
        "train [0, 1, 2, 3, 4] from W0 step 0, keep [2]",
        "level [0, 1, 2, 3, 4] from W0 step 0",
        "prune [0, 1, 2, 3, 4] by T0 to level 1",
        "train [1, 2, 3, 4] from T0@2 step 2",
        "level [1, 2, 3, 4] from T0@2 step 2",
        "prune [1, 2, 3, 4] by T1 to level 2",
        "train [2, 3, 4] from T0@2 step 2",
        "level [2, 3, 4] from T0@2 step 2",
    ]


def test_rewinding_to_step_0_starts_from_the_initial_weights() -> None:
    assert journal("imp", levels=1)[-1] == "level [1, 2, 3, 4] from W0 step 0"


def test_learning_rate_rewinding_goes_on_with_the_weights_just_trained() -> None:
    assert journal("imp", rewind="2it", rewinding="learning-rate") == [
        "train [0, 1, 2, 3, 4] from W0 step 0",
        "level [0, 1, 2, 3, 4] from W0 step 0",
        "prune [0, 1, 2, 3, 4] by T0 to level 1",
        "train [1, 2, 3, 4] from T0 step 2",
        "level [1, 2, 3, 4] from T0 step 2",
        "prune [1, 2, 3, 4] by T1 to level 2",
        "train [2, 3, 4] from T1 step 2",
        "level [2, 3, 4] from T1 step 2",
    ]


def test_late_reset_counts_from_the_start_again() -> None:
    assert journal("imp", levels=1, rewind="2it", rewinding="late-reset")[-1] == "level [1, 2, 3, 4] from T0@2 step 0"


def test_one_shot_prunes_every_level_by_the_dense_trained_weights() -> None:
    assert journal("one-shot") == [
        "train [0, 1, 2, 3, 4] from W0 step 0, keep [0]",
        "level [0, 1, 2, 3, 4] from W0 step 0",
        "prune [0, 1, 2, 3, 4] by T0 to level 1",
        "prune [1, 2, 3, 4] by T0 to level 2",
        "train [1, 2, 3, 4] from W0 step 0",
        "level [1, 2, 3, 4] from W0 step 0",
        "train [2, 3, 4] from W0 step 0",
        "level [2, 3, 4] from W0 step 0",
    ]


def test_one_shot_initial_prunes_by_the_weights_before_training() -> None:
    prunings = [line for line in journal("one-shot-initial", rewind="2it") if line.startswith("prune")]
    assert prunings == ["prune [0, 1, 2, 3, 4] by W0 to level 1", "prune [1, 2, 3, 4] by W0 to level 2"]


def test_at_init_trains_nothing() -> None:
    assert journal("at-init") == [
        "prune [0, 1, 2, 3, 4] by W0 to level 1",
        "prune [1, 2, 3, 4] by W0 to level 2",
        "level [0, 1, 2, 3, 4] from W0 step 0",
        "level [1, 2, 3, 4] from W0 step 0",
        "level [2, 3, 4] from W0 step 0",
    ]


@pytest.mark.parametrize(("method", "sparser"), [("imp", [[1, 2], [2]]), ("one-shot", [[0, 1], [0]])])
def test_the_two_differ_when_training_a_ticket_changes_the_order_of_magnitudes(
    method: str, sparser: list[list[int]]
) -> None:
    """Dense training gives magnitudes 9 to 5; each further one turns the survivors' order round."""
    trained = [torch.tensor([9.0, -8.0, 7.0, -6.0, 5.0]), torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])]

    class Pruning(Journal):
        def prune(self, at: Trained | Start, masks: Masks, *, to: int) -> Masks:
            weights = trained[name_of(at) != "T0"]
            return prune_by_magnitude({"w": weights * masks["w"]}, masks, PruningConfig(rate=0.3))

    # 30% of 5 is 1.5, to even 2; of 3 it is 0.9, so 1; of 2 it is 0.6, so 1.
    lab: Lab = Pruning()
    entry = METHODS[method]
    levels = [kept(level.masks) for level in entry.make(lab, entry.config())]
    assert levels == [[0, 1, 2, 3, 4], [0, 1, 2], *sparser]


def test_a_level_is_there_as_soon_as_it_is_trained() -> None:
    lab = Journal(levels=9)
    levels = METHODS["imp"].make(lab, METHODS["imp"].config())
    assert isinstance(next(levels), Level)
    assert isinstance(next(levels), Level)
    assert sum(line.startswith("train") for line in lab.lines) == 2


def test_an_unknown_method_is_named_with_the_near_ones() -> None:
    with pytest.raises(RecipeError, match=r"finder\.method: unknown 'one-shoot', did you mean 'one-shot'"):
        journal("one-shoot")
