"""The criterion `sparsegpt`: layers solved block of columns by block, the other weights making up (Frantar 2023)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ticketzoo.errors import RunError
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.topk import keep_highest
from ticketzoo.models.layers import is_conv1d
from ticketzoo.models.state import State
from ticketzoo.pruning.block_walk import walk
from ticketzoo.pruning.criteria import CRITERIA, OnTheWay, Ranking
from ticketzoo.pruning.probe import Probe
from ticketzoo.pruning.wanda import CalibratedConfig


class SparseGPTConfig(CalibratedConfig):
    """The keys of criterion `sparsegpt`.

    Attributes:
        name: name of the criterion.
        update: whether the ticket starts from the weights that make up for those that went; otherwise the masks alone
            count.
        columns: inputs that are chosen among together.
        damping: what is added to the diagonal of the Hessian, as a fraction of its mean.
    """

    name: str = "sparsegpt"
    update: bool = True
    columns: Annotated[int, Field(ge=1, le=65_536)] = 128
    damping: Annotated[float, Field(ge=0)] = 0.01


@CRITERIA.add(
    "sparsegpt",
    config=SparseGPTConfig,
    cite="Frantar & Alistarh 2023, section 3",
    words="smallest error of the layer's output, the other weights making up",
    inverts=False,
    scored_anew=False,
    of_single_weights=True,
    in_order=True,
    scope="layerwise",
)
def sparsegpt(probe: Probe, config: SparseGPTConfig, on_the_way: OnTheWay) -> Ranking:
    """Remove the weights with the smallest w^2 / U_cc^2, and update those of later columns, the blocks in order.

    U is the upper Cholesky factor of the inverse of H = 2 X X^T, damped. Among `columns` columns of a layer that many
    go as its share says. Inputs come through the blocks before, which are pruned and updated by then.

    Raises:
        RunError: a layer is not linear, or its Hessian cannot be inverted.
    """
    masks: Masks = {}
    values: State = {}
    for block in walk(probe, config.sequences, "sparsegpt"):
        for name, layer in block.layers.items():
            if not (isinstance(layer, nn.Linear) or is_conv1d(layer)):
                kind = type(layer).__name__
                raise RunError(f"sparsegpt solves linear layers, and '{name}' is of {kind}: add it to finder.exclude")
        hessians = block.summed(lambda inputs: 2 * inputs.T @ inputs)
        for name, layer in block.layers.items():
            turned = is_conv1d(layer)
            weight = block.weight(name)
            rows = weight.detach().float().cpu()
            rows = rows.T if turned else rows
            try:
                found, updated = solved(rows, hessians.pop(name), on_the_way.keep[name], config.columns, config.damping)
            except torch.linalg.LinAlgError:
                advice = "raise finder.prune.criterion.damping or sequences"
                raise RunError(f"sparsegpt: the inputs of '{name}' do not span its columns: {advice}") from None
            masks[name], updated = (one.T.contiguous() if turned else one for one in (found, updated))
            weight.data.copy_(updated)
            if config.update:
                values[name] = updated.to(weight.dtype)
    return Ranking({}, masks=masks, values=values)


def solved(weight: Tensor, hessian: Tensor, keep: int, columns: int, damping: float) -> tuple[Tensor, Tensor]:
    """Return the mask, bool, and the updated weights of a linear layer, both [outputs, inputs].

    Args:
        weight: float32 [outputs, inputs].
        hessian: float32 [inputs, inputs], 2 X X^T.
        keep: number of weights that stay.
        columns: inputs that are chosen among together.
        damping: see `SparseGPTConfig`.

    Raises:
        LinAlgError: the Hessian is not positive definite.
    """
    weight, outputs, inputs = weight.clone(), *weight.shape
    dead = hessian.diagonal() == 0
    hessian = hessian + torch.diag(dead.float())
    weight[:, dead] = 0
    hessian = hessian + damping * hessian.diagonal().mean() * torch.eye(inputs)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    factor = torch.linalg.cholesky(inverse, upper=True)
    if not bool(factor.isfinite().all()):
        raise torch.linalg.LinAlgError("not positive definite")
    mask = torch.zeros(outputs, inputs, dtype=torch.bool)
    done = 0
    for start in range(0, inputs, columns):
        stop = min(start + columns, inputs)
        here = factor[start:stop, start:stop]
        part, errors = weight[:, start:stop].clone(), torch.zeros(outputs, stop - start)
        stay = keep * stop // inputs - done
        done += stay
        scores = part.square() / here.diagonal().square()
        mask[:, start:stop] = keep_highest({"": scores}, {"": torch.ones_like(scores, dtype=torch.bool)}, stay)[""]
        for column in range(stop - start):
            kept = part[:, column] * mask[:, start + column]
            errors[:, column] = (part[:, column] - kept) / here[column, column]
            part[:, column:] -= errors[:, column : column + 1] * here[column, column:]
            part[:, column] = kept
        weight[:, start:stop] = part
        weight[:, stop:] -= errors @ factor[start:stop, stop:]
    return mask, weight
