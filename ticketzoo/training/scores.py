"""Masks by scores: the weights stay as they are, and training finds which of them the network computes with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.attach import Masked
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import State, copy_state
from ticketzoo.seeds import derive_seed
from ticketzoo.training.parametrisation import PARAMETRISATIONS, Learned, Parametrisation
from ticketzoo.training.popup import Effective, Popup

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class MaskLearner(Parametrisation, Protocol):
    """A parametrisation that learns which weights are kept."""

    def shown(self, state: State, masks: Masks) -> State:
        """Return the weights that the network of `masks` computes with, of those among which they were sought."""
        ...


@dataclass(frozen=True)
class Scores:
    """Learn a score of each weight: the network computes with the weights of its layer's highest scores.

    The gradient of a score passes straight through the selection, of kept and of pruned weights alike. The count is
    exact in every forward pass; of equal scores the later in the layer is kept. Everything that has no score stays as
    it started; running statistics are gathered.

    Attributes:
        kept: how many weights of each layer are kept, by parameter name: see `counts`.
    """

    name: ClassVar[str]
    masked: ClassVar[Masked] = "zero"
    by_magnitude: ClassVar[bool] = True
    """Whether the highest |s| are kept, or the highest s."""

    kept: Mapping[str, int]

    @property
    def identity(self) -> dict[str, Any]:
        """Return its name and what it was made with; the counts by parameter name."""
        return {"learn": {"name": self.name, "kept": dict(self.kept)}}

    @property
    def effective_of(self) -> Effective | None:
        """Return what makes of kept weights those that the network computes with; None where they are the same."""
        return None

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Give each weight in `kept` a score; return the scores.

        masks: weights that may be kept, of the same parameters as `kept`.

        Raises RecipeError where `kept` names other parameters than `masks`, or not 1 to all of a layer's weights.
        """
        _check_counts(self.name, self.kept, masks)
        model.requires_grad_(False)
        scores = []
        for name, eligible in masks.items():
            owner, weight = place_of(model, name)
            weights = owner.get_parameter(weight)
            drawn = self.drawn(weights, eligible, name, derive_seed(seed, "scores", name)).to(weights.device)
            popup = Popup(drawn, eligible.to(drawn.device), self.kept[name], self.effective_of, self.by_magnitude)
            popup.put_on(owner, weight)
            scores.append(popup.scores)
        return scores

    def learned(self, model: nn.Module) -> Learned:
        """Return what the network computes with, the statistics gathered and the masks; raises RunError on NaN."""
        popups = parametrizations(model, Popup)
        scores = {name: popup.scores.detach().cpu().contiguous() for name, popup in popups.items()}
        check_numbers(scores, "scores")
        masks = {name: popup.mask().cpu().contiguous() for name, popup in popups.items()}
        return Learned(self.shown(copy_state(model), masks), masks, self.kept_beside(scores))

    def shown(self, state: State, masks: Masks) -> State:
        """Return the weights that the network of `masks` computes with, of those among which they were sought."""
        return state

    def kept_beside(self, scores: State) -> Mapping[str, State]:
        """Return the further tensors to keep."""
        return {}

    def drawn(self, weights: Tensor, eligible: Tensor, name: str, seed: int) -> Tensor:
        """Return the scores that training starts from: uniform in +-1 / sqrt(fan in)."""
        scores = torch.empty(weights.shape, dtype=weights.dtype)
        nn.init.kaiming_uniform_(scores, a=math.sqrt(5), generator=torch.Generator().manual_seed(seed))
        return scores


@PARAMETRISATIONS.add(
    "edge-popup", cite="Ramanujan et al. 2020, section 3", words="a score of each weight; the weights are frozen"
)
@dataclass(frozen=True)
class EdgePopup(Scores):
    """Learn a score s of each weight w: the network computes with w where |s| is among its layer's highest, else 0.

    The gradient of a score is dL/d(effective w) * w * sign(s). The paper's networks have no biases and unit scales of
    normalisation, as those of the initialisations `kaiming_normal` and `signed_kaiming_constant`.
    """

    name: ClassVar[str] = "edge-popup"

    def kept_beside(self, scores: State) -> Mapping[str, State]:
        """Return the scores."""
        return {"scores": scores}


