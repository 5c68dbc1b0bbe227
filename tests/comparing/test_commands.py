"""`ticketzoo compare`, `combine` and `search --like`, and the page that shows them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toy_zoo import found, save_ticket
from typer.testing import CliRunner

from ticketzoo.cli.main import app
from ticketzoo.ticket import Found

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tickets of one initialization: the second has the masks of the first upside down."""
    monkeypatch.setenv("TICKETZOO_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.chdir(tmp_path)
    save_ticket(tmp_path / "registry" / "lenet.digits-imp")
    turned = []
    for one in map(found, (0, 1)):
        levels = {level: {name: mask.flip(1) for name, mask in each.items()} for level, each in one.levels.items()}
        turned.append(Found(one.seed, levels, one.rewind_state))
    save_ticket(tmp_path / "registry" / "turned", name="turned", replicates=turned)
    return tmp_path


def run(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_compare_prints_one_document_and_draws_a_figure(zoo: Path) -> None:
    found = run("compare", "lenet.digits-imp", "turned", "--level", "2", "--plot", str(zoo / "overlap.png"))
    assert found["tickets"] == ["lenet.digits-imp", "turned"]
    assert [one["levels"] for one in found["levels"]] == [{"lenet.digits-imp": 2, "turned": 2}]
    whole = {
        (one["first"], one["second"], one["start"]): one for one in found["means"] if one["parameter"] == "all layers"
    }
    assert {key: one["pairs"] for key, one in whole.items()} == {
        ("lenet.digits-imp", "lenet.digits-imp", "other"): 1,
        ("turned", "turned", "other"): 1,
        ("lenet.digits-imp", "turned", "same"): 2,
        ("lenet.digits-imp", "turned", "other"): 2,
    }
    assert (zoo / "overlap.png").is_file()


def test_many_layers_are_folded_and_the_document_has_all(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketzoo.cli.compare.MOST_LAYERS", 2)
    done = CliRunner().invoke(app, ["compare", "lenet.digits-imp", "turned"], catch_exceptions=False)
    assert done.stdout.count("and 1 more layer: --json has all") == 2
    assert "fc2.weight" in done.stdout and "fc3.weight" not in done.stdout
    assert {one["parameter"] for one in run("compare", "lenet.digits-imp", "turned")["layers"]} == {
        "fc1.weight",
        "fc2.weight",
        "fc3.weight",
    }


def test_an_unknown_way_to_combine_is_wrong_usage(zoo: Path) -> None:
    done = CliRunner().invoke(app, ["combine", "lenet.digits-imp", "turned", "--with", "xor", "--out", "either"])
    assert done.exit_code == 2
    assert "'xor'; known are and, or, minus" in re.sub(r"[\s│]+", " ", done.output)


def test_combine_writes_a_ticket_that_search_finds_to_be_like_its_parents(zoo: Path) -> None:
    made = run("combine", "lenet.digits-imp", "turned", "--with", "or", "--level", "2", "--out", "registry/either")
    assert (made["name"], made["seeds"], [one["level"] for one in made["levels"]]) == ("either", [0, 1], [2])
    assert run("verify", "either")["ok"]
    like = run("search", "--like", "either", "--registry", "registry")
    assert {one["name"] for one in like} == {"lenet.digits-imp", "turned"}
    assert all(one["likeness"]["seed"] == 0 for one in like)
    shown = CliRunner().invoke(app, ["search", "--like", "either", "--registry", "registry"])
    assert "times chance" in shown.stdout


@pytest.mark.slow
def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "comparing.md").read_text()
    place = os.environ | {"TICKETZOO_REGISTRY": str(ROOT / "registry"), "PYTHONPATH": str(ROOT)}
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    assert "mnist & fashion" in code
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=place, check=True)
    (tmp_path / "registry").symlink_to(ROOT / "registry")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        words = line.split()
        subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, env=place, check=True, stdout=subprocess.DEVNULL)
