"""Supermasks drawn from learned probabilities: Zhou et al. 2019."""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pydantic import model_validator

from ticketzoo.finding.as_is import check_neutral, with_statistics
from ticketzoo.finding.method import METHODS, Lab, Level, Start, Trained
from ticketzoo.finding.supermask import SupermaskConfig, as_it_is, train_mask
from ticketzoo.masks.digests import state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models.signs import signed_constants
from ticketzoo.models.state import State
from ticketzoo.pruning.config import PruneConfig
from ticketzoo.pruning.part import PartConfig
from ticketzoo.pruning.schedule import RateConfig
from ticketzoo.runs.plan import Unknown
from ticketzoo.seeds import derive_seed
from ticketzoo.training.bernoulli import Bernoulli, sampled_masks
from ticketzoo.training.parametrisation import measuring

SAMPLES = 10
"""Masks whose mean Zhou et al. 2019 report."""


class BernoulliConfig(SupermaskConfig):
    """Learned Bernoulli masks: training says which weights are kept, and so how many.

    Attributes:
        signed: give all weights of a layer one magnitude, the standard deviation of what was drawn, and their signs
            (the paper's signed constant).
        rescaled: divide each layer's weights by the fraction of them that is kept, in every batch and in the ticket
            (the paper's dynamic weight rescaling).
    """

    method: str = "bernoulli"
    scope: Literal["learned"] = "learned"  # type: ignore[assignment]
    rate: None = None  # type: ignore[assignment]
    signed: bool = False
    rescaled: bool = False

    @property
    def trainings(self) -> int:
        """As of other supermasks, and the samples, which are measured as they are."""
        return 3 + SAMPLES

    def frozen_weights(self, state: State, masks: Masks) -> State:
        """Return the initialisation, or signed constants of it."""
        return state | signed_constants(state, {name: state[name] for name in masks}) if self.signed else state

    def learner(self, masks: Masks) -> Bernoulli:
        """Return what learns a logit of each weight."""
        return Bernoulli(self.rescaled)

    @property
    def pruning(self) -> PruneConfig:
        """Pruning that plans take the size of the mask from: half of each layer."""
        return PruneConfig(scope=PartConfig(name="layerwise"), schedule=RateConfig(rate=0.5))

    def stated(self) -> dict[str, Any]:
        """Return what a ticket states: nothing was pruned by a rate."""
        return {"scope": self.scope, "rate": None}

    @model_validator(mode="before")
    @classmethod
    def _the_mask_says_how_many(cls, content: Any) -> Any:
        usual: dict[str, Any] = {"scope": "learned", "rate": None, "rate_of": "survivors", "rates": {}, "prune": None}
        given = [key for key, value in usual.items() if isinstance(content, dict) and content.get(key, value) != value]
        if given:
            raise ValueError(f"{given[0]}: how many weights bernoulli keeps is learned: leave out {', '.join(given)}")
        return content


@METHODS.add(
    "bernoulli",
    config=BernoulliConfig,
    cite="Zhou et al. 2019, section 5",
    words="learned Bernoulli masks: the probability of keeping each frozen weight is trained, the weights are not",
    scopes={"learned": "how many weights of each layer stay is learned (Zhou et al. 2019)"},
)
def bernoulli(lab: Lab, config: BernoulliConfig) -> Iterator[Level]:
    """Yield the dense network, trained, and the weights kept with a probability above 1/2, measured as they are.

    Rows of the latter also say what `SAMPLES` masks drawn from the probabilities score in the mean, which is what the
    paper reports: `test_sampled_accuracy`. The logits need an own `training`: the paper's has SGD with lr 100.
    Running statistics of batch normalisation are gathered for each of these masks.
    """
    check_neutral(lab, config.method)
    sized = lab.prune(lab.initial, lab.dense, to=1)
    yield Level(lab.dense, lab.initial, lab.train(lab.dense, lab.initial))
    trained = train_mask(lab, config, sized)
    level = as_it_is(trained)
    if isinstance(trained.learned.weights, Unknown):
        level = replace(level, masks=sized)
    level = replace(level, start=with_statistics(lab, level.masks, level.start))
    yield replace(level, measured=_sampled(lab, config, trained))


def _sampled(lab: Lab, config: BernoulliConfig, trained: Trained) -> dict[str, float]:
    """Return the mean test metrics of masks drawn from the learned probabilities."""
    logits, found = trained.learned.extras["logits"], []
    drawn = state_sha256(logits)  # so that seeds have samples of their own
    for number in range(SAMPLES):
        masks = sampled_masks(logits, derive_seed(number, "sampled", drawn))
        start = Start(partial(_shown, trained, config, masks))
        measured = lab.train(masks, start, learn=measuring(start.state), what=f"sample {number + 1} of {SAMPLES}")
        found.append(measured.record.final)
    metrics = [name for name in found[0] if name.startswith("test_")]
    return {name.replace("test_", "test_sampled_", 1): statistics.fmean(one[name] for one in found) for name in metrics}


def _shown(trained: Trained, config: BernoulliConfig, masks: Masks) -> State:
    frozen = trained.start.state
    shown = config.learner(masks).shown(frozen, masks)
    return trained.learned.weights | {name: shown[name] for name in masks}
