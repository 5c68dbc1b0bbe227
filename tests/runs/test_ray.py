"""`--executor ray`, by two processes of a Ray on this machine: the same tickets, also when one of them is killed."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
import torch
from made_cells import cells_in, job
from small_imagenet import write_photos

from ticketzoo.errors import RunError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.instability import StabilityRecipe, run_stability
from ticketzoo.runs.progress import Quiet
from ticketzoo.runs.store import Store
from ticketzoo.targets import TransferRecipe, run_transfer

ray = pytest.importorskip("ray")

TASK = {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 61}}
RECIPE = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": TASK | {"augment": {"crop": 1, "flip": True}},
    "training": {"steps": "100it", "batch_size": 15, "evaluate_every": "50it"},
    "finder": {"levels": 2, "rewind": "3it"},
    "arms": ["ticket", "dense", "random_mask", "random_reinit"],
    "arm_levels": [2],
    "seeds": [0, 1],
}
COMPARED = ["ticket.json", "results.jsonl", "recipe.yaml", "seed-0/masks.safetensors", "seed-1/rewind.safetensors"]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # other tests run beside it
        patch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


class Trained(Quiet):
    def __init__(self) -> None:
        self.labels: dict[str, bool] = {}
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def finished(self, label: str, record: Any, metric: str, *, trained: bool) -> None:
        self.labels[label] = trained


def recipe(**keys: Any) -> FindRecipe:
    return FindRecipe.model_validate(RECIPE | keys)


def kill_one_training(out: Path, killed: list[int]) -> None:
    """`kill -9` a process that trains, once it has written a checkpoint."""
    while not list(out.glob("cells/*.partial/checkpoint-*")):
        time.sleep(0.01)
    for process in psutil.Process().children(recursive=True):
        if not killed and process.name() == "ray::_train":
            process.kill()
            killed.append(process.pid)


@pytest.mark.slow
def test_a_cluster_finds_the_same_tickets_though_a_process_is_killed(two_workers: None, tmp_path: Path) -> None:
    progress, again, killed = Trained(), Trained(), []  # type: ignore[var-annotated]
    killer = Thread(target=kill_one_training, args=(tmp_path / "ray", killed), daemon=True)
    killer.start()
    _, found = find_and_package(recipe(), tmp_path / "ray", executor="ray", checkpoint_seconds=0, progress=progress)
    killer.join(10)
    _, expected = find_and_package(recipe(), tmp_path / "local")
    assert len(killed) == 1
    assert sorted(progress.labels.values()) == [True] * 12
    for name in COMPARED:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    cells = [{path.name for path in (tmp_path / run / "cells").iterdir()} for run in ("ray", "local")]
    assert cells[0] == cells[1]
    find_and_package(recipe(), tmp_path / "ray", executor="ray", progress=again)
    assert sorted(again.labels.values()) == [False] * 12


@pytest.mark.slow
def test_what_is_done_between_trainings_is_done_by_one_thread_at_a_time(two_workers: None, tmp_path: Path) -> None:
    def drawn(seed: int) -> float:
        torch.manual_seed(seed)
        time.sleep(0.001)
        return torch.rand(1).item()

    with Store(tmp_path, "ray") as cells, torch.random.fork_rng():
        inner = cells.each(lambda seed: cells.each(drawn, (seed, seed + 1)), range(20))
        assert inner == [[drawn(seed), drawn(seed + 1)] for seed in range(20)]


@pytest.mark.slow
def test_a_cluster_transfers_alike(two_workers: None, tmp_path: Path) -> None:
    """Two tickets are compared with one dense network, which is trained once."""
    tickets = []
    for name in ("lenet.digits-imp", "lenet.digits-other-imp"):
        rate = 0.2 if name == "lenet.digits-imp" else 0.4
        made = recipe(name=name, finder={"levels": 1, "rate": rate}, arms=["ticket"], arm_levels=[], seeds=[0])
        tickets.append(f"{find_and_package(made, tmp_path)[1]}")
    content = {"name": "there", "tickets": tickets, "levels": [1], "arms": ["ticket", "dense"], "seeds": [0]}
    content |= {"targets": [{"task": TASK}], "training": {"steps": "10it", "batch_size": 15}}
    parsed = TransferRecipe.model_validate(content)
    rows = [run_transfer(parsed, tmp_path / executor, executor=executor).rows for executor in ("ray", "local")]
    assert rows[0] == rows[1]
    assert len(list((tmp_path / "ray" / "cells").iterdir())) == 1 + 3  # the lock, two tickets and dense


@pytest.mark.slow
def test_a_cluster_measures_stability_alike(two_workers: None, tmp_path: Path) -> None:
    content = {key: RECIPE[key] for key in ("model", "task", "training")} | {"name": "there", "seeds": [0]}
    content |= {"rewind_steps": ["0it", "3it"], "levels": [0, 1], "line": {"points": 3}}
    parsed = StabilityRecipe.model_validate(content)
    for executor in ("ray", "local"):
        run_stability(parsed, tmp_path / executor, executor=executor)
    rows, expected = ((tmp_path / executor / "results.jsonl").read_text() for executor in ("ray", "local"))
    assert len(rows.splitlines()) == 2 * 2 * 3  # steps, levels and points
    assert rows == expected


@pytest.mark.slow
def test_what_is_remembered_is_computed_once_by_the_command_itself(two_workers: None, tmp_path: Path) -> None:
    """Eight threads ask for two states, each of which needs a training that the cluster does."""
    computed: list[tuple[int, int]] = []

    with Store(tmp_path, "ray") as store:

        def compute(seed: int) -> dict[str, torch.Tensor]:
            computed.append((seed, os.getpid()))
            return store.run(job(seed=seed), f"seed {seed}", keep_final=True).final_state()

        def ask(number: int) -> dict[str, torch.Tensor]:
            seed = number % 2
            return store.remember("scores", {"seed": seed}, lambda: compute(seed))

        states = store.each(ask, range(8))
    assert sorted(computed) == [(0, os.getpid()), (1, os.getpid())]
    with cells_in(tmp_path) as local:
        for seed in (0, 1):
            expected = local.run(job(seed=seed), "finished", keep_final=True).final_state()
            assert len(states[seed::2]) == 4
            for state in states[seed::2]:
                assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items())


def test_an_image_that_is_skipped_in_a_cluster_is_named_once(two_workers: None, tmp_path: Path) -> None:
    photos, progress = write_photos(tmp_path / "photos", classes=2, train=4, val=2), Trained()
    (broken := sorted(photos.glob("val/*/1.JPEG"))[0]).write_bytes(b"no image")
    dataset = {"path": str(photos), "validation": 0, "image_size": 8, "channels": 1, "in_memory": False, "workers": 0}
    task = {"type": "image-classification", "dataset": dataset | {"on_error": "skip"}, "normalize": "unit"}
    training = {"steps": "4it", "batch_size": 4}
    skipping = recipe(task=task, training=training, finder={"levels": 1}, arms=["ticket"], arm_levels=[])
    find_and_package(skipping, tmp_path / "out", executor="ray", progress=progress)
    assert len(progress.labels) == 4
    (said,) = progress.warnings
    assert f"({broken}) cannot be read: it is not an image of a known kind; skipped (unreadable" in said


@pytest.mark.slow
def test_what_goes_wrong_in_a_cluster_is_one_line(two_workers: None, tmp_path: Path) -> None:
    diverging = recipe(training=RECIPE["training"] | {"optimizer": {"name": "sgd", "lr": 1e30}})
    with pytest.raises(RunError, match=r"^seed [01] level 0/2: training diverged: train_loss"):
        find_and_package(diverging, tmp_path, executor="ray")
