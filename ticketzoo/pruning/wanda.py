"""The criterion `wanda`: magnitude times the norm of the input, block by block (Sun et al. 2024)."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from ticketzoo.masks.masks import Masks
from ticketzoo.models.layers import is_conv1d
from ticketzoo.pruning.block_walk import Block, walk
from ticketzoo.pruning.criteria import CRITERIA, CriterionConfig, OnTheWay, Ranking
from ticketzoo.pruning.probe import Probe


class CalibratedConfig(CriterionConfig):
    """The keys of a criterion that looks at the inputs of layers.

    Attributes:
        name: name of the criterion.
        sequences: training examples that the inputs are of: blocks of text of the task's length.
    """

    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 128


class WandaConfig(CalibratedConfig):
    """The keys of criterion `wanda`.

    Attributes:
        name: name of the criterion.
    """

    name: str = "wanda"


@CRITERIA.add(
    "wanda",
    config=WandaConfig,
    cite="Sun et al. 2024, section 3",
    words="smallest product of magnitude and the norm of the input",
    inverts=False,
    scored_anew=False,
    in_order=True,
    scope="rows",
)
def wanda(probe: Probe, config: WandaConfig, on_the_way: OnTheWay) -> Ranking:
    """Score by |w| times the L2 norm of its input over all tokens, the blocks in order.

    The inputs of a block are those that come through the blocks before it, which are pruned by then. In memory are the
    network, and of one block inputs and scores.
    """
    masks: Masks = {}
    for block in walk(probe, config.sequences, "wanda"):
        found = on_the_way.best(wanda_scores(block))
        for name, mask in found.items():
            block.weight(name).data.masked_fill_(~mask.to(block.weight(name).device), 0)
        masks |= found
    return Ranking({}, masks=masks)


def wanda_scores(block: Block) -> dict[str, Tensor]:
    """Return |w| times the norm of its input, float32 of the parameter's shape, of every layer of a block."""
    squares = block.summed(lambda inputs: inputs.square().sum(0))
    return {name: _score(block, name, squares[name].sqrt()) for name in block.layers}


def _score(block: Block, name: str, norms: Tensor) -> Tensor:
    layer = block.layers[name]
    weight = block.weight(name).detach().float().cpu().abs()
    if is_conv1d(layer):
        return weight * norms[:, None]
    groups = getattr(layer, "groups", 1)
    if groups > 1:  # each output sees the inputs of its group
        norms = norms.view(groups, -1).repeat_interleave(weight.shape[0] // groups, 0)
        return weight * norms.view(*norms.shape, *[1] * (weight.dim() - 2))
    return weight * norms.view(-1, *[1] * (weight.dim() - 2))
