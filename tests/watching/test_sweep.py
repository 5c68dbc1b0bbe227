"""`--sweep`: a grid's points as runs of their own, that share trainings, and one table of all."""

import json
from pathlib import Path

import pytest
from command_line import RECIPE, ticketzoo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_zoo import save_ticket
from typer.testing import CliRunner

from ticketzoo.api.sweep import sweep
from ticketzoo.cli.main import app
from ticketzoo.errors import RecipeError
from ticketzoo.recipe.reading import apply_override
from ticketzoo.watching.folder import read_run
from ticketzoo.watching.sweep import as_yaml, grid, swept, write_sweep
from ticketzoo.zoo.places import ticket_folder

SETTINGS = ("--set=training.steps=4it", "--set=finder.levels=1", "--set=arm_levels=[1]", "--set=seeds=[0]")


def test_a_grid_has_a_point_for_each_combination_named_by_what_varies() -> None:
    points = grid(["finder.rate=[0.2, 0.5]", "training.schedule.name=[cosine, linear]"])
    assert [point.name for point in points] == [
        "rate=0.2,name=cosine",
        "rate=0.2,name=linear",
        "rate=0.5,name=cosine",
        "rate=0.5,name=linear",
    ]
    assert points[0].overrides == ["finder.rate=0.2", "training.schedule.name=cosine"]
    assert points[0].named("quickstart") == "quickstart-rate-0.2-name-cosine"
    assert swept(points) == "rate-name"
    both = grid(["a.name=[x]", "b.name=[y]"])
    assert both[0].name == "a.name=x,b.name=y"
    assert [point.name for point in grid(["seeds=[[0, 1], [2]]"])] == ["seeds=0+1", "seeds=2"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["finder.rate"], "write key=\\[a, b, c\\]"),
        (["finder.rate=0.2"], "write key=\\[a, b, c\\]"),
        (["finder.rate=[]"], "write key=\\[a, b, c\\]"),
        (["finder.rate=[0.2, 0.2]"], "a value is there twice"),
        (["finder.rate=[0.2]", "finder.rate=[0.5]"], "finder.rate is swept already"),
        (["a=" + json.dumps(list(range(40))), "b=" + json.dumps(list(range(40)))], "1,600 points are more than 1,000"),
    ],
)
def test_what_is_no_grid_is_refused(asked: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        grid(asked)


def test_a_point_has_a_state_and_its_ticket_a_name_outside_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = grid(["finder.rate=[0.2, 0.5]"])
    write_sweep(sweep := Path("runs/by-rate"), "find", "toy", [first, second])
    assert [read_run(sweep / one.name).words for one in (first, second)] == ["not begun", "not begun"]
    name = first.named("toy")
    saved = save_ticket(sweep / first.name / name)
    assert ticket_folder(name) == saved


def test_a_key_that_is_swept_and_unknown_is_blamed_on_the_sweep() -> None:
    done = CliRunner().invoke(app, ["find", "quickstart", "--plan", "--sweep", "finder.rat=[0.1]"])
    assert "--sweep finder.rat=0.1: unknown key 'finder.rat', did you mean 'rate'?" in str(done.exception)


LETTERS = st.characters(max_codepoint=0x2FF, categories=["L", "N", "P", "S", "Zs"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9, width=16) | st.text(LETTERS, max_size=100),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "k"]), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(VALUES, min_size=1, max_size=4, unique_by=lambda value: json.dumps(value, sort_keys=True)))
def test_any_values_make_names_that_differ_and_stand_for_them(values: list[object]) -> None:
    points = grid([f"a.b={json.dumps(values)}"])
    assert len({point.name for point in points}) == len(values)
    for point, value in zip(points, values, strict=True):
        assert Path(point.name).name == point.name and len(point.name.encode()) < 200 and point.name.isascii()
        content: dict[str, dict[str, object]] = {"a": {}}
        for override in point.overrides:
            apply_override(content, override)
        assert content == {"a": {"b": value}}


