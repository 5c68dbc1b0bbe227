"""Methods whose tickets are used as they are, as no weight is trained: what these have in common."""

from dataclasses import replace
from functools import partial

from torch.nn.modules.batchnorm import _BatchNorm

from ticketzoo.errors import RecipeError
from ticketzoo.finding.config import MethodConfig
from ticketzoo.finding.method import Lab, Start
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State
from ticketzoo.runs.plan import Unknown
from ticketzoo.training.config import TrainingConfig
from ticketzoo.training.parametrisation import NOTHING, STATISTICS, measuring
from ticketzoo.training.scores import MaskLearner


class AsIsConfig(MethodConfig):
    """A method whose tickets are masks of untrained weights.

    Attributes:
        training: how the mask is trained: length, batch size, optimizer and so on; by default as the dense network.
    """

    training: TrainingConfig | None = None

    @property
    def trains_a_mask(self) -> bool:
        """True where masks are trained, and not made by a criterion."""
        return False

    def frozen_weights(self, state: State, masks: Masks) -> State:
        """Return the weights among which masks of the size of `masks` are sought, made of an initialisation."""
        return state

    def learner(self, masks: Masks) -> MaskLearner:
        """Return what finds masks of the size of `masks`. Raises RecipeError where none is trained."""
        raise RecipeError(f"arms: shuffled_labels trains a mask, and method {self.method} trains none: leave it out")

    def shown(self, state: State, masks: Masks) -> State:
        """Return the weights that the network of `masks` computes with, made of an initialisation."""
        return self.learner(masks).shown(self.frozen_weights(state, masks), masks)


def sizes(masks: Masks) -> dict[str, int]:
    """Return how many weights the masks keep, by parameter name."""
    return {name: int(mask.count_nonzero()) for name, mask in masks.items()}


def with_statistics(lab: Lab, masks: Masks, start: Start) -> Start:
    """Return `start` with running statistics of batch normalisation gathered under `masks`; itself if it has none."""
    if measuring(start.state) == NOTHING:
        return start
    gathered = lab.train(masks, start, learn=STATISTICS, what="statistics").end(count_from=0)
    return replace(start, read=partial(_normalised, start, gathered))


def _normalised(start: Start, gathered: Start) -> State:
    """Return the state of `start` with the running statistics of `gathered`."""
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    state, statistics = start.state, gathered.state
    made = state | {name: tensor for name, tensor in statistics.items() if name.endswith(buffers)}
    return Unknown(made) if isinstance(state, Unknown) or isinstance(statistics, Unknown) else made


def check_neutral(lab: Lab, method: str) -> None:
    """Raise RecipeError unless biases start at 0 and scales of normalisation at 1: no mask chooses among them.

    Of a head that is yet to be trained nothing is known, so nothing is refused.
    """
    if isinstance(lab.initial.state, Unknown):
        return
    masks = lab.dense
    for path, module in lab.probe(lab.initial, masks).model().named_modules():
        for name, parameter in module.named_parameters(path, recurse=False):
            neutral = 1.0 if isinstance(module, _BatchNorm) and name.endswith("weight") else 0.0
            if name in masks or not (name.endswith("bias") or neutral) or bool((parameter == neutral).all()):
                continue
            what = f"{method} seeks masks of weights alone, but '{name}' is not {neutral:g} throughout"
            advice = "set model.kwargs.init to kaiming_normal, or finder.method to mask-training of a pretrained model"
            raise RecipeError(f"finder.method: {what}: {advice}")
