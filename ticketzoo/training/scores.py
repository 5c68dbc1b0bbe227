"""Edge-popup: the weights stay as they were drawn, and training finds the mask."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.attach import Masked
from ticketzoo.masks.masks import Masks
from ticketzoo.models.state import copy_state
from ticketzoo.seeds import derive_seed
from ticketzoo.training.parametrisation import PARAMETRISATIONS, Learned


@PARAMETRISATIONS.add(
    "edge-popup", cite="Ramanujan et al. 2020, section 3", words="a score of each weight; the weights are frozen"
)
@dataclass(frozen=True)
class EdgePopup:
    """Learn a score s of each weight w: the network computes with w where |s| is among its layer's highest, else 0.

    Scores start uniform in +-1 / sqrt(fan in). Their gradient passes straight through the selection: it is
    dL/d(effective w) * w * sign(s), of kept and of pruned weights alike. The count is exact in every forward pass; of
    equal |s| the later in the layer is kept. Everything that has no score, biases and scales of normalisation too,
    stays as it started; running statistics are gathered. The paper's networks have no biases and unit scales, as those
    of the initialisations `kaiming_normal` and `signed_kaiming_constant`.

    Attributes:
        kept: how many weights of each layer are kept, by parameter name: see `counts`.
    """

    name: ClassVar[str] = "edge-popup"
    masked: ClassVar[Masked] = "zero"

    kept: Mapping[str, int]

    @property
    def identity(self) -> dict[str, Any]:
        """Return its name and the counts."""
        return {"learn": {"name": self.name, "kept": dict(self.kept)}}

    def install(self, model: nn.Module, masks: Masks, seed: int) -> list[nn.Parameter]:
        """Give each weight in `kept` a score; return the scores.

        masks: weights that may be kept, of the same parameters as `kept`.

        Raises RecipeError where `kept` names other parameters than `masks`, or not 1 to all of a layer's weights.
        """
        _check_counts(self.kept, masks)
        model.requires_grad_(False)
        scores = []
        for name, eligible in masks.items():
            module, _, weight = name.rpartition(".")
            owner = model.get_submodule(module)
            drawn = _initial_scores(owner.get_parameter(weight), derive_seed(seed, "scores", name))
            popup = _Popup(drawn, eligible.to(drawn.device), self.kept[name])
            parametrize.register_parametrization(owner, weight, popup, unsafe=True)
            scores.append(popup.scores)
        return scores

    def learned(self, model: nn.Module) -> Learned:
        """Return the frozen weights with the statistics gathered, the masks and the scores; raises RunError on NaN."""
        popups = {name: _popup_of(model, name) for name in self.kept}
        scores = {name: popup.scores.detach().cpu().contiguous() for name, popup in popups.items()}
        if unfit := [name for name, values in scores.items() if values.isnan().any()]:
            raise RunError(f"scores of '{unfit[0]}' are NaN: training diverged; lower training.optimizer.lr")
        masks = {name: popup.mask().cpu().contiguous() for name, popup in popups.items()}
        return Learned(copy_state(model), masks, {"scores": scores})


def counts(masks: Masks, density: float) -> dict[str, int]:
    """Return the fraction `density` of each layer's kept weights as a count (round half to even), by parameter name."""
    return {name: round(density * int(mask.count_nonzero())) for name, mask in masks.items()}


def highest(magnitudes: Tensor, count: int) -> Tensor:
    """Return where the `count` highest of `magnitudes` are, as bool of their shape; of equal ones the later."""
    flat = magnitudes.detach().flatten()
    gone = len(flat) - count
    if gone == 0:
        return torch.ones_like(magnitudes, dtype=torch.bool)
    if flat.device.type != "cpu":
        return unseen_highest(flat, count).view(magnitudes.shape)
    # numpy's partition takes a tenth of the time that kthvalue does
    below = torch.tensor(np.partition(flat.numpy(), gone - 1)[gone - 1])
    keep = flat > below
    missing = count - int(keep.count_nonzero())
    if missing:
        ties = (flat == below).nonzero().flatten()
        keep[ties[len(ties) - missing :]] = True
    return keep.view(magnitudes.shape)


def unseen_highest(flat: Tensor, count: int) -> Tensor:
    """Return what `highest` does of [n] with n > `count`, without a look at any number from Python."""
    below = flat.kthvalue(len(flat) - count).values
    keep, ties = flat > below, flat == below
    missing = count - keep.count_nonzero()
    return keep | (ties & (ties.flip(0).cumsum(0).flip(0) <= missing))


class _StraightThrough(torch.autograd.Function):
    """1.0 for the highest magnitudes, 0.0 for the others; to gradients, the identity."""

    @staticmethod
    def forward(context: Any, magnitudes: Tensor, count: int) -> Tensor:
        return highest(magnitudes, count).to(magnitudes.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Popup(nn.Module):
    """The scores of one weight tensor, and the weights that they leave of it."""

    def __init__(self, scores: Tensor, eligible: Tensor, count: int) -> None:
        super().__init__()
        self.scores, self.count = nn.Parameter(scores), count
        self.excluded: Tensor | None
        self.register_buffer("excluded", None if eligible.all() else ~eligible, persistent=False)

    @torch.compiler.disable
    def forward(self, weights: Tensor) -> Tensor:
        """Return `weights` where their scores are among the highest, 0.0 elsewhere."""
        return weights * _StraightThrough.apply(self._magnitudes(), self.count)

    def mask(self) -> Tensor:
        """Return which weights are kept, as bool."""
        return highest(self._magnitudes(), self.count)

    def _magnitudes(self) -> Tensor:
        magnitudes = self.scores.abs()
        return magnitudes if self.excluded is None else magnitudes.masked_fill(self.excluded, -1.0)


def _popup_of(model: nn.Module, name: str) -> _Popup:
    module, _, weight = name.rpartition(".")
    parametrized: Any = model.get_submodule(module).parametrizations
    popup: _Popup = parametrized[weight][0]
    return popup


def _initial_scores(weight: Tensor, seed: int) -> Tensor:
    """Draw scores for `weight`, uniform in +-1 / sqrt(fan in)."""
    scores = torch.empty(weight.shape, dtype=weight.dtype)
    nn.init.kaiming_uniform_(scores, a=math.sqrt(5), generator=torch.Generator().manual_seed(seed))
    return scores.to(weight.device)


def _check_counts(kept: Mapping[str, int], masks: Masks) -> None:
    if kept.keys() != masks.keys():
        differing = ", ".join(sorted(kept.keys() ^ masks.keys()))
        raise RecipeError(
            f"edge-popup needs a count and a mask of the same parameters; only one is given of {differing}"
        )
    for name, mask in masks.items():
        if mask.dim() < 2:
            raise RecipeError(f"edge-popup scores weights of two dimensions and more, and '{name}' has one: exclude it")
        most = int(mask.count_nonzero())
        if not 1 <= kept[name] <= most:
            raise RecipeError(f"edge-popup: cannot keep {kept[name]} weights of '{name}'; choose 1 to {most}")
