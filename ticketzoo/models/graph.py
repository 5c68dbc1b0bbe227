"""The graph of a network's forward pass, traced by `torch.fx`."""

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node, Tracer
from torch.fx.passes.shape_prop import ShapeProp

from ticketzoo.errors import ModelError

_ADDITIONS = {"add", "add_", "iadd"}


def traced(model: nn.Module, inputs: Tensor | None = None) -> Graph:
    """Return the graph of `model`, whose layers are its leaves; random numbers are drawn on as if it were not traced.

    Args:
        model: any network.
        inputs: what it takes; if given, every node has the shape of its output, as `tensor_meta`.

    Raises:
        ModelError: the forward pass needs values, or fails.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            graph = Tracer().trace(model)
            if inputs is not None:
                model(inputs)  # as what fails in ShapeProp is printed
                ShapeProp(GraphModule(model, graph)).propagate(inputs)
    except Exception as error:  # anything a user's forward may raise for want of values
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{type(model).__name__}: its graph cannot be followed: {first[:200]}") from None
    return graph


def called(node: Node) -> str:
    """Return the name of the function, method or module that a node calls."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def is_sum(node: Node) -> bool:
    """Tell whether a node adds what it reads."""
    return node.op in ("call_function", "call_method") and called(node) in _ADDITIONS
