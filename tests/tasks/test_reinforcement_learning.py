"""Returns, episodes and losses of A2C, worked out by hand, and environments beside those of gymnasium."""

import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

gymnasium = pytest.importorskip("gymnasium", reason="needs gymnasium: pip install 'ticketzoo[rl]'")

from ticketzoo.errors import DataError, RunError  # noqa: E402
from ticketzoo.tasks import TASKS, create_task  # noqa: E402
from ticketzoo.tasks.environments import CartPoles, Environments, Replayed, Stepped, environment_called  # noqa: E402
from ticketzoo.tasks.reinforcement_learning import entropy  # noqa: E402
from ticketzoo.tasks.rollouts import Rollouts, episode_returns, returns_of  # noqa: E402
from ticketzoo.tasks.task import GuessableTask, MeasuringBatches  # noqa: E402

CPU = torch.device("cpu")


def task_of(**keys: Any) -> Any:
    section = {"type": "reinforcement-learning", "environment": "CartPole-v1"} | keys
    return create_task(TASKS["reinforcement-learning"].config.model_validate(section))


def returned(terminated: int | None = None, truncated: int | None = None, values: Any = (0, 0, 0, 10)) -> list[float]:
    """Returns of four rewards of 1 in one environment, an episode ending after the given step."""
    at_end, cut_off = (torch.tensor([[number == step] for step in range(4)]) for number in (terminated, truncated))
    expected = torch.tensor(values).float()[:, None]
    return returns_of(torch.ones(4, 1), at_end, cut_off, expected, 0.99).flatten().tolist()


def test_rewards_of_one_and_a_bootstrap_of_ten() -> None:
    """1 + 0.99 * 10 = 10.9, 1 + 0.99 * 10.9 = 11.791, and so on."""
    assert returned() == pytest.approx([13.5464, 12.6731, 11.791, 10.9], abs=1e-4)


def test_nothing_follows_the_end_of_an_episode() -> None:
    assert returned(terminated=1) == pytest.approx([1.99, 1, 11.791, 10.9])
    assert returned(terminated=3)[2:] == pytest.approx([1.99, 1]), "not even what is expected after the last step"


def test_an_episode_that_is_cut_off_has_its_last_value_as_what_follows() -> None:
    """1 + 0.99 * 5 = 5.95 where 5 was expected after the second step; one that also ended there has nothing to come."""
    assert returned(truncated=1, values=(0, 5, 0, 10)) == pytest.approx([6.8905, 5.95, 11.791, 10.9])
    assert returned(terminated=1, truncated=1, values=(0, 5, 0, 10))[:2] == pytest.approx([1.99, 1])


def test_two_equal_scores_have_an_entropy_of_ln_2() -> None:
    logs = torch.tensor([[0.0, 0.0], [1000.0, 0.0]]).log_softmax(1)
    assert entropy(logs).tolist() == [pytest.approx(0.6931, abs=1e-4), 0]


class Counting:
    """Environments that observe how often they were stepped in an episode: it ends after three steps.

    Even ones come to an end there, odd ones are cut off. The reward is the action.
    """

    def __init__(self, count: int) -> None:
        self.observations = np.zeros((count, 1), np.float32)
        self.seeds: list[int] = []

    def start(self, where: Any, seed: int) -> None:
        self.observations[where] = 0
        self.seeds.append(seed)

    def step(self, actions: Any) -> Stepped:
        assert (self.observations < 3).all(), "an episode that has ended is not stepped"
        self.observations = self.observations + 1
        ended = self.observations[:, 0] == 3
        even = np.arange(len(ended)) % 2 == 0
        return Stepped(self.observations.copy(), actions.astype(float), ended & even, ended & ~even)

    def state_dict(self) -> dict[str, Tensor]:
        return {"observations": torch.from_numpy(self.observations.copy())}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.observations = state["observations"].numpy().copy()


class Acts(nn.Module):
    """Takes action 1 always, and expects ten times what it observes."""

    def __init__(self, score: float = 1e6) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.tensor(score))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.stack([torch.zeros(len(x)), self.score.expand(len(x))], 1), 10 * x[:, 0] * self.score.sign()


def rollouts(start: int = 0, seed: int = 0, count: int = 2, horizon: int = 4) -> tuple[Rollouts, Counting]:
    made: list[Counting] = []

    def environments(count: int) -> Environments:
        made.append(Counting(count))
        return made[-1]

    return Rollouts(environments, count, horizon, 1.0, 0.5, seed, range(start, 9), CPU), made[0]


def test_what_is_observed_after_an_episode_belongs_to_the_next_one() -> None:
    """Steps 0, 1, 2, then 0 of the next. The one that comes to its end has 1 there; the other 1 + 0.5 * 30 = 16."""
    played = rollouts()[0].play(Acts(), 0)
    assert played.observations.squeeze(-1).tolist() == [[0, 1, 2, 0], [0, 1, 2, 0]]
    assert played.actions.tolist() == [[1] * 4] * 2
    assert played.returns.tolist() == [[1.75, 1.5, 1, 6], [5.5, 9, 16, 6]], "after the fourth step 10 are expected"


