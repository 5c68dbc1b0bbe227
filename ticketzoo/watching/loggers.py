"""The table of loggers: where the curves of trainings go beside the run's own files."""

import csv
import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ticketzoo.errors import RunError
from ticketzoo.util.registry import Registry

Values = Mapping[str, float]


class Curve(NamedTuple):
    """A training whose curve is logged.

    Attributes:
        folder: of the logger, in that of the run.
        project: name of the run's recipe.
        chain: the trainings that it stands among, such as `seed 0`.
        label: such as `seed 0 level 1/15`.
        address: name of the training's folder in the store.
        about: facts that do not change, by name.
    """

    folder: Path
    project: str
    chain: str
    label: str
    address: str
    about: Mapping[str, Any]

    @property
    def place(self) -> Path:
        """The place where a logger of files keeps it."""
        return self.folder / _as_name(self.chain) / _as_name(self.label)


class Sink(Protocol):
    """An open curve of a logger."""

    def log(self, values: Values, step: int) -> None:
        """Take the numbers of a step, which is larger than those before."""
        ...

    def close(self) -> None:
        """Keep what was logged."""
        ...


@dataclass(frozen=True)
class Logger:
    """A row of `LOGGERS`.

    Attributes:
        name: by which `--log` asks for it; also that of the extra which installs it.
        make: opens a curve.
        words: what it is, for `--help`.
        package: what has to be installed; None where nothing has.
        anew: whether a curve that is opened again is written from its beginning; otherwise it goes on.
    """

    name: str
    make: Callable[[Curve], Sink]
    words: str
    package: str | None = None
    anew: bool = True

    def check(self) -> None:
        """Raise RunError where it is not installed."""
        if self.package is not None and find_spec(self.package) is None:
            raise RunError(f"--log {self.name} needs {self.package}: pip install 'ticketzoo[{self.name}]'")


LOGGERS: Registry[Logger] = Registry("logger", Logger, error=RunError)


@LOGGERS.add("csv", words="a file for each training")
class CsvSink:
    """Writes `<chain>/<label>.csv`, a line for each evaluation, whole or not at all."""

    def __init__(self, curve: Curve) -> None:
        self._path = curve.place.with_name(f"{curve.place.name}.csv")
        self._rows: list[dict[str, float]] = []

    def log(self, values: Values, step: int) -> None:
        """Take a line."""
        self._rows.append({"step": step, **values})
        self.close()

    def close(self) -> None:
        """Write the file."""
        from ticketzoo.util.files import write_atomically

        text = io.StringIO()
        names = dict.fromkeys(name for row in self._rows for name in row)
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, text.getvalue().encode())


class _TrackerSink:
    """Hands numbers on to one of accelerate's trackers."""

    def __init__(self, tracker: Any) -> None:
        from accelerate import PartialState

        self._tracker = tracker
        PartialState()  # trackers ask it which process this is, before they say anything
        tracker.start()

    def log(self, values: Values, step: int) -> None:
        self._tracker.log(dict(values), step=step)

    def close(self) -> None:
        self._tracker.finish()


@LOGGERS.add("tensorboard", words="event files for tensorboard --logdir", package="tensorboard")
def tensorboard(curve: Curve) -> Sink:
    """Open `<chain>/<label>/`; event files of an earlier process are removed, as their numbers come again."""
    from accelerate.tracking import TensorBoardTracker

    if curve.place.is_dir():
        shutil.rmtree(curve.place)
    return _TrackerSink(TensorBoardTracker(curve.place.name, logging_dir=curve.place.parent))


@LOGGERS.add("trackio", words="a local trackio project", package="trackio", anew=False)
def trackio(curve: Curve) -> Sink:
    """Open the run of that name in the project called as the recipe."""
    from accelerate.tracking import TrackioTracker

    name = f"{curve.label} {curve.address[:6]}"
    about = {**curve.about, "chain": curve.chain}
    return _TrackerSink(TrackioTracker(curve.project, name=name, group=curve.chain, config=about, resume="allow"))


@LOGGERS.add("wandb", words="Weights & Biases; WANDB_MODE=offline keeps it here", package="wandb", anew=False)
def wandb(curve: Curve) -> Sink:
    """Open the run whose id is the training's address, in the project called as the recipe."""
    from accelerate.tracking import WandBTracker

    where = {"id": curve.address, "resume": "allow", "reinit": "create_new", "dir": str(curve.folder)}
    curve.folder.mkdir(parents=True, exist_ok=True)
    named = {"name": curve.label, "group": curve.chain, "config": dict(curve.about)}
    return _TrackerSink(WandBTracker(curve.project, **named, **where))


def _as_name(text: str) -> str:
    """Return a label as the name of a file."""
    return "".join(char if char.isalnum() or char in "-_.=" else "-" for char in text).strip("-.") or "run"
