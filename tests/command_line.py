"""The command line in processes of its own, forked from one that has imported torch: a start costs nothing."""

import json
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

PATIENCE = 300
"""Seconds after which a command hangs, on the busiest machine."""

PRELOADED = [
    "ticketzoo.finding",
    "matplotlib.pyplot",
    "sklearn.datasets",
    "torch._dynamo",
    "datasets",
    "transformers.models.bert.modeling_bert",
]

RECIPE = """
name: lenet.digits-imp
model: {name: lenet-300-100, kwargs: {width: 0.05}}
task: {type: image-classification, dataset: {path: digits, classes: [0, 1, 2], examples: 64}}
training: {steps: 10it, batch_size: 16}
finder: {levels: 2}
arms: [ticket, dense, random_reinit]
arm_levels: [2]
seeds: [0, 1]
"""

TRANSFER = """
name: to-other-digits
tickets: [./runs/lenet.digits-imp/lenet.digits-imp]
levels: [2]
targets: [{task: {type: image-classification, dataset: {path: digits, classes: [3, 4, 5], examples: 64}}}]
training: {steps: 10it, batch_size: 16}
arms: [ticket, dense]
seeds: [0, 1]
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int | None
    """Exit status; minus the signal's number if one killed it."""
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """A running `ticketzoo ...` in `folder`."""

    def __init__(self, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self._out, self._err = (folder / f".std{name}" for name in ("out", "err"))
        for stream in (self._out, self._err):
            stream.write_text("")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        arguments_of_main = (str(folder), list(arguments), environment or {})
        self.process: ForkServerProcess = context.Process(target=_main, args=arguments_of_main)
        self.process.start()

    def wait(self) -> Done:
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, "the command hangs"
        return Done(self.process.exitcode, self._out.read_text(), self._err.read_text())

    def wait_for_output(self, text: str) -> None:
        """Until `text` is on its standard error."""
        deadline = time.monotonic() + PATIENCE
        while text not in self._err.read_text():
            assert self.process.is_alive() and time.monotonic() < deadline, self._err.read_text()
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


def ticketzoo(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Done:
    """Run `ticketzoo` with `arguments` in `folder` to its end."""
    return Command(folder, *arguments, environment=environment).wait()


def _main(folder: str, arguments: list[str], environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ |= environment
    multiprocessing.set_start_method(None, force=True)  # the default, not that of the process it is forked from
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(f".std{name}", os.O_WRONLY | os.O_APPEND), number)
    sys.argv = ["ticketzoo", *arguments]

    import torch

    from ticketzoo.cli import main

    torch.set_num_threads(1)
    main()