@pytest.mark.slow
def test_a_sweep_shares_trainings_goes_on_and_is_shown_again(tmp_path: Path) -> None:
    (tmp_path / "find.yaml").write_text(RECIPE)
    command = ("find", "find.yaml", *SETTINGS, "--sweep", "finder.rate=[0.2,0.5]")
    done = ticketzoo(tmp_path, *command)
    assert done.status == 0, done.err
    folder = tmp_path / "runs" / "lenet.digits-imp-by-rate"
    assert done.out.splitlines()[-1] == "runs/lenet.digits-imp-by-rate"
    assert "point 2 of 2: rate=0.5" in done.err
    # dense is the same at both: of 2 * 3 trainings 5 are different
    assert len(list((folder / "cells").glob("*/cell.json"))) == 5
    for rate in ("0.2", "0.5"):
        ticket = folder / f"rate={rate}" / f"lenet.digits-imp-rate-{rate}"
        assert f"rate: {rate}" in (ticket / "recipe.yaml").read_text()
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    shown = ticketzoo(tmp_path, "report", str(folder), "--json").json
    assert [(one["values"], one["run"]["state"]) for one in shown["points"]] == [
        ({"finder.rate": 0.2}, "finished"),
        ({"finder.rate": 0.5}, "finished"),
    ]
    again = ticketzoo(tmp_path, *command)
    assert again.out == done.out and "[1/" not in again.err  # nothing was trained again
    assert "finder.rate" in again.out and "0.500" in again.out
    told = " ".join(again.out.split())
    assert "matching up to" not in told and "No level is known to match dense." in told  # with one seed
    cleaned = ticketzoo(tmp_path, "clean", "--json").json
    assert [one["freed"] for one in cleaned["runs"]] == [[], []]


@pytest.mark.slow
def test_a_point_that_fails_does_not_keep_the_others_back(tmp_path: Path) -> None:
    (tmp_path / "find.yaml").write_text(RECIPE)
    lr = "training.optimizer.lr=[1.0e+30,0.1]"
    done = ticketzoo(tmp_path, "find", "find.yaml", *SETTINGS, "--sweep", lr, "--out", "runs/lr")
    assert done.status == 1
    assert "1 of 2 points failed, the first: lr=1e-30" in done.err.replace("1e+30", "1e-30")
    report = (tmp_path / "runs/lr/report.md").read_text()
    assert "1 of 2 points finished" in report and "failed" in report
    wrong = ticketzoo(tmp_path, "find", "find.yaml", "--sweep", "finder.rat=[0.1]")
    assert wrong.status == 1 and "--sweep finder.rat=0.1: unknown key 'finder.rat'" in wrong.err
    assert not (tmp_path / "runs" / "lenet.digits-imp-by-rat").exists()


@pytest.mark.slow
def test_python_sweeps_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("find.yaml").write_text(RECIPE)
    settings = [one.removeprefix("--set=") for one in SETTINGS]
    report = sweep("find", "find.yaml", {"finder.rate": [0.2, 0.5]}, set=settings, device="cpu", progress=False)
    assert report.folder == Path("runs/lenet.digits-imp-by-rate")
    assert [one and one.run.state for _, one in report.points] == ["finished", "finished"]


@pytest.mark.parametrize(
    "value", [1e-05, 1e20, 0.1, "1e-05", "\N{GRINNING FACE}", True, None, [1, "a: b"], {"name": "x"}]
)
def test_a_value_from_python_is_that_value_at_its_point(value: object) -> None:
    (point,) = grid([f"key={as_yaml([value])}"])
    assert point.values == {"key": value} and type(point.values["key"]) is type(value)


def test_python_refuses_a_sweep_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"--sweep finder.rat=0.1: unknown key 'finder.rat'"):
        sweep("find", "quickstart", {"finder.rat": [0.1]})
    assert list(tmp_path.iterdir()) == []
