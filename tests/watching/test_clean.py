"""`ticketzoo clean`: what a run no longer needs, and what is never touched."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from watched_run import StopAfter, Stopped, run

from ticketzoo.cli.watch import clean
from ticketzoo.errors import RunError
from ticketzoo.runs.progress import Quiet
from ticketzoo.watching.clean import clean_runs
from ticketzoo.watching.sweep import grid, write_sweep

OTHER = "0123456789abcdef0123"
"""The name of a training that no recipe asks for."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "small"
    run(folder, Quiet())
    return folder


@pytest.fixture
def littered(finished: Path, tmp_path: Path) -> Path:
    """A finished run with all that processes that were killed may leave, and a training of another recipe."""
    folder = tmp_path / "small"
    shutil.copytree(finished, folder)
    cells = folder / "cells"
    (first, second, *_) = sorted(path.parent for path in cells.glob("*/cell.json"))
    shutil.copytree(first, cells / OTHER)
    (first / "checkpoint-4.safetensors").write_bytes(b"12345")
    (cells / f"{second.name}.partial").mkdir()
    (cells / f"{second.name}.partial" / "checkpoint-4.safetensors").write_bytes(b"123")
    (second / ".cell.json.new").write_bytes(b"1")
    (folder / ".small.0a1b2c3d.new").mkdir()
    (folder / "watch" / "report.md").write_text("so far")
    remembered = cells / "aaaaaaaaaaaaaaaaaaaa"
    remembered.mkdir()
    (remembered / "gradients.safetensors").write_bytes(b"1")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def found(folder: Path, *, remove: bool = False) -> dict[str, str]:
    (cleaning,) = clean_runs(folder, remove=remove)
    return {str(one.path.relative_to(folder)): one.why for one in cleaning.freed}


def test_what_nobody_needs_is_named_and_goes_with_yes_alone(littered: Path, finished: Path) -> None:
    before = files(littered)
    said = found(littered)
    assert files(littered) == before
    partial = next(path.name for path in (littered / "cells").glob("*.partial"))
    first = min(path.parent.name for path in (finished / "cells").glob("*/cell.json"))
    second = partial.removesuffix(".partial")
    assert said == {
        ".small.0a1b2c3d.new": "half written by a process that has ended",
        f"cells/{second}/.cell.json.new": "half written by a process that has ended",
        f"cells/{OTHER}": "a training that no recipe here asks for",
        f"cells/{first}/checkpoint-4.safetensors": "checkpoint of a finished training",
        f"cells/{partial}": "checkpoints of a training that no recipe here waits for",
        "watch/report.md": "table or plot of the unfinished run",
    }
    assert found(littered, remove=True) == said
    after = files(littered)
    assert {name for name in after if "lock" not in name} == {
        *(name for name in files(finished) if "lock" not in name),
        "cells/aaaaaaaaaaaaaaaaaaaa/gradients.safetensors",
    }
    assert found(littered) == {}
    run(littered, Quiet())
    assert {k: v for k, v in files(littered).items() if "lock" not in k} == {
        k: v for k, v in after.items() if "lock" not in k
    } | {"watch/run.json": (littered / "watch/run.json").read_bytes()}


def test_the_command_that_it_names_frees_what_it_showed_and_no_other_folder(
    littered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean(littered)
    assert capsys.readouterr().out.endswith(f" of 1 run can be freed: ticketzoo clean {littered} --yes\n")
    clean(littered, yes=True)
    assert capsys.readouterr().out.endswith(" of 1 run freed\n")
    clean(littered)
    assert capsys.readouterr().out == "0 B of 1 run can be freed\n"


def test_a_run_in_use_is_not_touched(littered: Path) -> None:
    before = files(littered)
    with FileLock(littered / "cells" / ".lock"):
        (cleaning,) = clean_runs(littered.parent, remove=True)
    assert cleaning.freed == [] and "in use" in cleaning.kept
    assert files(littered) == before


def test_an_unfinished_run_keeps_its_trainings_and_their_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, StopAfter(2))
    (tmp_path / "cells" / f"{OTHER}.partial").mkdir()
    (tmp_path / "cells" / f"{OTHER}.partial" / "checkpoint-4.safetensors").write_bytes(b"1")
    before = files(tmp_path)
    (cleaning,) = clean_runs(tmp_path, remove=True)
    assert cleaning.freed == [] and "all its finished trainings stay" in cleaning.kept
    assert files(tmp_path) == before


