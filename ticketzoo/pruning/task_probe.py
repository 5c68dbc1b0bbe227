"""The probe of a network that a task trains: gradients, curvature, norms of inputs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.masks.attach import attach
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.masks.masks import Masks
from ticketzoo.models import create_from_architecture, load_model_state
from ticketzoo.models.state import State
from ticketzoo.pruning.curvature import Variant, diagonal
from ticketzoo.pruning.probe import USUAL, Inputs, Scored
from ticketzoo.pruning.score_data import check_classes, inputs_of_ones, score_batches, set_temperature, stated
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.task import Task

Remember = Callable[[str, Mapping[str, Any], Callable[[], State]], State]
"""`remember(kind, specification, compute)`: tensors that are computed once and kept under their specification."""


Derivative = Callable[[Tensor, Mapping[str, Tensor]], Mapping[str, Tensor]]
"""`derivative(loss, parameters)`: a tensor of each parameter's shape, by name."""


class HasState(Protocol):
    """Something that gives parameters and buffers when asked."""

    @property
    def state(self) -> State:
        """Parameters and buffers, by name."""
        ...


@dataclass(frozen=True)
class TaskProbe:
    """A `Probe` of a network trained on `task`, computed on `device` and remembered.

    The loss is the task's own, of batches of the training split in an order that belongs to scores alone; classes are
    balanced and nothing is augmented where the task can do that (`ticketzoo.tasks.task.ScoringTask`). BatchNorm
    normalizes by the batch and its running statistics are left as they were; dropout is off. Of several processes each
    computes its share of a batch, and all end with the same bits.
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
    scored: Scored = USUAL

    def under(self, masks: Masks) -> "TaskProbe":
        """Return a probe of the same weights under other masks, of which nothing is stored."""
        return replace(self, masks=masks, remember=lambda kind, specification, compute: compute())

    def on(self, scored: Scored) -> "TaskProbe":
        """Return a probe whose loss is of what `scored` says. Raises RunError for classes that the task lacks."""
        check_classes(self.task, scored)
        return replace(self, scored=scored)

    def inputs(self) -> Inputs:
        """Return what the model takes, of one example, all numbers 1: float32 [1, ...], on `device`.

        Raises:
            RunError: the model takes something else than images and observations.
        """
        return inputs_of_ones(self.task.signature.input, self.device)

    @property
    def start(self) -> State:
        """The weights that their training started from."""
        return self.started.state

    def model(self) -> nn.Module:
        """Return the network, masked, on `device`, in evaluation mode but for BatchNorm, which takes the batch's."""
        model = create_from_architecture(self.architecture, seed=0)
        load_model_state(model, self.weights)
        model.to(self.device).eval()
        attach(model, self.masks)
        for module in model.modules():  # cuDNN differentiates recurrent layers in training mode alone
            module.training = isinstance(module, _BatchNorm | nn.RNNBase)
        return model

    def losses(self, model: nn.Module, examples: int) -> Iterator[Callable[[], Tensor]]:
        """Yield, for each of this process's examples, a function that computes the loss of it on `model`.

        They are the first training examples in an order that belongs to scores alone.
        """
        each = replace(self, scored=Scored(batch_size=processes.count()))
        for batch in each._batches(model, -(-examples // processes.count())):
            yield partial(self.task.loss, model, batch)

    def gradients(self, batches: int = 1) -> State:
        """Return the gradient of the mean loss over `batches` batches, on the CPU, as float32; 0 of pruned weights."""
        return self._remembered("gradients", batches, lambda: self._summed(batches, _gradient))

    def hessian_vector(self, vector: Mapping[str, Tensor], batches: int = 1) -> State:
        """Return the Hessian of the mean loss over `batches` batches times `vector`, on the CPU, as float32.

        The product is that of the kept weights alone, by a second backward pass (Pearlmutter 1994).

        Args:
            vector: floats of the parameters' shapes, for every masked parameter.
            batches: how many the loss is a mean over.

        Raises:
            RunError: `vector` lacks a parameter, or has one of another shape.
        """
        for name, mask in self.masks.items():
            if name not in vector or vector[name].shape != mask.shape:
                raise RunError(f"the vector of a Hessian product needs '{name}' of shape {list(mask.shape)}")
        kept = masked({name: vector[name] for name in self.masks}, self.masks)

        def product(loss: Tensor, parameters: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            first = _gradient(loss, parameters, create_graph=True)
            slope = torch.stack([(first[name] * kept[name].to(self.device)).sum() for name in first]).sum()
            return _gradient(slope, parameters)

        key = {"vector": state_sha256(kept)}
        with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
            return self._remembered("hessian-vector", batches, lambda: self._summed(batches, product), key)

    def curvature(self, variant: Variant, batches: int = 1) -> State:
        """Return the second derivative of the mean loss over `batches` batches by each weight alone, as float32.

        See `ticketzoo.pruning.curvature.diagonal`. All of the model is in evaluation mode, BatchNorm too.

        Raises:
            RunError: the model does not score classes, or has masks of other weights than linear and 2-D convolution.
        """

        def compute() -> State:
            model = self.model().eval()
            losses = (partial(self._loss, model, batch) for batch in self._batches(model, batches))
            return masked(_over_processes(diagonal(model, list(self.masks), losses, variant)), self.masks)

        return self._remembered(f"curvature-{variant}", batches, compute)

    def input_norms(self, batches: int = 1) -> State:
        """Return the L2 norm of each input of the linear and convolution layers with a masked weight.

        That is the square root of the sum of squares over all examples and positions (pixels or tokens, padding
        included) of `batches` batches, of each feature of a linear layer and channel of a convolution (Sun et al. 2024,
        section 3): float32 of shape [inputs], on the CPU, by the name of the layer's weight.
        """
        return self._remembered("input-norms", batches, lambda: self._input_norms(batches))

    def _remembered(
        self, kind: str, batches: int, compute: Callable[[], State], more: Mapping[str, Any] | None = None
    ) -> State:
        specification = {
            "architecture": self.architecture,
            "task": self.task.identity,
            "weights": state_sha256(masked(self.weights, self.masks)),
            "masks": masks_sha256(self.masks),
            "seed": self.seed,
            "batches": batches,
            **stated(self.task, self.scored),
            **(more or {}),
        }
        return self.remember(kind, specification, compute)

    def _batches(self, model: nn.Module, batches: int) -> Iterator[Any]:
        """Yield this process's part of each batch, with the random numbers of its own at hand."""
        seed = derive_seed(self.seed, "score-data")
        data = score_batches(self.task, self.scored, seed, batches, self.device)
        set_temperature(model, self.scored.temperature)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            for number, batch in enumerate(data):
                torch.manual_seed(derive_seed(seed, "augment", number))
                yield batch

    def _loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, int]:
        """Return the mean loss of this process's part of a batch, and how many examples the whole batch has."""
        (whole,) = processes.summed(self.task.size(batch))
        return self.task.loss(model, batch), max(int(whole), 1)

    def _losses(self, model: nn.Module, batches: int) -> Iterator[Tensor]:
        """Yield this process's part of each batch's mean loss, divided by the number of batches."""
        for batch in self._batches(model, batches):
            loss, whole = self._loss(model, batch)
            yield loss * (self.task.size(batch) / whole / batches)

    def _summed(self, batches: int, derivative: Derivative) -> State:
        """Return the sum of `derivative` over batches and processes, 0 for pruned weights."""
        model = self.model()
        parameters = {name: model.get_parameter(name).requires_grad_() for name in self.masks}
        sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        for loss in self._losses(model, batches):
            for name, part in derivative(loss, parameters).items():
                sums[name] += part
        return masked(_over_processes(sums), self.masks)

    @torch.no_grad()
    def _input_norms(self, batches: int) -> State:
        model = self.model()
        squares: State = {}

        def note(name: str, axis: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                features = inputs[0].float().movedim(axis, 0).flatten(1)
                squares[name] = squares.get(name, 0) + features.square().sum(1)

            return before

        for name in self.masks:
            layer = model.get_submodule(name.rpartition(".")[0])
            if name.endswith("weight") and isinstance(layer, nn.Linear | _ConvNd):
                layer.register_forward_pre_hook(note(name, -1 if isinstance(layer, nn.Linear) else 1))
        for _ in self._losses(model, batches):
            pass
        return {name: total.sqrt() for name, total in _over_processes(squares).items()}


def _gradient(loss: Tensor, parameters: Mapping[str, Tensor], *, create_graph: bool = False) -> dict[str, Tensor]:
    """Return the gradients by name, 0 where the loss does not depend on a parameter."""
    if not loss.requires_grad:
        return {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    parts = torch.autograd.grad(
        loss, list(parameters.values()), create_graph=create_graph, materialize_grads=True, allow_unused=True
    )
    return dict(zip(parameters, parts, strict=True))


def _over_processes(sums: State) -> State:
    """Return the sums over all processes, on the CPU, the same bits in each."""
    return {name: processes.summed_tensor(part) for name, part in sums.items()}


def masked(state: Mapping[str, Tensor], masks: Masks) -> State:
    """Return `state` with 0 where `masks` prune; tensors without a mask as they are."""
    return {name: t.where(masks[name].to(t.device), 0) if name in masks else t for name, t in state.items()}
