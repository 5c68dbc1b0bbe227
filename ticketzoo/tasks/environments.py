"""Copies of an environment of gymnasium side by side, each of which goes from episode to episode.

Where an episode ends is said, and nothing starts anew by itself: what was observed last stays known, and what is
observed next belongs to the next episode. All starts follow from seeds, so that a checkpoint can hold the rest.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ticketzoo.errors import DataError, RunError
from ticketzoo.seeds import derive_seed
from ticketzoo.util.text import one_line

_REMEDY = "pip install 'ticketzoo[rl]'"
_REMEDIES = {"box2d": "pip install 'gymnasium[box2d]'", "mujoco": "pip install 'gymnasium[mujoco]'"}
_CART_POLES = "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv"
"""Class of the copies that are computed at once."""


@dataclass(frozen=True)
class Stepped:
    """The outcome of a step in each of n environments."""

    observations: NDArray[np.float32]
    """[n, size], after the step: where an episode has ended, its last."""
    rewards: NDArray[np.float64]
    """[n]"""
    terminated: NDArray[np.bool_]
    """[n], where the episode has come to its end: no reward would follow."""
    truncated: NDArray[np.bool_]
    """[n], where it was cut off."""

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Return [n], where an episode has ended, either way."""
        return self.terminated | self.truncated


class Environments(Protocol):
    """Copies of an environment. Its state goes into checkpoints."""

    observations: NDArray[np.float32]
    """[n, size], what is observed now."""

    def start(self, where: NDArray[np.bool_], seed: int) -> None:
        """Begin an episode in those environments `where` [n] says so; how it begins follows from `seed`."""
        ...

    def step(self, actions: NDArray[np.int64]) -> Stepped:
        """Take `actions` [n]."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that follows from what was done so far."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state_dict` gave. Raises RunError where that cannot be."""
        ...


class CartPoles:
    """CartPole of gymnasium, all copies computed at once by its own vectorised form."""

    def __init__(self, made: Any) -> None:
        self._all = made
        made.reset(seed=0)
        self._seen()

    def _seen(self) -> None:
        self.observations = self._all.state.T.astype(np.float32)

    def start(self, where: NDArray[np.bool_], seed: int) -> None:
        """Begin with four numbers that are uniform between -0.05 and 0.05 each, as gymnasium does."""
        size = (4, int(where.sum()))
        self._all.state[:, where] = np.random.default_rng(seed).uniform(self._all.low, self._all.high, size)
        self._all.steps[where] = 0
        self._seen()

    def step(self, actions: NDArray[np.int64]) -> Stepped:
        """Take `actions` [n], 0 for a push to the left and 1 to the right."""
        observations, rewards, terminated, truncated, _ = self._all.step(actions)
        self._all.prev_done[:] = False  # else the next step would be a start
        self.observations = observations
        return Stepped(observations, rewards.astype(np.float64), terminated, truncated)

    def state_dict(self) -> dict[str, Tensor]:
        """Return position, speed, angle and turning of each, float64 [4, n], and the steps of its episode so far."""
        return {"state": torch.from_numpy(self._all.state.copy()), "steps": torch.from_numpy(self._all.steps.copy())}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        self._all.state, self._all.steps = state["state"].numpy().copy(), state["steps"].numpy().copy()
        self._seen()


