"""Linear layers that judge an observation: which action to take, and what return to expect.

The policies of Yu et al. 2020 (arXiv 1906.02768), section 4: three hidden layers, ReLU, shared by both heads.
"""

from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.models.architecture import ARCHITECTURES
from ticketzoo.models.arguments import as_tuple
from ticketzoo.models.signature import Observation, ValuedActions
from ticketzoo.recipe import Config

Numbers = Annotated[int, Field(ge=1, le=65_536)]


class ActorCriticArguments(Config):
    """Defaults are those of CartPole in Yu et al. 2020; `hidden` are the units of each hidden layer."""

    model_config = ConfigDict(strict=True)

    observation: Numbers = 4
    actions: Numbers = 2
    hidden: Annotated[tuple[Numbers, ...], BeforeValidator(as_tuple), Field(min_length=1, max_length=64)] = (
        *(128, 128, 128),
    )


@ARCHITECTURES.add(
    "actor-critic",
    arguments=ActorCriticArguments,
    accepts={
        (Observation, ValuedActions): lambda seen, acts: {"observation": seen.shape[0], "actions": acts.count},
    },
)
class ActorCritic(nn.Module):
    """Linear layers `fc1`, `fc2`, ... with ReLU behind each, and the heads `policy` and `value` on the last of them.

    Weights and biases start as PyTorch's linear layers do. With its defaults 33,664 weights and 387 biases.
    """

    head_layers: ClassVar[tuple[str, ...]] = ("policy", "value")
    """Made anew where there are other actions."""

    def __init__(self, arguments: ActorCriticArguments) -> None:
        super().__init__()
        sizes = [arguments.observation, *arguments.hidden]
        self._hidden = [f"fc{number}" for number in range(1, len(sizes))]
        for name, (inputs, outputs) in zip(self._hidden, pairwise(sizes), strict=True):
            self.add_module(name, nn.Linear(inputs, outputs))
        self.policy = nn.Linear(sizes[-1], arguments.actions)
        self.value = nn.Linear(sizes[-1], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores of actions [b, actions] and the expected return [b], of observations [b, observation]."""
        for name in self._hidden:
            x = F.relu(self.get_submodule(name)(x))
        return self.policy(x), self.value(x).squeeze(-1)
