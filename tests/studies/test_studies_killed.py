"""The shipped recipes of studies on digits, shortened: killed and started again, and by two processes."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from launched import results_of

from ticketzoo.recipe import parse_recipe
from ticketzoo.studies import StudyRecipe, run_study

ROOT = Path(__file__).resolve().parents[2]
STUDIES = (path.stem for path in (ROOT / "recipes" / "studies").glob("*.yaml"))
OF_TWO_WORDS = ("subset-sum", "weight-agnostic", "double-descent")
RECIPES = sorted(name for name in STUDIES if "-" not in name or name in OF_TWO_WORDS)
SHORT: dict[str, dict[str, Any]] = {
    "double-descent": {"training": {"steps": "10it"}, "finder": {"levels": 2, "rate": 0.5}},
    "early": {"training": {"steps": "10it"}, "seeds": [0]},
    "forgetting": {"ways": ["all", "lotto"], "calibrate": "3it", "training": {"steps": "10it"}},
    "freeze": {"levels": 2, "training": {"steps": "10it"}},
    "grokking": {"arms": ["dense", "ticket"], "decays": [1.0], "training": {"steps": "40it"}, "seeds": [0]},
    "perturbed": {"arms": ["initial_signs", "noise_1"], "training": {"steps": "40it"}},
    "subset-sum": {"counts": [4, 10], "draws": 2, "targets": 20, "training": {"steps": "10it"}},
    "tangent": {"training": {"steps": "40it"}, "finder": {"levels": 1}, "rewinds": ["10it"], "seeds": [0]},
    "weight-agnostic": {"draws": 2},
}


def start(recipe: Path, out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ticketzoo", "study", str(recipe), "--out", str(out), "--json"]
    source = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shortened(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "recipes" / "studies" / f"{name}.yaml").read_text())
    return content | {"study": content["study"] | SHORT[name]}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_study_killed_and_started_again_ends_with_the_same_rows(name: str, tmp_path: Path) -> None:
    (recipe := tmp_path / "recipe.yaml").write_text(yaml.safe_dump(shortened(name)))
    assert start(recipe, tmp_path / "whole").wait() == 0
    for finished in (1, 2):
        process = start(recipe, tmp_path / "killed")
        while process.poll() is None and len(list(tmp_path.glob("killed/cells/*/*.json"))) < finished:
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert start(recipe, tmp_path / "killed").wait() == 0
    for file in ("results.jsonl", "report.md", "recipe.yaml"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()


def measured(content: dict[str, Any], out: str) -> list[float]:
    rows = run_study(parse_recipe(content, StudyRecipe, "test"), out).rows
    return [row["value"] for row in rows if row["metric"] in ("test_accuracy", "train_accuracy")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["double-descent", "grokking", "tangent"])
def test_two_processes_measure_what_one_does(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    first, second = results_of(2, measured, tmp_path, shortened(name), str(tmp_path / "two"))
    assert first and first == second
    assert first == pytest.approx(measured(shortened(name), str(tmp_path / "one")), abs=0.02)
