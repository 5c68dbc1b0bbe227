import math

from ticketzoo.training.config import ScheduleConfig


def learning_rate_factor(schedule: ScheduleConfig, step: int, total: int, steps_per_epoch: int) -> float:
    """Factor on the base learning rate for the update that follows `step` finished ones, of `total`.

    A pure function of the step, so that a training resumed or rewound to step k goes on exactly where it was.
    """
    warmup = schedule.warmup.iterations(steps_per_epoch)
    if step < warmup:
        return (step + 1) / warmup
    if schedule.name == "step":
        passed = sum(step >= milestone.iterations(steps_per_epoch) for milestone in schedule.milestones)
        return schedule.gamma**passed
    progress = (step - warmup) / max(1, total - warmup)
    if schedule.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule.name == "linear":
        return 1 - progress
    return 1.0
