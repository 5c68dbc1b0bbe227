"""The one training loop, its optimisers and schedules, checkpoints, and cells: trainings that are never redone."""

from ticketzoo.training.config import OptimizerConfig as OptimizerConfig
from ticketzoo.training.config import ScheduleConfig as ScheduleConfig
from ticketzoo.training.config import TrainingConfig as TrainingConfig
from ticketzoo.training.loop import train as train
from ticketzoo.training.record import Record as Record
