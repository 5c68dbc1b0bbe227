"""Wrong use that names what was meant: --set, --device, search."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from command_line import ticketzoo as run
from image_folders import numbered, write_folder

import ticketzoo
from ticketzoo.api.recipes import read_for
from ticketzoo.distributed.device import training_device
from ticketzoo.errors import RecipeError, RunError
from ticketzoo.finding import FindRecipe
from ticketzoo.finding.start import load_task

REGISTRY = Path(__file__).resolve().parents[2] / "registry"
"""All tickets of the checkout: an installed package carries fewer."""


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["finder.level=2"], "--set finder.level=2: unknown key 'finder.level', did you mean 'levels'?"),
        (["seeds=[0]", "training.steps=5"], "--set training.steps=5: training.steps: write iterations as '500it'"),
        (["seeds=[0]", "nope=1"], "--set nope=1: unknown key 'nope'"),
        (["arm_levels=[4, 9]"], "--set arm_levels=[4, 9]: arm_levels [9] are beyond finder.levels (6): set"),
        (["finder.levels=0"], "--set finder.levels=0: "),
        (["finder={method: imq}"], "--set finder={method: imq}: finder.method: unknown 'imq', did you mean 'imp'?"),
    ],
)
def test_a_wrong_override_is_the_overrides_error(overrides: list[str], said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        read_for("find", "quickstart", FindRecipe, overrides)
    assert str(raised.value).startswith(said)


def test_a_wrong_file_is_the_file_s_error(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "name: mine\nmodel: lenet-300-100\ntask: {type: image-classification, dataset: {path: digits}}\nsteps: 3\n"
    )
    for overrides in ([], ["seeds=[0]"]):
        with pytest.raises(RecipeError, match=r"^recipe .*mine.yaml: unknown key 'steps'"):
            read_for("find", recipe, FindRecipe, overrides)
    with pytest.raises(RecipeError, match=r"^--set seeds=no: seeds: "):
        read_for("find", recipe, FindRecipe, ["seeds=no"])


def test_connect_looks_at_its_options_before_it_reads_a_run(tmp_path: Path) -> None:
    done = run(tmp_path, "connect", "no-run", "--align", "weight")
    assert (done.status, done.out) == (1, "")
    said = "ticketzoo: recipe of ticketzoo connect: align: unknown alignment 'weight'; did you mean weights?"
    assert done.err.splitlines() == [said]


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_what_the_page_of_imagenet_says_to_try_runs_on_a_folder(
    held_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caches: Path
) -> None:
    """`photos/train/CLASS/` and `photos/test/CLASS/`, as the README has them."""
    monkeypatch.chdir(tmp_path)
    classes = {"cat": numbered(4), "dog": numbered(4, 100)}
    write_folder(tmp_path / "photos", {"train": classes, held_out: classes})
    page = (
        (Path(__file__).resolve().parents[2] / "docs" / "imagenet.md").read_text().partition("## Try it small first")[2]
    )
    (command,) = re.findall(r"```sh\n(ticketzoo find .*?)```", page.partition("\n## ")[0], flags=re.DOTALL)
    words = shlex.split(command.replace("\\\n", " "))
    overrides = [word for before, word in pairwise(words) if before == "--set"]
    recipe = read_for("find", words[2], FindRecipe, overrides)
    assert load_task(recipe.task, recipe.model).examples == {"train": 8, "validation": 0, "test": 8}


@pytest.mark.parametrize(("levels", "left"), [(5, (2, 4)), (1, (1,)), (6, (2, 4, 6))])
def test_the_recipe_s_own_arm_levels_follow_fewer_levels(
    levels: int, left: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    recipe = read_for("find", "quickstart", FindRecipe, [f"finder.levels={levels}"])
    assert recipe.control_levels == left
    said = f"arm_levels: [2, 4, 6] of the recipe becomes {list(left)}, as finder.levels is {levels}"
    assert caplog.messages == ([said] if levels < 6 else [])


def test_package_from_follows_fewer_levels(caplog: pytest.LogCaptureFixture) -> None:
    recipe = read_for("find", "lenet-300-100.fashion-mnist-imp", FindRecipe, ["finder.levels=2"])
    assert (recipe.package_from, recipe.control_levels) == (2, (2,))
    assert caplog.messages[1] == "package_from: 3 of the recipe becomes 2, as finder.levels is 2"


def test_levels_and_arm_levels_together_are_taken() -> None:
    recipe = read_for("find", "quickstart", FindRecipe, ["finder.levels=2", "arm_levels=[2]"])
    assert (recipe.finder.levels, recipe.control_levels) == (2, (2,))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpu", "'gpu': say cuda"),
        ("gpu:0", "say cuda"),
        ("cuda;0", "say cpu, cuda"),
        ("meta", "say cpu"),
        ("", "say cpu"),
    ],
)
def test_a_device_that_is_none(name: str, said: str) -> None:
    with pytest.raises(RunError, match=said) as raised:
        training_device(name)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"source": "mnist"}, "source 'mnist': did you mean ylecun/mnist"),
        ({"source": "mnits"}, "source 'mnits': did you mean ylecun/mnist"),
        ({"architecture": "resnet-21"}, "architecture 'resnet-21': did you mean resnet-20"),
        ({"task": "tabular"}, "task 'tabular': there are "),
    ],
)
def test_search_says_which_names_are_near(asked: dict[str, str], said: str) -> None:
    assert said in ticketzoo.search(REGISTRY, **asked).caption
    assert "did you mean" not in ticketzoo.search(REGISTRY, source="ylecun/mnist").caption
