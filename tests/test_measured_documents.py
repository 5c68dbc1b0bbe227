"""Tables and sentences with numbers in docs/ and registry/ are those that their rows give."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ticketzoo.ticket.verdict import GOOD, Verdict

ROOT = Path(__file__).parents[1]
ORDER = dict.fromkeys(GOOD, 0) | {"undecided": 1, "below": 2}


@pytest.mark.slow
def test_building_the_documents_again_changes_nothing(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("masks.safetensors", "rewind.safetensors", "values.safetensors")
    for folder in ("docs", "registry"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "README.md", tmp_path)
    subprocess.run([sys.executable, "build.py"], cwd=tmp_path / "docs", check=True)
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
    for page in (
        "reproductions",
        "transfer",
        "verdicts",
        "reliability",
        "finders",
        "comparing",
        "causal-lms",
        "connectivity",
        "elastic",
        "domains",
        "matrix",
    ):
        document = f"docs/{page}.md"
        assert (tmp_path / document).read_text() == (ROOT / document).read_text(), f"{document}: run docs/build.py"
    assert (tmp_path / "registry/README.md").read_text() == (ROOT / "registry/README.md").read_text()
    for image in sorted((ROOT / "docs/images").glob("*.png")):
        assert rows_of(image) == rows_of(tmp_path / "docs/images" / image.name), f"{image}: run docs/build.py"


def rows_of(image: Path) -> str | None:
    """The digest of the rows that a plot was drawn of, as it says; those of stability say none."""
    with Image.open(image) as picture:
        return picture.info.get("Rows")


@pytest.mark.slow
def test_cards_and_verdicts_of_the_registry_are_those_of_their_rows(tmp_path: Path) -> None:
    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in (ROOT / "registry").glob("*/")]
    assert copies
    subprocess.run([sys.executable, ROOT / "docs" / "judge_again.py", *copies], check=True)
    for copy in copies:
        for name in ("README.md", "ticket.json"):
            there = ROOT / "registry" / copy.name / name
            assert (copy / name).read_text() == there.read_text(), f"{copy.name}/{name}"


def test_a_label_that_comes_back_along_the_levels_has_its_reason_on_the_card() -> None:
    """Labels fall from dense levels to sparse ones once; where winning interrupts matching the card says why."""
    for path in sorted((ROOT / "registry").glob("*/ticket.json")):
        verdict = Verdict.model_validate(json.loads(path.read_text())["verdict"])
        card = (path.parent / "README.md").read_text()
        for target in {level.target for level in verdict.levels}:
            labels = [level.label for level in verdict.levels if level.target == target]
            ranks = [ORDER[label] for label in labels if label != "not measured"]
            assert ranks == sorted(ranks), f"{path.parent.name} on {target}: {labels}"
            for level in verdict.levels:
                if level.target == target and level.label == "matching" and "winning" in labels:
                    why = "without controls" if level.control is None else "not shown to be above each control"
                    assert re.search(rf"at levels? [\d, to]+ {why}", card), f"{path.parent.name}: {level}"


STATED = {
    "docs/reproductions.md": {
        "LeNet-300-100 on MNIST (Frankle & Carbin 2019)": (
            ["recipes/lenet-300-100.mnist-imp-frankle2019.yaml"],
            "2 1 266,200 55,000 10,000 20 10",  # sections, weights, images, shares of layers in percent
        ),
        "Stability to the order of the data (Frankle et al. 2020)": (
            ["recipes/stability/lenet-300-100.mnist.yaml", "recipes/stability/resnet-20.fashion-mnist.yaml"],
            "2 2 60,000 36 20 395 62,560 50,000 2,048",  # a section, the threshold, images, shares, iterations
        ),
        "Rewinding a ResNet (Frankle et al. 2020)": (
            [f"recipes/resnet-20.fashion-mnist-imp-reduced{step}.yaml" for step in ("", "-40it")],
            "395 500 62,560 0.8 13.4 160 36",  # iterations, and the paper's
        ),
        "A pretrained encoder's tickets (Chen et al. 2020)": (
            ["recipes/bert/minilm-wordnet-mlm.yaml"], "10 10,000 384"
        ),
    },
    "docs/transfer.md": {
        "Do tickets transfer?": ([], "0.965 0.8 5 0 0.5 1 2 3"),  # an example of a label, the level of tests, arms
        "The zoo's tickets on the other of MNIST and Fashion-MNIST": (
            ["recipes/transfer/zoo-lenet-5-mnist.yaml"], "0.83 0.956"
        ),
    },
    "docs/matrix.md": {
        "Many sources, many targets": ([], "0 100 300 1,000 28 5 2019 2020"),  # images, pixels, papers
        "Five sources on five targets, and scarce data": (
            ["recipes/matrix/lenet-5-five.yaml", "recipes/matrix/lenet-5.mnist-imp-rgb.yaml"],
            "28 100 300 1,000 0 1,400 19 50 470",  # pixels, images, iterations, networks
        ),
    },
}  # fmt: skip
"""By document and section: the recipes whose numbers it may state, and others that are no measurements."""


@pytest.mark.parametrize("document", STATED)
def test_prose_beside_the_markers_states_no_measured_number(document: str) -> None:
    """A number there is one of the section's recipes, of the paper, or part of a name: what was measured is built."""
    prose = re.sub(r"<!-- [\w.-]+ -->\n.*?<!-- end -->", "", (ROOT / document).read_text(), flags=re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", prose, flags=re.DOTALL | re.MULTILINE)  # commands
    for section in re.split(r"^##? ", prose, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        recipes, others = STATED[document].get(title, ([], ""))
        stated = " ".join([others, *((ROOT / recipe).read_text() for recipe in recipes)])
        allowed = {float(number) for number in numbers(stated)}
        body = re.sub(r"`[^`]*`|\]\([^)]*\)|ResNet-20|LeNet-300-100|CIFAR-10|G\.1|\(20\d\d\)", "", body)
        assert [number for number in numbers(body) if float(number) not in allowed] == [], f"{document}: {title}"


def numbers(text: str) -> list[str]:
    """The numbers in a text, without commas between thousands."""
    found = re.findall(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?", text)
    return [number.replace(",", "") for number in found]
