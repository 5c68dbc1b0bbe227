"""What the README shows works as shown."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from ticketzoo.finding import FindRecipe
from ticketzoo.recipe import parse_recipe

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_examples_run_one_after_another():
    code = "\n".join(blocks("python"))
    assert "load_ticket" in code
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_recipe_example_is_a_recipe():
    (example,) = blocks("yaml")
    recipe = parse_recipe(yaml.safe_load(example), FindRecipe, "README")
    assert recipe.trainings == 3 * (1 + 15 + 2 * 15)


def test_commands_that_look_at_the_zoo_run():
    commands = [line for block in blocks("sh") for line in block.splitlines() if "list" in line or "mnist-imp" in line]
    looks = [line for line in commands if line.split()[1] in ("list", "info", "verify")]
    assert len(looks) == 3
    for line in looks:
        subprocess.run([sys.executable, "-m", *line.split()], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