def test_returns_of_episodes_go_across_batches() -> None:
    """After four steps an episode each has ended, after eight two; none after two."""
    batches, _ = rollouts(horizon=2)
    assert isinstance(batches, MeasuringBatches)
    model, seen = Acts(), []
    for _ in range(4):
        next(batches).played(model)
        seen.append((batches.scores(), batches.state_dict()["so_far"].tolist()))
    three = {"return": 3.0}
    assert seen == [({}, [2, 2]), (three, [1, 1]), (three, [0, 0]), (three, [2, 2])]
    assert batches.state_dict()["returns"].tolist() == [3.0] * 4


def test_the_last_hundred_episodes_count() -> None:
    batches, _ = rollouts(count=60, horizon=3)
    next(batches).played(Acts(-1e6))
    assert batches.scores() == {"return": 0.0}
    next(batches).played(Acts())
    assert batches.scores() == {"return": pytest.approx(3 * 60 / 100)}


def test_batches_go_on_from_their_state_and_draw_by_step() -> None:
    model, (whole, _) = Acts(0.0), rollouts()
    parts = [next(whole).played(model) for _ in range(3)]
    first, _ = rollouts()
    next(first).played(model)
    later, environments = rollouts(start=1)
    later.load_state_dict(first.state_dict())
    for part in parts[1:]:
        again = next(later).played(model)
        assert torch.equal(again.actions, part.actions)
        assert torch.equal(again.returns, part.returns)
    assert whole.state_dict().keys() == later.state_dict().keys()
    assert torch.equal(whole.state_dict()["returns"], later.state_dict()["returns"])
    assert len(set(environments.seeds)) == len(environments.seeds), "each start has random numbers of its own"


def test_a_batch_is_played_once() -> None:
    batches, _ = rollouts()
    batch = next(batches)
    assert batch.played(Acts()) is batch.played(Acts(-1e6))
    assert batch.size == 8


def test_scores_that_are_not_finite_are_told_in_a_line() -> None:
    with pytest.raises(RunError, match=r"training diverged: scores of actions are not finite; lower training.optim"):
        next(rollouts()[0]).played(Acts(math.nan))


