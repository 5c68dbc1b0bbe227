"""Multi-prize tickets: supermasks of binary weights, by biprop."""

from collections.abc import Iterator

from ticketzoo.finding.as_is import sizes
from ticketzoo.finding.method import METHODS, Lab, Level
from ticketzoo.finding.supermask import SupermaskConfig, as_it_is, sought, train_mask
from ticketzoo.masks.masks import Masks
from ticketzoo.training.scores import Biprop


class BipropConfig(SupermaskConfig):
    """Biprop: edge-popup of weights of which the sign alone counts; each layer has one magnitude.

    Attributes:
        learn_norms: true trains scales and shifts of batch normalisation, too ("+BN" in the paper); they are packaged,
            and are not binary.
    """

    method: str = "biprop"
    learn_norms: bool = False

    def learner(self, masks: Masks) -> Biprop:
        """Return what learns a score of each weight."""
        return Biprop(sizes(masks), self.learn_norms)


@METHODS.add(
    "biprop",
    config=BipropConfig,
    cite="Diffenderfer & Kailkhura 2021",
    words="biprop: scores of frozen weights are trained, of which the signs and one magnitude a layer remain",
)
def biprop(lab: Lab, config: BipropConfig) -> Iterator[Level]:
    """Yield the dense network, trained, and a multi-prize ticket, which is measured as it is.

    The scores are trained as long as the dense network and in the same way, unless `training` says how.
    """
    kept = sought(lab, config)
    yield Level(lab.dense, lab.initial, lab.train(lab.dense, lab.initial))
    yield as_it_is(train_mask(lab, config, kept))
