"""A projection head in the place of an image network's last layer: SimCLR, Chen et al. 2020 (arXiv 2002.05709)."""

from torch import nn

from ticketzoo.errors import ModelError
from ticketzoo.models.layers import head_of


def add_projection(model: nn.Module, hidden: int, name: str) -> None:
    """Put a layer of `hidden` units and ReLU before the last layer of `model`, which keeps its outputs, in place.

    The two layers are the head, `head_modules(model)`, which is not pruned; what it reads are the network's features.

    Raises:
        ModelError: the last layer of the architecture `name` is not linear.
    """
    head = head_of(model)
    last = model.get_submodule(head)
    if not isinstance(last, nn.Linear):
        raise ModelError(f"{name} ends in {type(last).__name__}, and a projection head takes the place of a Linear")
    layers = nn.Linear(last.in_features, hidden), nn.ReLU(), nn.Linear(hidden, last.out_features)
    model.set_submodule(head, nn.Sequential(*layers))
    model.head_layers = model.unpruned_layers = (head,)  # type: ignore[assignment]
