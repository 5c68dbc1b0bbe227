"""Optimal Brain Damage: what the loss gains to second order when a weight goes."""

from typing import Annotated, Literal

from pydantic import Field

from ticketzoo.pruning.criteria import CRITERIA, Scores
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.saliency import DataConfig, few


class ObdConfig(DataConfig):
    """The keys of criterion `obd`.

    Attributes:
        name: name of the criterion.
        batches: how many batches the second derivatives are a mean over: with ten classes 1,000 examples.
        variant: second derivatives that are taken: `exact` takes a backward pass for each class, `lecun` the one pass
            of the paper, without terms between units, and `fisher` the squared gradients of single examples.
    """

    name: str = "obd"
    batches: Annotated[int, Field(ge=1)] = 10
    variant: Literal["exact", "lecun", "fisher"] = "exact"


def _tried(probe: Probe, config: ObdConfig) -> Scores:
    return obd(probe, few(config))


@CRITERIA.add(
    "obd",
    config=ObdConfig,
    cite="LeCun et al. 1990, section 2",
    words="smallest second-order effect on the loss, second derivative x weight^2 / 2",
    tried=_tried,
)
def obd(probe: Probe, config: ObdConfig) -> Scores:
    """Score by h w^2 / 2, h being the second derivative of the mean loss by the weight alone.

    BatchNorm is in evaluation mode here, as the examples are looked at one by one.
    """
    second = config.on(probe).curvature(config.variant, config.batches)
    return {name: second[name].double() * probe.weights[name].double().square() / 2 for name in probe.masks}
