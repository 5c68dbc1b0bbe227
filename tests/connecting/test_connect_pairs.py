"""Lines between replicates of a small finished run, as they are and aligned."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import made_run

from ticketzoo.connecting import PairsConfig, run_pairs
from ticketzoo.connecting.config import config_of
from ticketzoo.connecting.kept import KeptRun
from ticketzoo.connecting.report import ConnectReport
from ticketzoo.errors import RecipeError, RunError
from ticketzoo.runs.progress import Quiet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("run"))


def connect(run: Path, out: Path, other: Path | None = None, **asked: Any) -> ConnectReport:
    config = config_of(PairsConfig, "small", {"points": 3, "split": "test", **asked})
    first = KeptRun.read(run)
    return run_pairs(config, first, first if other is None else KeptRun.read(other), out=out, progress=Quiet())


@pytest.mark.parametrize("align", ["weights", "activations"])
def test_replicates_are_connected_as_they_are_and_aligned(run: Path, tmp_path: Path, align: str) -> None:
    report = connect(run, tmp_path, align=align)
    (pair,) = report.summary["pairs"]
    assert (pair["first"], pair["second"]) == (["small", 0], ["small", 1])
    assert set(pair["barriers"]) == {"none", align}
    assert [one["level"] for one in pair["overlap"]] == [1, 2]
    assert all(0 < one["aligned"] < 1 and 0 < one["iou"] < 1 for one in pair["overlap"])
    assert report.sentences[-1].startswith("the network has no BatchNorm, ")
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * 3 + 2 * 2
    again = connect(run, tmp_path / "again", align=align)
    assert again.summary == report.summary
    assert (tmp_path / "again" / "results.jsonl").read_bytes() == (tmp_path / "results.jsonl").read_bytes()


def test_what_was_not_aligned_has_no_column_of_it(run: Path, tmp_path: Path) -> None:
    report = connect(run, tmp_path)
    assert [table.columns for table in report.tables] == [
        ("networks", "as they are"),
        ("level", "sparsity", "overlap", "chance", "times chance"),
    ]
    assert "aligned" not in (tmp_path / "report.md").read_text()
    assert report.sentences[0].endswith(" over 1 pair")


def test_a_run_is_its_own_twin(run: Path, tmp_path: Path) -> None:
    """Another run of the same recipe: replicates of the same place are the same network, with the same masks."""
    twin = made_run(tmp_path / "twin")
    report = connect(run, tmp_path / "out", twin, align="weights", level=2)
    for pair in report.summary["pairs"]:
        assert pair["barriers"] == {"none": 0, "weights": 0}
        assert [one["iou"] for one in pair["overlap"]] == [one["aligned"] for one in pair["overlap"]] == [1, 1]
    assert len(report.summary["pairs"]) == 2


def test_replicates_without_a_partner_are_named(run: Path, tmp_path: Path) -> None:
    longer = made_run(tmp_path / "longer", seeds=[0, 1, 2])
    report = connect(run, tmp_path / "out", longer)
    assert len(report.summary["pairs"]) == 2
    assert "without a partner in the other run, and so left out: seeds 2 of small" in report.sentences


def test_networks_that_do_not_go_together_are_one_line(run: Path, tmp_path: Path) -> None:
    wider = made_run(tmp_path / "wider", model={"name": "lenet-300-100", "kwargs": {"width": 0.06}})
    with pytest.raises(RunError, match=r"its network is not that of .*, width included: their units cannot be matched"):
        connect(run, tmp_path / "out", wider, align="weights")
    with pytest.raises(RunError, match="one replicate has no other to connect with"):
        connect(run, tmp_path / "out", seeds=[1])
    with pytest.raises(RunError, match="--level: 3 is beyond level 2"):
        connect(run, tmp_path / "out", level=3)
    with pytest.raises(RecipeError, match="align: unknown alignment 'weigths'; did you mean weights"):
        connect(run, tmp_path / "out", align="weigths")
    assert not (tmp_path / "out").exists()
