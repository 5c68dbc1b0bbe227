"""What becomes of a ticket in whose place another one is written, and what a ticket says of local folders."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import ticketzoo
from ticketzoo import Ticket, load_ticket
from ticketzoo.recipe import without_local_paths
from ticketzoo.zoo.add import add_ticket

RECIPE: dict[str, Any] = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.05}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1], "examples": 32}},
    "training": {"steps": "2it", "batch_size": 16},
    "finder": {"levels": 1},
    "arms": ["ticket", "dense"],
    "seeds": [0, 1],
    "license": "apache-2.0",
}


@pytest.fixture(autouse=True)
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caches: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "find.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path / "find.yaml"


def find(*overrides: str) -> Ticket:
    return ticketzoo.find("find.yaml", set=overrides, progress=False)


def make_photos(folder: Path) -> Path:
    for split, number in (("train", 8), ("test", 4)):
        for label in ("cat", "dog"):
            (folder / split / label).mkdir(parents=True)
            for index in range(number):
                Image.new("L", (8, 8), index * 9 + len(label)).save(folder / split / label / f"{index}.png")
    return folder


@pytest.mark.slow
def test_a_ticket_of_other_settings_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "lenet.digits-imp"
    first = find()
    again = find()
    assert again.config == first.config, "nothing is said of what is the same"
    assert [path.name for path in run.iterdir() if path.name not in ("cells", "watch")] == ["lenet.digits-imp"]
    second = find("seeds=[0]")
    kept = list(run.glob("lenet.digits-imp.*"))
    assert len(kept) == 1
    assert (load_ticket(kept[0].name).seeds, second.seeds) == ([0, 1], [0])
    assert load_ticket("lenet.digits-imp").seeds == [0]
    find()  # the first in place again, the second beside it
    assert load_ticket("lenet.digits-imp").seeds == [0, 1]
    assert {tuple(load_ticket(path.name).seeds) for path in run.glob("lenet.digits-imp.*")} == {(0,), (0, 1)}


@pytest.mark.slow
def test_a_ticket_of_a_folder_names_its_last_part_and_has_no_licence_of_the_recipe_s(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = make_photos(tmp_path / "private" / "photos")
    ticket = find(f"task.dataset.path={photos}", "task.dataset.classes=null", "task.dataset.examples=null")
    assert ticket.config.license is None
    assert "--set license=" in caplog.text
    assert yaml.safe_load(ticket.recipe_text)["task"]["dataset"]["path"] == "./photos"
    for path in (tmp_path / "runs" / "lenet.digits-imp" / "lenet.digits-imp").rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes(), path
    stated = find(f"task.dataset.path={photos}", "task.dataset.classes=null", "task.dataset.examples=null",
                  "license=mit")  # fmt: skip
    assert stated.config.license == "mit"
    assert find("task.dataset.examples=30").config.license == "apache-2.0"


@pytest.mark.slow
@pytest.mark.parametrize("path", [".", "./", "..", "train/..", "../photos/train/.."])
def test_a_ticket_of_a_folder_that_is_named_by_dots_is_sound(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = make_photos(tmp_path / "private" / "photos")
    monkeypatch.chdir(photos / "train" if path == ".." else photos)
    changes = [f"task.dataset.path={path}", "task.dataset.classes=null", "task.dataset.examples=null"]
    out = tmp_path / "out"
    ticket = ticketzoo.find(tmp_path / "find.yaml", out=out, set=changes, progress=False)
    assert ticket.config.source.dataset == "photos"
    assert yaml.safe_load(ticket.recipe_text)["task"]["dataset"]["path"] == "./photos"
    assert add_ticket(out / ticket.name, tmp_path / "registry").is_dir()


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("/home/me/secret/photos", "./photos"),
        ("/home/me/photos/", "./photos"),
        ("~/photos", "./photos"),
        ("../../other/photos", "./photos"),
        ("C:\\Users\\me\\photos", "./photos"),
        ("transformers//home/me/my-bert", "transformers/./my-bert"),
        ("transformers/~/my-bert", "transformers/./my-bert"),
        ("transformers/bert", "transformers/bert"),
        ("transformers/owner/name@commit", "transformers/owner/name@commit"),
        ("ylecun/mnist", "ylecun/mnist"),
        ("path/to/photos", "path/to/photos"),
        ("0.5ep", "0.5ep"),
    ],
)
def test_local_paths_in_public(path: str, public: str) -> None:
    assert without_local_paths({"a": [{"path": path}], "n": 3}) == {"a": [{"path": public}], "n": 3}


def test_dots_are_folders_in_paths_alone(tmp_path: Path) -> None:
    """The working folder is `tmp_path`."""
    public = without_local_paths({"path": "a/b/..", "separator": ".", "b": [{"path": "."}], "path2": "x/.."})
    assert public == {"path": "./a", "separator": ".", "b": [{"path": f"./{tmp_path.name}"}], "path2": "x/.."}
    assert without_local_paths({"path": "~nobody-of-that-name/a/.."}) == {"path": "./~nobody-of-that-name"}
    assert without_local_paths(public) == public


@pytest.mark.slow
def test_working_folders_are_texts_or_paths(tmp_path: Path) -> None:
    """Of the functions below the front door too: a run that one began is finished for the other."""
    from ticketzoo.finding import FindRecipe, find_and_package, plan_find
    from ticketzoo.recipe import parse_recipe, read_recipe
    from ticketzoo.targets import TransferRecipe, plan_transfer, run_transfer

    recipe = read_recipe("find.yaml", FindRecipe)
    assert plan_find(recipe, "run", seconds=0.01).finished == 0
    ticket, folder = find_and_package(recipe, "run")
    assert folder == Path("run", ticket.name)
    assert plan_find(recipe, Path("run"), seconds=0.01).trainings == 0
    content = {
        "name": "moved",
        "tickets": [ticket.name],
        "levels": [1],
        "targets": [{"task": RECIPE["task"]}],
        "training": RECIPE["training"],
        "arms": ["ticket", "dense"],
        "seeds": [0],
    }
    transfer = parse_recipe(content, TransferRecipe, "moved")
    report = run_transfer(transfer, "to", registry="run")
    assert (report.folder / "report.md").is_file()
    assert plan_transfer(transfer, Path("to"), registry=Path("run"), seconds=0.01).trainings == 0