def test_the_loss_is_that_of_a2c() -> None:
    """Two equal scores, value v = 0 of returns R: 0.6931 mean(R) + 0.5 mean(R^2) - 0.01 * 0.6931."""
    task = task_of()

    class Equal(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros(len(x), 2), torch.zeros(len(x))

    (batch,) = task.batches(128, 0, 0, 1, CPU)
    loss = task.loss(Equal(), batch)
    returns = batch.played(Equal()).returns
    assert returns.shape == (32, 4)
    assert task.size(batch) == 128
    per_step = [0.01 * sum(0.99**power for power in range(count)) for count in (4, 3, 2, 1)]
    assert returns[0].tolist() == pytest.approx(per_step), "rewards of a hundredth"
    expected = math.log(2) * returns.mean() + 0.5 * returns.square().mean() - 0.01 * math.log(2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def poles(count: int) -> CartPoles:
    made = environment_called("CartPole-v1").copies(count)
    assert isinstance(made, CartPoles)
    return made


def test_our_cart_poles_do_what_those_of_gymnasium_do_step_by_step() -> None:
    """From the same states, by the same actions, to the end of each episode and 600 steps on."""
    ours, actions = poles(3), np.random.default_rng(0)
    ours.start(np.ones(3, bool), 7)
    theirs = [gymnasium.make("CartPole-v1") for _ in range(3)]
    ends = 0

    def begun_alike(number: int) -> None:
        theirs[number].reset(seed=0)
        theirs[number].unwrapped.state = tuple(ours.state_dict()["state"][:, number].tolist())

    for number in range(3):
        begun_alike(number)
    for step in range(600):
        chosen = actions.integers(2, size=3)
        chosen[0] = int(ours.observations[0, 2] + 0.5 * ours.observations[0, 3] > 0)  # does not fall: is cut off
        stepped = ours.step(chosen)
        for number, one in enumerate(theirs):
            seen, reward, terminated, truncated, _ = one.step(int(chosen[number]))
            assert stepped.observations[number].tolist() == pytest.approx(seen.tolist(), abs=1e-6)
            assert stepped.rewards[number] == reward
            assert (stepped.terminated[number], stepped.truncated[number]) == (terminated, truncated), step
        ends += int(stepped.ended.sum())
        if stepped.ended.any():
            ours.start(stepped.ended, step)
            assert (abs(ours.observations[stepped.ended]) <= 0.05).all(), "as an episode of gymnasium begins"
            for number in np.flatnonzero(stepped.ended).tolist():
                begun_alike(number)
    assert ends > 30


def test_a_cart_pole_that_never_falls_is_cut_off_after_500_steps() -> None:
    def upright(seen: Any) -> Any:
        return (seen[:, 2] + 0.5 * seen[:, 3] > 0).astype(np.int64)

    assert episode_returns(poles(4), 4, upright, 0) == [500.0] * 4


def test_a_random_policy_lets_the_pole_fall_after_about_22_steps() -> None:
    """9 is the least that there can be, and more than 60 on average would be another environment."""
    task = task_of()
    assert isinstance(task, GuessableTask)
    (mean,) = task.guesses("test")["return"]
    assert 18 < mean < 27
    assert task.guesses("test")["greedy_return"] == [mean]
    same = episode_returns(poles(100), 100, lambda seen: np.zeros(len(seen), np.int64), 0)
    assert min(same) >= 8
    assert max(same) <= 11


def test_an_evaluation_begins_alike_for_every_network() -> None:
    class Left(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return torch.tensor([[9.0, 0.0]]).expand(len(x), 2), torch.zeros(len(x))

    task = task_of(evaluated_episodes=20)
    first, second = (task.evaluate(Left(), "test", CPU) for _ in range(2))
    assert first == second
    assert 9 <= first["greedy_return"] <= 10
    assert task.examples == {"train": 128, "validation": 0, "test": 20}


@pytest.mark.parametrize("kind", ["CartPole-v1", "Acrobot-v1"])
def test_environments_go_on_from_their_state(kind: str) -> None:
    """CartPole by its arrays, any other by doing the same actions again from the same starts."""
    known, actions = environment_called(kind), np.random.default_rng(0)
    one, other = known.copies(3), known.copies(3)
    assert isinstance(one, CartPoles if kind == "CartPole-v1" else Replayed)
    one.start(np.ones(3, bool), 1)
    for step in range(30):
        stepped = one.step(actions.integers(known.actions, size=3))
        if stepped.ended.any() or step == 10:
            one.start(stepped.ended | np.array([step == 10, False, False]), step)
    other.load_state_dict(one.state_dict())
    assert np.array_equal(one.observations, other.observations)
    for _ in range(5):
        chosen = actions.integers(known.actions, size=3)
        assert np.array_equal(one.step(chosen).observations, other.step(chosen).observations)


def test_an_environment_that_does_something_else_again_is_refused() -> None:
    one = environment_called("Acrobot-v1").copies(1)
    one.start(np.ones(1, bool), 1)
    state = one.state_dict()
    with pytest.raises(RunError, match="Acrobot-v1 does not do the same again after the same seeds and actions"):
        one.load_state_dict(state | {"observations": state["observations"] + 1})


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("CartPoll-v1", "task.environment: Environment `CartPoll` doesn't exist. Did you mean: `CartPole`"),
        ("CartPole-v9", "task.environment: Environment version `v9` for environment `CartPole` doesn't exist"),
        ("Pendulum-v1", r"the actions of Pendulum-v1 are Box\(.*\); a task needs some of which one is taken, Discrete"),
        ("FrozenLake-v1", r"the observations of FrozenLake-v1 are Discrete\(16\); a task needs vectors of numbers"),
    ],
)
def test_environments_that_cannot_be_are_told_in_a_line(environment: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        task_of(environment=environment)
    assert "\n" not in str(error.value)


@pytest.fixture
def registered() -> Iterator[Callable[..., str]]:
    """Give what registers gymnasium's CartPole under another name."""
    before = set(gymnasium.registry)

    def register(name: str, **keys: Any) -> str:
        gymnasium.register(name, "gymnasium.envs.classic_control:CartPoleEnv", **keys)
        return name

    yield register
    for name in set(gymnasium.registry) - before:
        del gymnasium.registry[name]


def test_an_environment_whose_episodes_may_never_end_is_refused(registered: Callable[..., str]) -> None:
    with pytest.raises(DataError, match=r"of Endless-v0 may never end, .*: register it with max_episode_steps$"):
        task_of(environment=registered("Endless-v0"))


def test_an_environment_of_ones_own_is_played_copy_by_copy_whatever_its_name(registered: Callable[..., str]) -> None:
    name = registered("MyCartPole-v0", max_episode_steps=5)
    copies = environment_called(name).copies(2)
    assert isinstance(copies, Replayed)
    assert episode_returns(copies, 2, lambda seen: np.zeros(len(seen), np.int64), 0) == [5.0, 5.0]


def test_what_an_environment_needs_is_told() -> None:
    """LunarLander needs box2d and pygame, which may be here."""
    try:
        assert environment_called("LunarLander-v3").observation == 8
    except DataError as error:
        needs = "needs packages that are not installed: pip install 'gymnasium[box2d]'"
        assert str(error) == f"task.environment: LunarLander-v3 {needs}"


def test_without_gymnasium_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    message = "CartPole-v1 needs the package gymnasium: pip install 'ticketzoo[rl]'"
    with pytest.raises(DataError, match=re.escape(message)):
        task_of()


def test_code_is_not_imported_by_an_environments_name() -> None:
    with pytest.raises(ValueError, match="String should match pattern"):
        task_of(environment="os:CartPole-v1")


def test_a_batch_is_what_the_environments_do() -> None:
    task = task_of(environments=8)
    assert task.steps_per_epoch(32) == 1
    with pytest.raises(DataError, match=r"training.batch_size: is 128, but .* 8 environments x 4 steps: 32"):
        task.steps_per_epoch(128)
