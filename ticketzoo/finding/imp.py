"""Iterative magnitude pruning: train, prune, rewind, repeat."""

from collections.abc import Iterator

from ticketzoo.finding.config import RewindingConfig
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.finding.rewinding import REWINDINGS


@METHODS.add(
    "imp",
    config=RewindingConfig,
    cite="Frankle & Carbin 2019, section 2; Frankle et al. 2020, algorithm 2",
    words="iterative {criterion} pruning",
)
def imp(lab: Lab, config: RewindingConfig) -> Iterator[Level]:
    """Yield the dense network and `lab.levels` pruned ones, each pruned by the weights that the one before trained to.

    Every level is trained from what `config.rewinding` says: by default the dense network's weights at the rewind step.
    """
    rewind, step = REWINDINGS[config.rewinding], lab.steps(config.rewind)
    masks, start = lab.dense, lab.initial
    dense = trained = lab.train(masks, start, keep=rewind.kept(step))
    yield Level(masks, start, trained)
    for level in range(1, lab.levels + 1):
        masks = lab.prune(trained, masks, to=level)
        start = rewind(dense, trained, step)
        trained = lab.train(masks, start)
        yield Level(masks, start, trained)
