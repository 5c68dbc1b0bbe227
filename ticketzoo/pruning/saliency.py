"""Criteria of the loss on a little data: SNIP, its gradient alone, GraSP."""

from typing import Annotated, TypeVar

from pydantic import Field

from ticketzoo.distributed import processes
from ticketzoo.pruning.criteria import CRITERIA, CriterionConfig, Scores
from ticketzoo.pruning.probe import Probe, Scored


class DataConfig(CriterionConfig):
    """The keys of a criterion that looks at data.

    Attributes:
        name: name of the criterion.
        examples_per_class: examples of each class in a batch, of tasks that have classes; null is 10, and at most 128
            in all.
        batch_size: examples in a batch, at most; null is 128, or as many as `examples_per_class` says.
        batches: how many batches the loss is a mean over. They are computed one after the other: more and smaller ones
            need less memory. BatchNorm normalizes each by itself.
    """

    examples_per_class: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    batches: Annotated[int, Field(ge=1)] = 1

    def on(self, probe: Probe, *, temperature: float = 1.0) -> Probe:
        """Return the probe with the loss that the keys say."""
        return probe.on(Scored(self.examples_per_class, self.batch_size, temperature))


DataConfigT = TypeVar("DataConfigT", bound=DataConfig)

FEW = 2
"""Examples of each process on which it is tried whether a network can be scored."""


def few(config: DataConfigT) -> DataConfigT:
    """Return the keys for one small batch: a network that cannot be scored is told by it as by all data."""
    return config.model_copy(update={"batches": 1, "batch_size": FEW * processes.count()})


class SnipConfig(DataConfig):
    """The keys of criterion `snip`.

    Attributes:
        name: name of the criterion.
    """

    name: str = "snip"


def _snip_tried(probe: Probe, config: SnipConfig) -> Scores:
    return snip(probe, few(config))


@CRITERIA.add(
    "snip",
    config=SnipConfig,
    cite="Lee et al. 2019, section 4",
    words="smallest effect on the loss, |gradient x weight|",
    tried=_snip_tried,
)
def snip(probe: Probe, config: SnipConfig) -> Scores:
    """Score by |g w|, with the gradient g of the mean loss on one batch at the weights as they are.

    The absolute value is taken of the mean over all examples.
    """
    gradients = config.on(probe).gradients(config.batches)
    return {name: (gradients[name].double() * probe.weights[name].double()).abs() for name in probe.masks}


class GradConfig(DataConfig):
    """The keys of criterion `grad`.

    Attributes:
        name: name of the criterion.
    """

    name: str = "grad"


def _grad_tried(probe: Probe, config: GradConfig) -> Scores:
    return grad(probe, few(config))


@CRITERIA.add(
    "grad",
    config=GradConfig,
    cite="Zhou et al. 2019, their code",
    words="smallest gradient of the loss",
    tried=_grad_tried,
)
def grad(probe: Probe, config: GradConfig) -> Scores:
    """Score by |g|, with the gradient g of `snip`, and without the weight that it is multiplied by there."""
    gradients = config.on(probe).gradients(config.batches)
    return {name: gradients[name].double().abs() for name in probe.masks}


class GraspConfig(DataConfig):
    """The keys of criteria `grasp` and `grasp-abs`.

    Attributes:
        name: name of the criterion.
        temperature: what the scores of the classes are divided by before the loss.
    """

    name: str = "grasp"
    temperature: Annotated[float, Field(gt=0)] = 200.0


def _grasp_tried(probe: Probe, config: GraspConfig) -> Scores:
    return grasp(probe, few(config))


@CRITERIA.add(
    "grasp",
    config=GraspConfig,
    cite="Wang et al. 2020, section 4",
    words="weights whose removal raises the gradient's norm most, or lowers it least, go",
    tried=_grasp_tried,
)
def grasp(probe: Probe, config: GraspConfig) -> Scores:
    """Score by w (H g), with gradient g and Hessian H of the mean loss, its class scores divided by the temperature.

    Twice that is what the squared norm of the gradient loses to first order where the weight goes: the highest stay.
    """
    tempered = config.on(probe, temperature=config.temperature)
    product = tempered.hessian_vector(tempered.gradients(config.batches), config.batches)
    return {name: probe.weights[name].double() * product[name].double() for name in probe.masks}


@CRITERIA.add(
    "grasp-abs",
    config=GraspConfig,
    cite="Frankle et al. 2021, appendix E",
    words="weights whose removal changes the gradient's norm least go",
    tried=_grasp_tried,
)
def grasp_abs(probe: Probe, config: GraspConfig) -> Scores:
    """Score by |w (H g)|, as in `grasp`."""
    return {name: score.abs() for name, score in grasp(probe, config).items()}