@PARAMETRISATIONS.add(
    "biprop", cite="Diffenderfer & Kailkhura 2021", words="a score of each weight, of which the sign counts"
)
@dataclass(frozen=True)
class Biprop(Scores):
    """Edge-popup of binary weights: the network computes with a * sign(w), a being the mean of the kept |w| of a layer.

    That is worked out anew in every forward pass. The gradient of a score is edge-popup's, with the w that was drawn
    (a first version of their code left out |w|), and passes by a. A w of 0 has the sign +.

    Attributes:
        kept: how many weights of each layer are kept, by parameter name.
        norms: also learn scales and shifts of batch normalisation (their "+BN").
    """

    name: ClassVar[str] = "biprop"

    norms: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """Return its name, the counts, and whether scales are learned."""
        learn = {"name": self.name, "kept": dict(self.kept)}
        return {"learn": learn | ({"norms": True} if self.norms else {})}

    @property
    def effective_of(self) -> Effective:
        """Return `effective`."""
        return self.effective

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Give each weight in `kept` a score; return the scores and, with `norms`, scales and shifts."""
        norms = [one for one in model.modules() if self.norms and isinstance(one, _BatchNorm)]
        return super().install(model, masks, seed) + [one for norm in norms for one in norm.parameters()]

    def shown(self, state: State, masks: Masks) -> State:
        """Return a * sign(w) in the place of w, of kept and of pruned weights."""
        return state | {name: binary(state[name], mask.to(state[name])) for name, mask in masks.items()}

    @staticmethod
    def effective(weights: Tensor, kept: Tensor) -> Tensor:
        """Return a * sign(w) where it is kept, else 0."""
        return kept.mul_(_mean_kept(weights, kept)).copysign_(weights + 0.0)


def binary(weights: Tensor, kept: Tensor) -> Tensor:
    """Return a * sign(w), a being the mean of |w| where the floats `kept` are 1, and sign(0) +1, also of -0.0."""
    return torch.copysign(_mean_kept(weights, kept).to(weights.dtype).expand_as(weights), weights + 0.0)


def _mean_kept(weights: Tensor, kept: Tensor) -> Tensor:
    wide = torch.promote_types(weights.dtype, torch.float32)  # float16 counts to 65,504
    return torch.dot(weights.abs().flatten().to(wide), kept.flatten().to(wide)) / kept.sum(dtype=wide).clamp(min=1)


def counts(masks: Masks, density: float) -> dict[str, int]:
    """Return the fraction `density` of each layer's kept weights as a count (round half to even), by parameter name."""
    return {name: round(density * int(mask.count_nonzero())) for name, mask in masks.items()}


def parametrizations(model: nn.Module, kind: type[ModuleT]) -> dict[str, ModuleT]:
    """Return the parametrizations of a kind on parameters of `model`, by parameter name."""
    found = {path: module for path, module in model.named_modules() if isinstance(module, kind)}
    return {path.replace("parametrizations.", "").removesuffix(".0"): module for path, module in found.items()}


def place_of(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Return the module that owns the parameter `name`, and its name there."""
    module, _, weight = name.rpartition(".")
    return model.get_submodule(module), weight


def check_numbers(tensors: State, what: str) -> None:
    """Raise RunError where `tensors` of scores are NaN."""
    if unfit := [name for name, values in tensors.items() if values.isnan().any()]:
        raise RunError(f"{what} of '{unfit[0]}' are NaN: training diverged; lower training.optimizer.lr")


def _check_counts(learn: str, kept: Mapping[str, int], masks: Masks) -> None:
    if kept.keys() != masks.keys():
        differing = ", ".join(sorted(kept.keys() ^ masks.keys()))
        raise RecipeError(f"{learn} needs a count and a mask of the same parameters; only one is given of {differing}")
    for name, mask in masks.items():
        if mask.dim() < 2:
            raise RecipeError(f"{learn} scores matrices and kernels: leave '{name}' out of finder.include")
        most = int(mask.count_nonzero())
        if not 1 <= kept[name] <= most:
            raise RecipeError(f"{learn}: cannot keep {kept[name]} weights of '{name}'; choose 1 to {most}")
