"""Reinforcement learning: the return of a network that acts in an environment, trained by A2C.

Mnih et al. 2016 (arXiv 1602.01783), synchronously: advantage actor-critic with returns of a few steps. The settings are
those of Yu et al. 2020 (arXiv 1906.02768), section 4, and where it states none the usual ones.
"""

import hashlib
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.distributed import processes
from ticketzoo.errors import DataError
from ticketzoo.masks.plain import plain_model
from ticketzoo.models.signature import Observation, Signature, ValuedActions
from ticketzoo.recipe import DataName
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.environments import environment_called
from ticketzoo.tasks.metrics import RETURN
from ticketzoo.tasks.rollouts import Choose, Rollout, Rollouts, drawing, episode_returns, greedy, uniform
from ticketzoo.tasks.table import TASKS, TaskSection

Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class ReinforcementLearningConfig(TaskSection):
    """The `task:` section of a recipe for reinforcement learning.

    An update learns from `environments` times `horizon` steps, which `training.batch_size` has to state: 128. It is an
    epoch of its own.

    Attributes:
        environment: name of an environment of gymnasium, such as CartPole-v1, whose observations are vectors and whose
            actions a choice.
        name: name of the environment in results and file names; by default its own in lower case.
        algorithm: method of training; a2c is synchronous advantage actor-critic, the only one so far.
        environments: number of copies that the network acts in at once.
        horizon: steps in each of them between two updates.
        gamma: factor by which a reward counts less for each step that it is ahead.
        entropy: weight of the entropy of actions, which the loss is less by.
        value: weight of the squared error of the expected return in the loss.
        reward_scale: factor of rewards in what is learned from; returns are told without it.
        evaluated_episodes: number of episodes of an evaluation, each in a copy of its own.
    """

    type: Literal["reinforcement-learning"]
    environment: Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]{1,64}/)?[A-Za-z0-9_.-]{1,64}-v[0-9]{1,4}$")]
    name: DataName | None = None
    algorithm: Literal["a2c"] = "a2c"
    environments: Annotated[int, Field(ge=1, le=4096)] = 32
    horizon: Annotated[int, Field(ge=1, le=4096)] = 4
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.99
    entropy: Weight = 0.01
    value: Weight = 0.5
    reward_scale: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 0.01
    evaluated_episodes: Annotated[int, Field(ge=1, le=4096)] = 100


@TASKS.add("reinforcement-learning", config=ReinforcementLearningConfig, words="reinforcement learning")
class ReinforcementLearning:
    """The `Task` (see `ticketzoo.tasks.task`) of acting so that rewards add up.

    A batch is a `ticketzoo.tasks.rollouts.Rollout`.
    """

    metric, has_validation = RETURN, False

    def __init__(self, config: ReinforcementLearningConfig) -> None:
        """Look at the environment.

        Raises:
            DataError: it or gymnasium is missing, or it is of another kind.
        """
        self._config, self._kind = config, environment_called(config.environment)
        self.name = config.name or config.environment.lower().replace("/", "-")
        fingerprint = hashlib.sha256(f"gymnasium/{config.environment}".encode()).hexdigest()
        told = config.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
        self.identity = {**told, "fingerprint": fingerprint}
        self.source = {"dataset": config.environment, "revision": None, "fingerprint": fingerprint}
        self.signature = Signature(Observation((self._kind.observation,)), ValuedActions(self._kind.actions))
        self._steps = config.environments * config.horizon
        self.examples = {"train": self._steps, "validation": 0, "test": config.evaluated_episodes}

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return 1: there are no data to go through.

        Raises:
            DataError: an update has not as many steps.
        """
        if batch_size != self._steps:
            taken = f"{self._config.environments} environments x {self._config.horizon} steps"
            raise DataError(f"training.batch_size: is {batch_size}, but an update learns from {taken}: {self._steps}")
        return 1

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Rollouts:
        """Return the batches of iterations `start` to `stop - 1`, of episodes that are new at `start`."""
        config = self._config
        return Rollouts(
            self._kind.copies,
            config.environments,
            config.horizon,
            config.reward_scale,
            config.gamma,
            seed,
            range(start, stop),
            device,
        )

    def loss(self, model: nn.Module, batch: Rollout) -> Tensor:
        """Return the loss of A2C: what raises the probability of actions that were better than expected.

        Minus the mean of log-probability times advantage (the return less what was expected), plus `value` times the
        mean squared advantage, minus `entropy` times the mean entropy of actions.
        """
        played = batch.played(plain_model(model))
        scores, expected = model(played.observations.flatten(0, 1))
        advantage = played.returns.flatten() - expected
        logs = F.log_softmax(scores, dim=1)
        taken = logs.gather(1, played.actions.flatten()[:, None]).squeeze(1)
        of_policy = -(taken * advantage.detach()).mean()
        return of_policy + self._config.value * advantage.square().mean() - self._config.entropy * entropy(logs).mean()

    def size(self, batch: Rollout) -> int:
        """Return the number of steps in this process's share of a batch."""
        return batch.size

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, device: torch.device) -> dict[str, float]:
        """Return the mean return of episodes with actions drawn (`return`), and of the best ones (`greedy_return`).

        They begin alike for every network. At the end of a training, the mean over its own last episodes takes the
        place of `return` (see `ticketzoo.tasks.rollouts.Rollouts.scores`).
        """
        plain = plain_model(model)

        def played() -> dict[str, float]:
            drawn = drawing(plain, device, derive_seed(0, split, "actions"))
            return {"return": self._mean(drawn, split), "greedy_return": self._mean(greedy(plain, device), split)}

        return processes.from_first(played)

    def _mean(self, choose: Choose, split: str) -> float:
        count = self._config.evaluated_episodes
        returns = episode_returns(self._kind.copies(count), count, choose, derive_seed(0, split))
        return sum(returns) / count

    @cached_property
    def _of_chance(self) -> float:
        return self._mean(uniform(self._kind.actions, derive_seed(0, "chance")), "test")

    def guesses(self, split: str) -> dict[str, list[float]]:
        """Return the mean return of a policy that takes any action as often."""
        return {"return": [self._of_chance], "greedy_return": [self._of_chance]}


def entropy(logs: Tensor) -> Tensor:
    """Return the entropy, in nats, of each row of log-probabilities: [n, actions] to [n]."""
    return -(logs.exp() * logs).sum(1)
