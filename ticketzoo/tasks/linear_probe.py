"""Features of a network, and the accuracy on them of a linear classifier."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ticketzoo.masks.plain import plain_model
from ticketzoo.models import head_modules
from ticketzoo.models.state import live_state
from ticketzoo.seeds import derive_seed

ITERATIONS = 200
"""Of the classifier's optimiser, at most."""


@contextmanager
def features_of(model: nn.Module) -> Iterator[Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Give a function of images to features, float [b, d], and to what the model makes of them, without gradients.

    Features are what the head reads: a projection head is no part of them.
    """
    plain = plain_model(model)
    seen: list[Tensor] = []
    head = plain.get_submodule(head_modules(plain)[0])
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def features(images: Tensor) -> tuple[Tensor, Tensor]:
        seen.clear()
        with torch.no_grad():
            made = plain(images)
        return seen[0].flatten(1), made

    try:
        yield features
    finally:
        hook.remove()


@contextmanager
def untrained(model: nn.Module, draw: int = 0) -> Iterator[bool]:
    """Have `model` hold weights that nobody trained: normal, of variance 2 / fan in; tell whether it does.

    They follow from `draw`. Scales of normalisations are 1, biases and running means 0. A model whose weights are made
    of others is left as it is. Afterwards it has its own again.
    """
    state = live_state(plain_model(model))
    if any(parametrize.is_parametrized(module) for module in model.modules()):
        yield False
        return
    kept = {name: tensor.detach().clone() for name, tensor in state.items()}
    generator = torch.Generator().manual_seed(derive_seed(0, "untrained", *([draw] if draw else [])))
    try:
        with torch.no_grad():
            for name, tensor in state.items():
                if tensor.dim() > 1:
                    fan_in = tensor[0].numel()
                    tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5)
                else:
                    tensor.fill_(name.endswith((".weight", "running_var")))
        yield True
    finally:
        with torch.no_grad():
            for name, tensor in state.items():
                tensor.copy_(kept[name])


def linear_accuracy(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> float:
    """Return the share of test features that a logistic regression on training features classifies right.

    By scikit-learn: features standardised by those of training, an L2 penalty of 1, 200 iterations of L-BFGS at most.

    Args:
        train: float [n, d].
        labels: int64 [n].
        test: float [m, d].
        truth: int64 [m].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(train.double().numpy(), labels.numpy())
    return float((torch.from_numpy(probe.predict(test.double().numpy())) == truth).double().mean())