class Replayed:
    """Copies of any environment, one after the other. Its state is how its episodes began, and what was done since.

    Nothing more is known of an environment; done again, it has to lead to the same observations.
    """

    def __init__(self, name: str, made: list[Any]) -> None:
        self._name, self._each = name, made
        self._seeds, self._done = [0] * len(made), [[] for _ in made]  # type: ignore[var-annotated]
        self.observations = np.stack([one.reset(seed=0)[0] for one in made]).astype(np.float32)

    def start(self, where: NDArray[np.bool_], seed: int) -> None:
        """Begin by a seed of its own for each."""
        for number in np.flatnonzero(where):
            self._seeds[number], self._done[number] = derive_seed(seed, int(number)), []
            self.observations[number] = self._each[number].reset(seed=self._seeds[number])[0]

    def step(self, actions: NDArray[np.int64]) -> Stepped:
        """Take `actions` [n]."""
        seen, rewards, terminated, truncated, _ = zip(
            *(one.step(action) for one, action in zip(self._each, actions, strict=True)), strict=True
        )
        for done, action in zip(self._done, actions.tolist(), strict=True):
            done.append(action)
        self.observations = np.stack(seen).astype(np.float32)
        numbers = np.array(rewards, dtype=np.float64)
        return Stepped(self.observations.copy(), numbers, np.array(terminated, bool), np.array(truncated, bool))

    def state_dict(self) -> dict[str, Tensor]:
        """Return seeds [n], the number of actions since [n], these one after the other, and what is observed now."""
        return {
            "seeds": torch.tensor(self._seeds),
            "lengths": torch.tensor(list(map(len, self._done))),
            "actions": torch.tensor([action for done in self._done for action in done], dtype=torch.int64),
            "observations": torch.from_numpy(self.observations.copy()),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Do again what was done.

        Raises:
            RunError: it does not lead where it led.
        """
        self._seeds = state["seeds"].tolist()
        self._done = [part.tolist() for part in state["actions"].split(state["lengths"].tolist())]
        for number, (one, seed, done) in enumerate(zip(self._each, self._seeds, self._done, strict=True)):
            self.observations[number] = one.reset(seed=seed)[0]
            for action in done:
                self.observations[number] = one.step(np.int64(action))[0]
        if not np.array_equal(self.observations, state["observations"].numpy()):
            what = f"{self._name} does not do the same again after the same seeds and actions"
            raise RunError(f"{what}, so this training cannot go on from its checkpoint: remove that, to start it anew")


@dataclass(frozen=True)
class Kind:
    """An environment by its name in gymnasium: how large its observations are, and how many actions there are."""

    name: str
    observation: int
    actions: int

    def copies(self, count: int) -> Environments:
        """Return `count` of it."""
        import gymnasium

        if gymnasium.spec(self.name).vector_entry_point == _CART_POLES:
            vectorised = gymnasium.make_vec(self.name, num_envs=count, vectorization_mode="vector_entry_point")
            return CartPoles(vectorised.unwrapped)
        return Replayed(self.name, [_made(self.name) for _ in range(count)])


def environment_called(name: str) -> Kind:
    """Return what is known of the environment `name`.

    Raises:
        DataError: gymnasium is missing, or what the environment needs; there is no such environment; its observations
            are no vectors, its actions no choice of a few, or its episodes without a largest length.
    """
    try:
        from gymnasium import spaces
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        raise DataError(f"task.environment: {name} needs the package gymnasium: {_REMEDY}") from None
    made = _made(name)
    seen, acts = made.observation_space, made.action_space
    made.close()
    if made.spec.max_episode_steps is None:
        what = f"an episode of {name} may never end, and evaluation waits for it"
        raise DataError(f"task.environment: {what}: register it with max_episode_steps")
    if not isinstance(acts, spaces.Discrete) or acts.start != 0:
        raise DataError(f"task.environment: the actions of {name} are {acts}; a task needs {_DISCRETE}")
    if not isinstance(seen, spaces.Box) or len(seen.shape) != 1:
        raise DataError(f"task.environment: the observations of {name} are {seen}; a task needs vectors of numbers")
    return Kind(name, seen.shape[0], int(acts.n))


_DISCRETE = "some of which one is taken, Discrete(n)"


def _made(name: str) -> Any:
    import gymnasium
    from gymnasium import error as errors

    try:
        return gymnasium.make(name, disable_env_checker=True)
    except errors.DependencyNotInstalled as error:
        remedy = next((line for key, line in _REMEDIES.items() if key in str(error).lower()), one_line(error)[:200])
        raise DataError(f"task.environment: {name} needs packages that are not installed: {remedy}") from None
    except errors.Error as error:
        raise DataError(f"task.environment: {one_line(error)[:200].rstrip('.')}: name another") from None
