"""Views of a network for a criterion: weights, where they came from, gradients, curvature, norms of inputs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.masks.attach import attach
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models import create_from_architecture, load_model_state
from ticketzoo.models.state import State
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task

Remember = Callable[[str, Mapping[str, Any], Callable[[], State]], State]
"""`remember(kind, specification, compute)`: tensors that are computed once and kept under their specification."""


class HasState(Protocol):
    """Something that gives parameters and buffers when asked."""

    @property
    def state(self) -> State:
        """Parameters and buffers, by name."""
        ...


BATCH = 128
"""Examples in a batch that scores are computed on."""


class Probe(Protocol):
    """A network at the moment of pruning."""

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """Parameters and buffers, by name."""
        ...

    @property
    def start(self) -> Mapping[str, Tensor]:
        """The weights that their training started from."""
        ...

    @property
    def masks(self) -> Masks:
        """Bool masks of the prunable parameters, True = kept."""
        ...

    @property
    def seed(self) -> int:
        """Of the recipe's run."""
        ...

    def model(self) -> nn.Module:
        """Return the network, masked, in training mode: a new one at each call."""
        ...

    def gradients(self, batches: int = 1) -> State:
        """Return the gradient of the task's mean loss over `batches` batches, for every masked parameter."""
        ...

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Return the Hessian of that loss times `vector`, for every masked parameter."""
        ...

    def input_norms(self, batches: int = 1) -> State:
        """Return the L2 norm of each input of the layers with a masked weight, over examples and positions."""
        ...


@dataclass(frozen=True)
class Weights:
    """A `Probe` of weights alone, for criteria that need neither model nor data. All else raises RunError."""

    weights: Mapping[str, Tensor]
    masks: Masks
    start: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int = 0

    def model(self) -> nn.Module:
        """Raise RunError: there is none."""
        raise RunError("this criterion needs the model and its data, and only weights are given")

    def gradients(self, batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs gradients, and only weights are given")

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs second derivatives, and only weights are given")

    def input_norms(self, batches: int = 1) -> State:
        """Raise RunError: there is no model."""
        raise RunError("this criterion needs the inputs of layers, and only weights are given")


@dataclass(frozen=True)
class TaskProbe:
    """A `Probe` of a network trained on `task`, computed on `device` and remembered.

    Batches are of the task's training split, in an order that belongs to scores alone. The model is in training mode;
    what BatchNorm's running statistics come to is thrown away. Of several processes each computes its share of a batch,
    and all end with the same bits.
    """

    architecture: dict[str, Any]
    task: Task
    weights: State
    started: HasState
    """What the training of the weights began with; read when a criterion asks for `start`."""
    masks: Masks
    seed: int
    device: torch.device
    remember: Remember

    @property
    def start(self) -> State:
        """The weights that their training started from."""
        return self.started.state

    def model(self) -> nn.Module:
        """Return the network, masked, in training mode, on the CPU or GPU of the run."""
        model = create_from_architecture(self.architecture, seed=0)
        load_model_state(model, self.weights)
        model.to(self.device)
        attach(model, self.masks)
        return model.train()

    def gradients(self, batches: int = 1) -> State:
        """Return the gradient of the mean loss over `batches` batches of 128 at the weights, on the CPU, as float32.

        The gradient of a pruned weight is 0.
        """
        return self._remembered("gradients", batches, self._gradients)

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Return the Hessian of the mean loss over `batches` batches times `vector`, on the CPU, as float32.

        The product is that of the kept weights alone, by a second backward pass (Pearlmutter 1994).
        """
        key = {"vector": state_sha256(dict(vector))}
        return self._remembered("hessian-vector", batches, lambda count: self._hessian_vector(vector, count), key)

    def input_norms(self, batches: int = 1) -> State:
        """Return the L2 norm of each input feature or channel of the linear and convolution layers that are masked.

        Float32 of shape [inputs], by the name of the layer's weight: over all examples and positions of `batches`
        batches (Sun et al. 2024, section 3).
        """
        return self._remembered("input-norms", batches, self._input_norms)

    def _remembered(
        self, kind: str, batches: int, compute: Callable[[int], State], more: Mapping[str, Any] | None = None
    ) -> State:
        specification = {
            "architecture": self.architecture,
            "task": self.task.identity,
            "weights": state_sha256(masked(self.weights, self.masks)),
            "masks": masks_sha256(self.masks),
            "seed": self.seed,
            "batches": batches,
            **(more or {}),
        }
        return self.remember(kind, specification, lambda: compute(batches))

    def _losses(self, model: nn.Module, batches: int) -> Iterator[Tensor]:
        """Yield this process's part of each batch's mean loss, divided by the number of batches."""
        seed = derive_seed(self.seed, "score-data")
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            for step, batch in enumerate(self.task.batches(BATCH, seed, 0, batches, self.device)):
                torch.manual_seed(derive_seed(seed, "augment", step))
                size = self.task.size(batch)
                (whole,) = processes.summed(size)
                yield self.task.loss(model, batch) * (size / max(whole, 1) / batches)

    def _gradients(self, batches: int) -> State:
        model = self.model()
        parameters = {name: model.get_parameter(name).requires_grad_() for name in self.masks}
        sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        for loss in self._losses(model, batches):
            parts = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            for name, part in zip(sums, parts, strict=True):
                sums[name] += 0 if part is None else part
        return self._over_processes(sums)

    def _hessian_vector(self, vector: Mapping[str, Tensor], batches: int) -> State:
        model = self.model()
        parameters = {name: model.get_parameter(name).requires_grad_() for name in self.masks}
        directions = {name: part.to(self.device) for name, part in masked(vector, self.masks).items()}
        sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        for loss in self._losses(model, batches):
            first = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
            along = torch.stack([(g * directions[n]).sum() for n, g in zip(parameters, first, strict=True)]).sum()
            parts = torch.autograd.grad(along, list(parameters.values()), allow_unused=True)
            for name, part in zip(sums, parts, strict=True):
                sums[name] += 0 if part is None else part
        return self._over_processes(sums)

    @torch.no_grad()
    def _input_norms(self, batches: int) -> State:
        model, squares = self.model(), dict[str, Tensor]()

        def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                features = inputs[0].float().movedim(-1 if isinstance(module, nn.Linear) else 1, 0).flatten(1)
                squares[name] = squares.get(name, 0) + features.square().sum(1)

            return before

        for name in self.masks:
            layer = model.get_submodule(name.rpartition(".")[0])
            if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
                layer.register_forward_pre_hook(note(name))
        for _ in self._losses(model, batches):
            pass
        return {name: total.sqrt() for name, total in self._over_processes(squares, prune=False).items()}

    def _over_processes(self, sums: State, *, prune: bool = True) -> State:
        """Return the sums over all processes, on the CPU, the same bits in each; 0 for pruned weights."""
        whole = {name: processes.summed_tensor(part).float().cpu() for name, part in sums.items()}
        return masked(whole, self.masks) if prune else whole


def masked(state: Mapping[str, Tensor], masks: Masks) -> State:
    """Return `state` with 0 where `masks` prune; tensors without a mask as they are."""
    return {name: t.where(masks[name].to(t.device), 0) if name in masks else t for name, t in state.items()}
