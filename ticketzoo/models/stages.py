"""The units that a network repeats, stage by stage: what can be copied to make it deeper."""

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.body import body_of

Stages = list[list[str]]
"""Names of modules, in order. The first of each stage is there in every network of the family; others are repeated."""


def stages_of(model: nn.Module) -> Stages:
    """Return the stages of a network, by names in a ticket.

    A network of ours states them by a method `unit_stages`: residual blocks, convolutions with their norm, linear
    layers. Of a model of `transformers` they are its layers, in one stage.

    Raises:
        ModelError: it repeats nothing that is known.
    """
    stated = getattr(type(model), "unit_stages", None)
    if stated is not None:
        return [list(stage) for stage in stated(model)]
    depth = getattr(getattr(model, "config", None), "num_hidden_layers", None)
    body = body_of(model)
    stacks = [
        name for name, part in body.named_modules() if isinstance(part, nn.ModuleList) and name and len(part) == depth
    ]
    if depth is None or not stacks:
        kind = type(model).__name__
        raise ModelError(f"{kind} has no units that it repeats; mlp, resnet-*, vgg-* and transformers/* have")
    return [[f"{stacks[0]}.{number}" for number in range(depth)]]
