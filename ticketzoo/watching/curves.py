"""The curves of a run's trainings, as they are recorded, handed to a logger."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from ticketzoo.masks.masks import sparsity
from ticketzoo.runs.progress import Quiet
from ticketzoo.training.job import Job
from ticketzoo.training.optim import learning_rate_factor
from ticketzoo.training.record import Record
from ticketzoo.util.files import write_atomically, writing_into
from ticketzoo.watching.loggers import LOGGERS, Curve, Logger, Sink

FOLDER = "log"


class Curves(Quiet):
    """A listener that logs each training: loss, learning rate and metrics at every evaluation, sparsity, densities.

    All of it is in the record of the training, which a checkpoint keeps, too: nothing is computed for the log, and a
    training that goes on is logged as if it had not been stopped. `log/<logger>/logged.json` says what was logged.

    Args:
        folder: the working folder of the run.
        logger: a name in `LOGGERS`.
        project: name of the run's recipe.

    Raises:
        RunError: the logger is unknown or not installed.
    """

    def __init__(self, folder: Path, logger: str, project: str) -> None:
        self._logger: Logger = LOGGERS[logger]
        self._logger.check()
        self._folder, self._project = folder / FOLDER / logger, project
        self._open: dict[str, Sink] = {}
        self._logged: dict[str, Any] | None = None
        self._steps: dict[str, int] = {}

    def __enter__(self) -> "Curves":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for sink in self._open.values():
            sink.close()
        self._open = {}

    def recorded(self, job: Job, label: str, folder: Path, record: Record, *, done: bool) -> None:
        """Log what is new in `record`."""
        known = self._known()
        before = known.get(label, {})
        same = before.get("cell") == folder.name
        if same and before.get("done"):
            return
        with writing_into(self._folder):
            if label not in self._open:
                self._steps[label] = -1 if self._logger.anew or not same else int(before.get("step", -1))
                self._open[label] = self._logger.make(self._curve(job, label, folder))
            for step, values in points(job, record, done=done):
                if step > self._steps[label]:
                    self._open[label].log(values, step)
                    self._steps[label] = step
            if done:
                self._open.pop(label).close()
            known[label] = {"cell": folder.name, "step": self._steps[label], "done": done}
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / "logged.json", json.dumps(known, indent=1).encode())

    def _known(self) -> dict[str, Any]:
        if self._logged is None:
            try:
                found = json.loads((self._folder / "logged.json").read_bytes())
            except (OSError, ValueError):
                found = {}
            self._logged = {key: value for key, value in found.items() if isinstance(value, dict)}
        return self._logged

    def _curve(self, job: Job, label: str, folder: Path) -> Curve:
        about = {"seed": job.seed, "start_step": job.start_step, "learns": job.learn.name, "cell": folder.name}
        return Curve(self._folder, self._project, chain_of(label), label, folder.name, about)


def chain_of(label: str) -> str:
    """Return the chain of a training: its label without the level, so that the levels of an arm stand together."""
    return " ".join(re.sub(r"\blevel \d+(/\d+)?", "", label).split())


def points(job: Job, record: Record, *, done: bool) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the steps of a training at which something was recorded, in order, and the numbers.

    Args:
        job: the training.
        record: of it so far.
        done: whether it has ended, so that its test metrics are final. They stand at the last step: `test_...` after it
            and, where there is a validation split, `best_test_...` at the step of minimum validation loss.
    """
    constant = {"sparsity": sparsity(job.masks) if job.masks else 0.0}
    constant |= {f"density/{name}": int(mask.sum()) / mask.numel() for name, mask in job.masks.items()}
    last = record.final if done else {}
    found = {point["step"]: point for point in [*record.curve, *([last] if last else [])]}
    for step, point in sorted(found.items()):
        values = {name: float(value) for name, value in point.items() if name != "step"}
        if step > job.start_step:
            values["learning_rate"] = _learning_rate(job, step)
        if last and step == last["step"] and record.best:
            best = {name: value for name, value in record.best.items() if name == "step" or name.startswith("test_")}
            values |= {f"best_{name}": float(value) for name, value in best.items()}
        yield step, values | constant


def _learning_rate(job: Job, step: int) -> float:
    """Return the learning rate of the update that made it `step` updates."""
    per_epoch = job.task.steps_per_epoch(job.training.batch_size)
    factor = learning_rate_factor(job.training.schedule, step - 1, job.iterations, per_epoch)
    return job.training.optimizer.lr * factor
