import pytest

from ticketzoo.recipe import Steps
from ticketzoo.training import ScheduleConfig
from ticketzoo.training.optim import learning_rate_factor


def factors(schedule: ScheduleConfig, steps: list[int], *, total: int, per_epoch: int = 10) -> list[float]:
    return [learning_rate_factor(schedule, step, total, per_epoch) for step in steps]


def test_a_constant_rate_stays() -> None:
    assert factors(ScheduleConfig(), [0, 5, 9], total=10) == [1, 1, 1]


def test_warm_up_rises_by_equal_steps_to_the_full_rate() -> None:
    schedule = ScheduleConfig(warmup=Steps(4, "it"))
    assert factors(schedule, [0, 1, 2, 3, 4, 9], total=10) == [0.25, 0.5, 0.75, 1, 1, 1]


def test_a_step_schedule_multiplies_from_each_milestone_on() -> None:
    schedule = ScheduleConfig(name="step", milestones=(Steps(2, "ep"), Steps(35, "it")), gamma=0.5)
    assert factors(schedule, [0, 19, 20, 34, 35, 99], total=100) == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_a_cosine_falls_by_half_in_the_middle_and_to_nothing_at_the_end() -> None:
    cosine = ScheduleConfig(name="cosine")
    # (1 + cos(pi * step / 12)) / 2: cos is 1, 1/2, 0, -1/2, -1 at steps 0, 4, 6, 8, 12
    assert factors(cosine, [0, 4, 6, 8, 12], total=12) == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_a_linear_rate_falls_evenly() -> None:
    assert factors(ScheduleConfig(name="linear"), [0, 1, 5, 9], total=10) == pytest.approx([1, 0.9, 0.5, 0.1])


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_after_a_warm_up_the_fall_begins_at_the_full_rate(name: str) -> None:
    schedule = ScheduleConfig(name=name, warmup=Steps(1, "ep"))
    assert factors(schedule, [9, 10, 15, 20], total=20) == pytest.approx([1, 1, 0.5, 0])


def test_milestones_and_gamma_hold_after_a_warm_up_too() -> None:
    schedule = ScheduleConfig(name="step", warmup=Steps(2, "it"), milestones=(Steps(5, "it"),))
    assert factors(schedule, [0, 1, 4, 5], total=10) == pytest.approx([0.5, 1, 1, 0.1])
