"""Models of one architecture, stacked: of each parameter one tensor, whose first dimension counts the models."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim import Optimizer

from ticketzoo.errors import TicketzooError
from ticketzoo.masks.attach import detach
from ticketzoo.masks.excluded import Excluded
from ticketzoo.masks.gradients import zero_gradients
from ticketzoo.models import create_from_architecture, load_model_state, model_state
from ticketzoo.models.state import State
from ticketzoo.training.checkpoint import optimizer_tensors
from ticketzoo.training.job import Job


class NotStackable(TicketzooError):
    """A model or task whose trainings cannot be stacked; the message is the reason."""


class Population:
    """The models of `jobs`, which differ in weights, masks and seed alone, as they are before training.

    Attributes:
        size: how many there are.
        parameters: [size, ...] each, by name; those that training moves require gradients.
        buffers: [size, ...] each, by name.
        mode: the module whose training or evaluation mode is that of all.
    """

    def __init__(self, jobs: Sequence[Job], device: torch.device) -> None:
        self.size = len(jobs)
        self.mode = self._one = create_from_architecture(jobs[0].architecture, seed=0).to(device)
        self.parameters: dict[str, nn.Parameter] = {}
        self.buffers: dict[str, Tensor] = {}
        for number, job in enumerate(jobs):
            model = job.model(device)
            if number == 0:
                self._allocate(model)
            self._copy(model, number, into_model=False)
            detach(model)
        self._frozen = jobs[0].learn.masked == "frozen"
        self._excluded = {name: Excluded(mask) for name, mask in _stacked_masks(jobs, self.parameters).items()}
        if self._frozen:
            for name, excluded in self._excluded.items():
                excluded.freeze(self.parameters[name])

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that training moves, in the order of the model's."""
        return [parameter for parameter in self.parameters.values() if parameter.requires_grad]

    def tensors(self) -> list[Tensor]:
        """Return all parameters and buffers."""
        return [parameter.detach() for parameter in self.parameters.values()] + list(self.buffers.values())

    def member(self, number: int) -> nn.Module:
        """Return a model that holds the numbers of one member: a copy, good until the next is asked for."""
        self._copy(self._one, number, into_model=True)
        return self._one

    def load(self, number: int, state: State) -> None:
        """Give a member the state that `ticketzoo.models.model_state` gave of it."""
        load_model_state(self._one, state)
        self._copy(self._one, number, into_model=False)

    def state(self, number: int) -> State:
        """Return a member's state, as `ticketzoo.models.model_state` gives it, on the CPU."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in model_state(self.member(number)).items()}

    def of_each(self, function: Callable[..., tuple[Tensor, ...]], *own: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `function` gives of each member, stacked: [size, ...] each.

        Args:
            function: called with a member, or what can be called like it, and its rows of `own`.
            own: [size, ...] each.

        Raises:
            NotStackable: the model does not change a buffer in place.
        """

        def of_one(parameters: State, buffers: State, *rows: Tensor) -> tuple[Tensor, ...]:
            def model(*inputs: Any, **named: Any) -> Any:
                given = {**parameters, **buffers}
                outputs = functional_call(self._one, given, inputs, named)
                for name, buffer in buffers.items():
                    if given[name] is not buffer:  # it would be lost after the call
                        raise NotStackable(f"the model puts a new tensor in the place of its buffer {name}")
                return outputs

            return function(cast(nn.Module, model), *rows)

        return vmap(of_one)(cast(State, self.parameters), self.buffers, *own)

    def drop_gradients(self) -> None:
        """Leave no parameter with a gradient."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def zero_pruned_gradients(self) -> None:
        """Set the gradients of weights that are pruned in their member to 0.0."""
        zero_gradients((excluded, self.parameters[name]) for name, excluded in self._excluded.items())

    def hold_pruned(self) -> None:
        """Set back pruned weights that the optimizer may have moved: frozen ones, which weight decay moves."""
        if self._frozen:
            for name, excluded in self._excluded.items():
                excluded.hold(self.parameters[name])

    def clip_gradients(self, norm: float) -> None:
        """Scale the gradients of each member down to `norm`, as `torch.nn.utils.clip_grad_norm_` does one model's."""
        gradients = [parameter.grad for parameter in self.trained if parameter.grad is not None]
        norms = torch.stack(
            [torch.linalg.vector_norm(gradient.reshape(self.size, -1), dim=1) for gradient in gradients]
        )
        factors = (norm / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))

    def _allocate(self, model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            stacked = parameter.new_empty((self.size, *parameter.shape))
            self.parameters[name] = nn.Parameter(stacked, requires_grad=parameter.requires_grad)
        self.buffers = {name: buffer.new_empty((self.size, *buffer.shape)) for name, buffer in model.named_buffers()}

    @torch.no_grad()
    def _copy(self, model: nn.Module, number: int, *, into_model: bool) -> None:
        stacked: dict[str, Tensor] = {**self.parameters, **self.buffers}
        own: dict[str, Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        for name, tensor in own.items():
            if into_model:
                tensor.copy_(stacked[name][number])
            else:
                stacked[name][number].copy_(tensor)


def member_optimizer_tensors(optimizer: Optimizer, number: int) -> State:
    """Return what `optimizer_tensors` would of the optimizer of one member: counts of steps are everyone's."""
    return {
        name: (tensor if tensor.dim() == 0 else tensor[number]).to("cpu", copy=True)
        for name, tensor in optimizer_tensors(optimizer).items()
    }


def load_member_optimizer_tensors(optimizer: Optimizer, number: int, tensors: State) -> None:
    """Put back what `member_optimizer_tensors` gave, into the state that the optimizer has already."""
    kept = optimizer_tensors(optimizer)
    for name, tensor in tensors.items():
        (kept[name] if kept[name].dim() == 0 else kept[name][number]).copy_(tensor)


def _stacked_masks(jobs: Sequence[Job], parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return bool [jobs, ...] of each parameter that any of the jobs masks: True where one of them has no mask."""
    stacked = {}
    for name in dict.fromkeys(name for job in jobs for name in job.masks):
        if name not in parameters:
            raise NotStackable(f"the mask of {name} is on a tied parameter")
        whole = torch.ones(parameters[name].shape[1:], dtype=torch.bool)
        stacked[name] = torch.stack([job.masks[name].cpu() if name in job.masks else whole for job in jobs])
    return stacked
