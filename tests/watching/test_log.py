"""`--log`: what loggers are told, that it can be read back, and that no number of the run moves."""

import csv
import json
import signal
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import RECIPE, Command, ticketzoo
from made_cells import cells_in, job, training
from watched_run import run

from ticketzoo import find
from ticketzoo.errors import RunError
from ticketzoo.runs.progress import Quiet
from ticketzoo.watching.curves import Curves, chain_of, points
from ticketzoo.watching.loggers import LOGGERS, Curve, Logger


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def log(folder: Path, logger: str, *, executor: str = "local", **keys: Any) -> Any:
    with (
        Curves(folder, logger, "made") as curves,
        cells_in(folder / "cells", executor=executor, progress=curves) as store,
    ):
        return store.run(job(**keys), "seed 0 level 1/2", keep_final=True)


SCHEDULE = {"name": "linear", "warmup": "0it"}


def test_a_file_has_a_line_for_each_evaluation(tmp_path: Path) -> None:
    cell = log(tmp_path, "csv", training=training(optimizer={"lr": 0.6}, schedule=SCHEDULE))
    rows = read_csv(tmp_path / "log/csv/seed-0/seed-0-level-1-2.csv")
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    # of 6 updates the second begins after 1: 0.6 * (1 - 1/6), the fourth after 3, the sixth after 5
    assert [round(float(row["learning_rate"]), 6) for row in rows] == [0.5, 0.3, 0.1]
    for row, point in zip(rows, cell.record.curve, strict=True):
        assert float(row["validation_loss"]) == point["validation_loss"]
        assert float(row["train_loss"]) == point["train_loss"]
        assert (row["sparsity"], row["density/fc1.weight"]) == ("0.5", "0.5")
    assert [row["test_loss"] for row in rows[:-1]] == ["", ""]
    assert float(rows[-1]["test_loss"]) == cell.record.final["test_loss"]
    assert int(float(rows[-1]["best_step"])) == cell.record.best["step"]
    assert float(rows[-1]["best_test_loss"]) == cell.record.best["test_loss"]


@pytest.mark.parametrize("executor", ["local", "stacked"])
def test_trainings_found_finished_are_logged_of_their_records(tmp_path: Path, executor: str) -> None:
    with cells_in(tmp_path / "cells") as store:
        store.run(job(), "seed 0 level 1/2", keep_final=True)
    log(tmp_path, "csv", executor=executor)
    file = tmp_path / "log/csv/seed-0/seed-0-level-1-2.csv"
    first = file.read_bytes()
    assert len(read_csv(file)) == 3
    file.write_bytes(b"")
    log(tmp_path, "csv")  # it is known to be logged
    assert file.read_bytes() == b""
    log(tmp_path, "csv", seed=1)  # another training of that label takes its place
    assert len(read_csv(file)) == 3 and file.read_bytes() != first


def test_tensorboard_reads_back_each_step_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = Curves(tmp_path, "tensorboard", "made")
    with cells_in(tmp_path / "cells", progress=Quiet()) as store:
        cell = store.run(job(), "seed 0 level 1/2", keep_final=True)
    half = type(cell.record)(curve=cell.record.curve[:2])
    curves.recorded(job(), "seed 0 level 1/2", cell.folder, half, done=False)  # and this process is killed
    log(tmp_path, "tensorboard")
    (folder,) = (tmp_path / "log/tensorboard/seed-0").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    for name, wanted in {
        "validation_loss": [(point["step"], point["validation_loss"]) for point in cell.record.curve],
        "test_loss": [(6, cell.record.final["test_loss"])],
        "density/fc1.weight": [(2, 0.5), (4, 0.5), (6, 0.5)],
    }.items():
        assert [(one.step, pytest.approx(one.value)) for one in events.Scalars(name)] == wanted
    curves.__exit__(None, None, None)