@pytest.mark.parametrize("changed", [{"seeds": [0]}, {"finder": {"levels": 1}}])
def test_a_recipe_that_came_later_leaves_what_the_kept_ticket_needs(
    finished: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    folder = tmp_path / "small"
    shutil.copytree(finished, folder)
    run(folder, Quiet(), **changed)  # the first ticket is kept beside the new one
    (cleaning,) = clean_runs(folder, remove=True)
    assert cleaning.freed == [] and "several recipes" in cleaning.kept


def test_a_point_of_a_sweep_leaves_what_the_other_points_need(tmp_path: Path) -> None:
    points = grid(["finder.rate=[0.2,0.5]"])
    write_sweep(tmp_path, "find", "small", points)
    first, second = (tmp_path / point.name for point in points)
    keys: dict[str, Any] = {"seeds": [0], "arms": ["ticket", "dense"]}
    run(first, Quiet(), finder={"levels": 1, "rate": 0.2}, **keys)
    shutil.copytree(next((first / "cells").glob("*/cell.json")).parent, tmp_path / "cells" / OTHER)
    before = files(tmp_path)
    (cleaning,) = clean_runs(first, remove=True)  # the second has not begun: nobody knows what it will need
    assert cleaning.freed == [] and "not finished" in cleaning.kept and files(tmp_path) == before
    run(second, Quiet(), finder={"levels": 1, "rate": 0.5}, **keys)
    for point in (first, second):
        assert found(point) == {f"cells/{OTHER}": "a training that no recipe here asks for"}
    assert found(first, remove=True) and found(second) == {}
    # dense, and a ticket of each rate
    assert len(list((tmp_path / "cells").glob("*/cell.json"))) == 3


def test_a_training_stays_from_whose_weights_another_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = Path("runs/first"), Path("runs/second")
    keys: dict[str, Any] = {"finder": {"levels": 1, "rate": 0.5}, "arms": ["ticket", "dense"]}
    run(first, Quiet(), **keys)
    (journal,) = (first / "watch").glob("*.jsonl")
    labels = {
        line["label"]: line["cell"] for line in map(json.loads, journal.read_text().splitlines()) if "cell" in line
    }
    dense, sparse = (labels[f"seed 1 {which}"] for which in ("level 0/1", "level 1/1"))
    shutil.rmtree(first / "small")
    run(first, Quiet(), seeds=[0], **keys)  # which asks for neither of them
    model = {"name": "lenet-300-100", "kwargs": {"width": 0.05}}
    run(second, Quiet(), seeds=[0], model=model | {"weights": f"runs/first/cells/{dense}"}, **keys)
    why = "a training that no recipe here asks for"
    assert found(first) == {f"cells/{sparse}": why}
    freed = [one.path.name for run in clean_runs(Path("runs"), remove=True) for one in run.freed]
    assert freed == [sparse] and (first / "cells" / dense / "cell.json").is_file()
    shutil.rmtree(second)
    assert found(first) == {f"cells/{dense}": why}


def test_of_trainings_that_share_a_label_each_stays(littered: Path) -> None:
    (journal,) = (littered / "watch").glob("*.jsonl")
    lines = journal.read_text().splitlines()
    first = next(json.loads(line) for line in lines if "cell" in line)
    # a search that tries several steps to rewind to trains the same levels at each
    journal.write_text("\n".join([json.dumps(first | {"cell": OTHER}), *lines]) + "\n")
    assert f"cells/{OTHER}" not in found(littered)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no folder of a run, nor one that holds any"):
        clean_runs(tmp_path, remove=True)
