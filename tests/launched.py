"""Several processes as torchrun starts them, forked from one that has imported torch: a start costs nothing."""

import json
import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

PATIENCE = 300
PRELOADED = ["ticketzoo.finding", "matplotlib.pyplot", "sklearn.datasets", "torch._dynamo"]


def environments(count: int) -> list[dict[str, str]]:
    """Return what torchrun tells each of `count` processes on this machine, but for a store of its own."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
    shared["LOCAL_WORLD_SIZE"] = str(count)
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def results_of(count: int, function: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """Return what `function(*arguments)`, JSON, gives in each of `count` processes that train together."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    files = [folder / f"result-{rank}-of-{count}.json" for rank in range(count)]
    started: list[ForkServerProcess] = []
    for environment, file in zip(environments(count), files, strict=True):
        started.append(context.Process(target=_run, args=(environment, file, function, arguments)))
        started[-1].start()
    for process in started:
        process.join(PATIENCE)
        assert process.exitcode == 0
    return [json.loads(file.read_text()) for file in files]


def _run(environment: dict[str, str], file: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ |= environment
    import torch

    from ticketzoo.distributed.joining import joined

    torch.set_num_threads(1)
    with joined("cpu"):
        file.write_text(json.dumps(function(*arguments)))