@pytest.mark.skipif(find_spec("trackio") is None, reason="needs trackio: pip install 'ticketzoo[trackio]'")
def test_trackio_reads_back_each_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    with cells_in(tmp_path / "cells", progress=Quiet()) as store:
        cell = store.run(job(), "seed 0 level 1/2", keep_final=True)
    half = type(cell.record)(curve=cell.record.curve[:2])
    with Curves(tmp_path, "trackio", "made") as curves:
        curves.recorded(job(), "seed 0 level 1/2", cell.folder, half, done=False)
    log(tmp_path, "trackio")
    from trackio.sqlite_storage import SQLiteStorage

    (name,) = SQLiteStorage.get_runs("made")
    assert name == f"seed 0 level 1/2 {cell.folder.name[:6]}"
    told = SQLiteStorage.get_logs("made", name)
    wanted = [(point["step"], point["validation_loss"]) for point in cell.record.curve]
    assert [(one["step"], pytest.approx(one["validation_loss"])) for one in told] == wanted
    assert told[-1]["test_loss"] == pytest.approx(cell.record.final["test_loss"])


def wandb_records(content: bytes) -> list[bytes]:
    """The records of a file of wandb: after 7 bytes blocks of 32 KiB, of pieces with checksum, length and kind."""
    records, place = [b""], 7
    while place + 7 <= len(content):
        if (room := 2**15 - place % 2**15) < 7:
            place += room
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        records[-1] += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            records.append(b"")
    return records[:-1]


