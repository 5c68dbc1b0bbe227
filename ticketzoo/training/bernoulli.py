"""Learned Bernoulli masks: the weights stay as they are, and training finds the probability of keeping each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketzoo.distributed import processes
from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.attach import Masked
from ticketzoo.masks.masks import Masks, kept
from ticketzoo.models.state import State, copy_state
from ticketzoo.seeds import derive_seed
from ticketzoo.training.parametrisation import PARAMETRISATIONS, Learned
from ticketzoo.training.scores import check_numbers, parametrizations, place_of


@PARAMETRISATIONS.add(
    "bernoulli", cite="Zhou et al. 2019, section 5", words="the probability of keeping each weight, of which none moves"
)
@dataclass(frozen=True)
class Bernoulli:
    """Learn a logit a of each weight, from 0: in every batch the network keeps the weight with probability sigmoid(a).

    The gradient passes straight through the sample: it is dL/d(effective w) * w * p (1 - p), also where the weight was
    not sampled. Measured is the mask of the logits above 0; those that had no gradient, as of pixels that are always
    0, stay at 0 and go. Samples follow from the seed and the number of the batch, in all processes alike.

    Attributes:
        rescaled: divide each layer's weights by the fraction of them that was sampled, or is kept ("dynamic weight
            rescaling"); the gradient passes through that fraction, too.
    """

    name: ClassVar[str] = "bernoulli"
    masked: ClassVar[Masked] = "zero"

    rescaled: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """Return its name, and whether it rescales."""
        return {"learn": {"name": self.name} | ({"rescaled": True} if self.rescaled else {})}

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Give each weight of the masked parameters a logit; return the logits.

        Raises RecipeError where `masks` leave out weights: which may be kept is what is learned.
        """
        model.requires_grad_(False)
        logits = []
        for name, mask in masks.items():
            if not mask.all():
                what = f"bernoulli learns which of all weights of '{name}' are kept"
                raise RecipeError(f"{what}: give no mask that leaves out some")
            owner, weight = place_of(model, name)
            sampled = Sampled(owner.get_parameter(weight), derive_seed(seed, "bernoulli", name), self.rescaled)
            parametrize.register_parametrization(owner, weight, sampled, unsafe=True)
            logits.append(sampled.logits)
        return logits

    def learned(self, model: nn.Module) -> Learned:
        """Return what the network computes with, the mask of logits above 0, and the logits.

        Raises RunError on NaN.
        """
        sampled = parametrizations(model, Sampled)
        logits = {name: one.logits.detach().cpu().contiguous() for name, one in sampled.items()}
        check_numbers(logits, "logits")
        masks = {name: one > 0 for name, one in logits.items()}
        return Learned(self.shown(copy_state(model), masks), masks, {"logits": logits})

    def shown(self, state: State, masks: Masks) -> State:
        """Return the weights that the network of `masks` computes with, of those among which they were sought."""
        if not self.rescaled:
            return state
        return state | {name: state[name] * _factor(mask.to(state[name])) for name, mask in masks.items()}


def sampled_masks(logits: Mapping[str, Tensor], seed: int) -> Masks:
    """Return masks that keep each weight with the probability sigmoid(logit).

    Raises RunError where none is kept.
    """
    masks = {}
    for name, one in logits.items():
        generator = torch.Generator().manual_seed(derive_seed(seed, name))
        masks[name] = torch.rand(one.shape, generator=generator) < one.sigmoid()
    if not kept(masks):
        raise RunError("a sample of the learned mask keeps no weight; train longer")
    return masks


def effective(weights: Tensor, probabilities: Tensor, sample: Tensor, *, rescaled: bool) -> Tensor:
    """Return what the network computes with, of a sample that is 1.0 where a weight is kept and else 0.0.

    The gradient of the probabilities is that of the sample.
    """
    mask: Tensor = _StraightThrough.apply(probabilities, sample)
    return weights * mask * _factor(mask) if rescaled else weights * mask


def _factor(mask: Tensor) -> Tensor:
    """Return the number of weights over that of those kept, at least one."""
    wide = torch.promote_types(mask.dtype, torch.float32)  # float16 counts to 65,504
    return mask.numel() / mask.sum(dtype=wide).clamp(min=1)


class _StraightThrough(torch.autograd.Function):
    """The sample; to gradients, the probabilities."""

    @staticmethod
    def forward(context: Any, probabilities: Tensor, sample: Tensor) -> Tensor:
        return sample

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class Sampled(nn.Module):
    """The logits of one weight tensor; in training a sample of the weights, else those with logits above 0."""

    def __init__(self, weights: Tensor, seed: int, rescaled: bool) -> None:
        super().__init__()
        self.logits, self.seed, self.rescaled = nn.Parameter(torch.zeros_like(weights)), seed, rescaled
        self.samples: Tensor
        self.register_buffer("samples", torch.zeros((), dtype=torch.int64))

    def forward(self, weights: Tensor) -> Tensor:
        """Return what the network computes with."""
        probabilities = self.logits.sigmoid()
        kept = self._sample(probabilities) if self.training else (self.logits.detach() > 0).to(weights.dtype)
        return effective(weights, probabilities, kept, rescaled=self.rescaled)

    @torch.no_grad()
    def _sample(self, probabilities: Tensor) -> Tensor:
        if self.logits.is_cuda and processes.count() == 1:  # as captured updates draw
            return torch.rand_like(self.logits).lt_(probabilities)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, int(self.samples)))
        self.samples += 1
        drawn = torch.rand(self.logits.shape, generator=generator)
        return drawn.to(self.logits.device).lt_(probabilities)
