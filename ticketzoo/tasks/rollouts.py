"""Steps that a network takes in environments, update after update, and the returns of its episodes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ticketzoo.distributed import processes
from ticketzoo.errors import RunError
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks.environments import Environments

LAST = 100
"""Episodes that the return of a training is the mean of: its last ones (Yu et al. 2020, section 4)."""

Choose = Callable[[NDArray[np.float32]], NDArray[np.int64]]
"""Gives actions [n] for observations [n, size]."""


@dataclass(frozen=True)
class Played:
    """The steps that an update learns from: `horizon` in each of n environments.

    Attributes:
        observations: float32 [n, horizon, size], before each step.
        actions: int64 [n, horizon].
        returns: float32 [n, horizon], the discounted rewards from each step on.
    """

    observations: Tensor
    actions: Tensor
    returns: Tensor


def returns_of(rewards: Tensor, terminated: Tensor, truncated: Tensor, values: Tensor, gamma: float) -> Tensor:
    """Return the discounted rewards from each step on, float [steps, n].

    Where an episode is cut off, and after the last step, the value of what is observed then stands for the rewards to
    come; where an episode has come to its end there are none.

    Args:
        rewards: float [steps, n], of each step.
        terminated: bool [steps, n], whether it brought its episode to the end.
        truncated: bool [steps, n], whether the episode was cut off after it.
        values: float [steps, n], expected after it, of the observation that belongs to the same episode.
        gamma: factor of the rewards of the step that follows.
    """
    found, following = torch.zeros_like(values), values[-1]
    for step in reversed(range(len(rewards))):
        to_come = torch.where(truncated[step], values[step], following).masked_fill(terminated[step], 0)
        following = found[step] = rewards[step] + gamma * to_come
    return found


def drawing(model: nn.Module, device: torch.device, seed: int) -> Choose:
    """Return what draws actions by the scores of `model`, by random numbers of its own."""
    generator = torch.Generator().manual_seed(seed)

    def choose(observations: NDArray[np.float32]) -> NDArray[np.int64]:
        shares = _scores(model, observations, device).softmax(1)
        return torch.multinomial(shares, 1, generator=generator).squeeze(1).numpy()

    return choose


def greedy(model: nn.Module, device: torch.device) -> Choose:
    """Return what takes the action of the largest score, of equal ones the first."""
    return lambda observations: _scores(model, observations, device).argmax(1).numpy()


def uniform(actions: int, seed: int) -> Choose:
    """Return what takes no notice of observations: any of `actions`, each as often."""
    generator = np.random.default_rng(seed)
    return lambda observations: generator.integers(actions, size=len(observations))


@torch.no_grad()
def _scores(model: nn.Module, observations: NDArray[np.float32], device: torch.device) -> Tensor:
    scores = model(torch.from_numpy(observations).to(device))[0].float().cpu()
    if not scores.isfinite().all():
        raise RunError("training diverged: scores of actions are not finite; lower training.optimizer.lr")
    return scores


def episode_returns(environments: Environments, count: int, choose: Choose, seed: int) -> list[float]:
    """Return the sums of rewards of an episode in each of `count` environments, which begin by `seed`."""
    found, so_far = np.full(count, np.nan), np.zeros(count)
    environments.start(np.ones(count, bool), derive_seed(seed, "first"))
    step = 0
    while np.isnan(found).any():
        stepped = environments.step(choose(environments.observations))
        so_far += stepped.rewards
        found = np.where(np.isnan(found) & stepped.ended, so_far, found)
        if stepped.ended.any():  # they have to go on, and count no more
            environments.start(stepped.ended, derive_seed(seed, "after", step))
        step += 1
    return found.tolist()


class Rollouts:
    """Batches that the network itself brings about: each goes on in the episodes that the one before has left.

    What is drawn for an update is a function of seed and step: starts of episodes and actions. At `start` all
    episodes are new. Of several processes the first one plays, and each learns from its share of the environments.

    Args:
        environments: makes `count` environments.
        count: number of environments.
        horizon: steps in each of them for a batch.
        reward_scale: factor of rewards in what is learned from, not in the returns that are told.
        gamma: of `returns_of`.
        seed: of the training.
        steps: numbers of the batches.
        device: where batches are put.
    """

    def __init__(
        self,
        environments: Callable[[int], Environments],
        count: int,
        horizon: int,
        reward_scale: float,
        gamma: float,
        seed: int,
        steps: range,
        device: torch.device,
    ) -> None:
        self.count, self.horizon = count, horizon
        self._environments = environments(count)
        self._scale, self._gamma, self._seed, self._device = reward_scale, gamma, seed, device
        self._steps = iter(steps)
        self._environments.start(np.ones(count, bool), derive_seed(seed, "episodes", steps.start))
        self._so_far, self._returns = np.zeros(count), np.zeros(0)

    def __iter__(self) -> Iterator["Rollout"]:
        return self

    def __next__(self) -> "Rollout":
        return Rollout(self, next(self._steps))

    def play(self, model: nn.Module, step: int) -> Played:
        """Take the steps of batch number `step` with `model`, and return this process's share of them."""
        played = processes.from_first(lambda: self._play(model, step))
        share = processes.share_of(self.count)
        parts = (share.of(part).to(self._device) for part in (played.observations, played.actions, played.returns))
        return Played(*parts)

    @torch.no_grad()
    def _play(self, model: nn.Module, step: int) -> Played:
        choose = drawing(model, self._device, derive_seed(self._seed, "actions", step))
        before, taken, taken_to = [], [], []
        for number in range(self.horizon):
            before.append(self._environments.observations.copy())
            taken.append(choose(before[-1]))
            taken_to.append(stepped := self._environments.step(taken[-1]))
            self._so_far += stepped.rewards
            if (ended := stepped.ended).any():
                self._returns = np.append(self._returns, self._so_far[ended])[-LAST:]
                self._so_far[ended] = 0
                self._environments.start(ended, derive_seed(self._seed, "episodes", step, number))
        after = torch.from_numpy(np.stack([one.observations for one in taken_to]))
        values = model(after.flatten(0, 1).to(self._device))[1].float().cpu().view(self.horizon, self.count)
        rewards, terminated, truncated = (
            torch.from_numpy(np.stack([getattr(one, name) for one in taken_to]))
            for name in ("rewards", "terminated", "truncated")
        )
        returns = returns_of(rewards.float() * self._scale, terminated, truncated, values, self._gamma)
        observations, actions = (torch.from_numpy(np.stack(parts, 1)) for parts in (before, taken))
        return Played(observations, actions, returns.T.contiguous())

    def scores(self) -> dict[str, float]:
        """Return the mean return of the last 100 episodes that have ended; nothing where none has."""
        returns = processes.from_first(lambda: self._returns.tolist())
        return {"return": float(np.mean(returns))} if returns else {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state of the environments and the returns of episodes, under way and ended."""
        state = {f"environments.{name}": value for name, value in self._environments.state_dict().items()}
        return {**state, "so_far": torch.from_numpy(self._so_far.copy()), "returns": torch.from_numpy(self._returns)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state_dict` gave. Raises RunError where an environment cannot."""
        within = "environments."
        inner = {name.removeprefix(within): value for name, value in state.items() if name.startswith(within)}
        self._environments.load_state_dict(inner)
        self._so_far, self._returns = state["so_far"].numpy().copy(), state["returns"].numpy().copy()


class Rollout:
    """A batch of `Rollouts`, which is played when a network is first asked to learn from it."""

    def __init__(self, rollouts: Rollouts, step: int) -> None:
        self._rollouts, self._step = rollouts, step
        self._played: Played | None = None

    def played(self, model: nn.Module) -> Played:
        """Return the steps that `model`, or the network that was asked first, has taken."""
        if self._played is None:
            self._played = self._rollouts.play(model, self._step)
        return self._played

    @property
    def size(self) -> int:
        """Return the number of steps in this process's share of it."""
        share = processes.share_of(self._rollouts.count)
        return (share.stop - share.start) * self._rollouts.horizon
