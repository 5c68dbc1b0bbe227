"""One-shot pruning: every level's mask from the same weights."""

from collections.abc import Iterator

from pydantic import model_validator

from ticketzoo.finding.ahead import masks_ahead
from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.method import METHODS, Lab, Level, Trained
from ticketzoo.finding.rewinding import REWINDINGS
from ticketzoo.masks.masks import Masks


class OneShotConfig(RewindingConfig):
    """Pruning of all levels by the same weights."""

    @property
    def trains_between(self) -> bool:
        """False: nothing is trained between prunings."""
        return False


class UntrainedConfig(OneShotConfig):
    """One-shot pruning of weights that were not trained by the recipe."""

    @model_validator(mode="after")
    def _trained_weights_are_there(self) -> "UntrainedConfig":
        if self.rewinding == "learning-rate":
            raise ValueError(f"rewinding: learning-rate keeps trained weights, but method: {self.method} prunes none")
        self.check_untrained()
        return self


@METHODS.add(
    "one-shot",
    config=OneShotConfig,
    cite="Frankle & Carbin 2019, section 2",
    words="one-shot {criterion} pruning of the trained dense network",
)
def one_shot(lab: Lab, config: OneShotConfig) -> Iterator[Level]:
    """Yield the dense network and `lab.levels` pruned ones, all pruned by the trained weights of the dense one."""
    dense = _train_dense(lab, config)
    yield Level(lab.dense, lab.initial, dense)
    yield from _pruned(lab, config, dense, masks_ahead(lab, dense))


@METHODS.add(
    "one-shot-initial",
    config=UntrainedConfig,
    cite="Chen et al. 2020, section 3",
    words="one-shot {criterion} pruning of the weights before training",
)
def one_shot_initial(lab: Lab, config: UntrainedConfig) -> Iterator[Level]:
    """Yield the dense network and `lab.levels` pruned ones, all pruned by the weights before any training.

    Of a pretrained model these are the pretrained weights.
    """
    levels = masks_ahead(lab, lab.initial)
    dense = _train_dense(lab, config)
    yield Level(lab.dense, lab.initial, dense)
    yield from _pruned(lab, config, dense, levels)


def _train_dense(lab: Lab, config: OneShotConfig) -> Trained:
    kept = REWINDINGS[config.rewinding].kept(lab.steps(config.rewind))
    return lab.train(lab.dense, lab.initial, keep=kept)


def _pruned(lab: Lab, config: OneShotConfig, dense: Trained, levels: Iterator[Masks]) -> Iterator[Level]:
    """Yield the pruned levels, all trained from the same start."""
    start = REWINDINGS[config.rewinding](dense, dense, lab.steps(config.rewind))
    for masks in levels:
        yield Level(masks, start, lab.train(masks, start))