@pytest.mark.skipif(find_spec("wandb") is None, reason="needs wandb: pip install 'ticketzoo[wandb]'")
def test_wandb_offline_reads_back_each_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    cell = log(tmp_path, "wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = (tmp_path / "log/wandb/wandb").glob(f"offline-run-*/run-{cell.folder.name}.wandb")
    told = []
    for record in map(Record.FromString, wandb_records(file.read_bytes())):
        if record.HasField("run"):
            assert (record.run.project, record.run.display_name) == ("made", "seed 0 level 1/2")
        if record.HasField("history"):
            items = record.history.item
            told.append({"/".join(one.nested_key) or one.key: json.loads(one.value_json) for one in items})
    wanted = [(point["step"], point["validation_loss"]) for point in cell.record.curve]
    assert [(one["_step"], pytest.approx(one["validation_loss"])) for one in told] == wanted
    assert told[-1]["test_loss"] == pytest.approx(cell.record.final["test_loss"])


def test_a_logger_that_goes_on_is_told_no_step_twice(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []

    class Told:
        def __init__(self, curve: Curve) -> None:
            assert (curve.chain, curve.project, curve.about["seed"]) == ("seed 0", "made", 0)
            self.address = curve.address

        def log(self, values: Any, step: int) -> None:
            told.append((self.address, step))

        def close(self) -> None:
            told.append((self.address, 0))

    before = dict(LOGGERS._entries)
    try:
        LOGGERS.put(Logger("told", Told, "for this test", anew=False))
        with cells_in(tmp_path / "cells") as store:
            cell = store.run(job(), "seed 0 level 1/2", keep_final=True)
        half = type(cell.record)(curve=cell.record.curve[:2])
        Curves(tmp_path, "told", "made").recorded(job(), "seed 0 level 1/2", cell.folder, half, done=False)
        log(tmp_path, "told")
        log(tmp_path, "told")
    finally:
        LOGGERS._entries = before
    assert told == [(cell.folder.name, step) for step in (2, 4, 6, 0)]


def test_a_logger_that_is_missing_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="unknown logger 'tensorbord'; did you mean tensorboard"):
        Curves(tmp_path, "tensorbord", "made")
    monkeypatch.setattr("ticketzoo.watching.loggers.find_spec", lambda name: None)
    for name in ("tensorboard", "trackio", "wandb"):
        with pytest.raises(RunError, match=rf"--log {name} needs {name}: pip install 'ticketzoo\[{name}\]'"):
            Curves(tmp_path, name, "made")
    assert list(tmp_path.iterdir()) == []


def numbers(folder: Path) -> dict[str, Any]:
    """All files of a run's trainings and its ticket, without durations."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or path.name in (".lock", "README.md") or name.startswith(("watch", "log")):
            continue
        found[name] = path.read_bytes()
        if path.name == "cell.json":
            content = json.loads(path.read_bytes())
            found[name] = {**content, "record": {**content["record"], "seconds": 0, "cpu_seconds": 0}}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_a_log_moves_no_number(tmp_path: Path, logger: str) -> None:
    if (package := LOGGERS[logger].package) and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    run(tmp_path / "without", Quiet())
    with Curves(tmp_path / "with", logger, "small") as curves:
        run(tmp_path / "with", curves)
    assert numbers(tmp_path / "with") == numbers(tmp_path / "without")
    chains = sorted(path.name for path in (tmp_path / "with" / "log" / logger).iterdir() if path.is_dir())
    draws = [f"seed-{seed}-random_mask-draw-{draw}" for seed in (0, 1) for draw in (0, 1)]
    assert chains == sorted(["seed-0", "seed-1", *draws])


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "find.yaml").write_text(RECIPE)
    settings = (
        "training.steps=1500it",
        "training.evaluate_every=50it",
        "finder.levels=1",
        "seeds=[0]",
        "arms=[ticket]",
    )
    sets = [*(f"--set={setting}" for setting in settings), "--set=arm_levels=null"]
    command = ("find", "find.yaml", *sets, "--log", "csv", "--checkpoint-seconds", "0.2", "--out", "runs/long")
    running = Command(tmp_path, *command)
    running.wait_for_output("seed 0 level 0/1: test accuracy")
    running.send(signal.SIGTERM)
    assert running.wait().status == 128 + signal.SIGTERM
    assert ticketzoo(tmp_path, *command).status == 0
    for label in ("seed-0-level-0-1", "seed-0-level-1-1"):
        rows = read_csv(tmp_path / "runs/long/log/csv/seed-0" / f"{label}.csv")
        assert [int(row["step"]) for row in rows] == list(range(50, 1501, 50))
    wrong = ticketzoo(tmp_path, "find", "find.yaml", "--log", "tensorbord")
    assert wrong.status == 2 and "unknown logger 'tensorbord'" in wrong.err


def test_the_chain_of_a_training_is_its_label_without_the_level() -> None:
    assert chain_of("seed 0 level 12/15") == "seed 0"
    assert chain_of("seed 0 level 2/15 random_mask draw 1") == "seed 0 random_mask draw 1"
    assert chain_of("lenet level 3 on mnist seed 2 dense") == "lenet on mnist seed 2 dense"


def test_a_dense_training_without_validation_has_its_last_point_alone() -> None:
    record: Any = type("Record", (), {})()
    record.curve, record.best, record.final = [], {}, {"step": 6, "train_loss": 1.0, "test_loss": 2.0}
    assert list(points(job(masks={}), record, done=False)) == []
    ((step, values),) = points(job(masks={}), record, done=True)
    assert step == 6 and values["sparsity"] == 0.0 and not any(name.startswith("density") for name in values)


def test_python_logs_as_the_command_does(tmp_path: Path) -> None:
    (tmp_path / "find.yaml").write_text(RECIPE)
    keys = ["training.steps=4it", "finder.levels=1", "arms=[ticket, dense]", "seeds=[0]"]
    asked = {"set": keys, "out": tmp_path / "run", "device": "cpu", "progress": False}
    with pytest.raises(RunError, match="unknown logger 'paper'"):
        find(tmp_path / "find.yaml", log="paper", **asked)
    find(tmp_path / "find.yaml", log="csv", **asked)
    assert len(list((tmp_path / "run/log/csv").rglob("*.csv"))) == 2
