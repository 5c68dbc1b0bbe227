"""Tables and sentences with numbers in docs/ and registry/ are those that their rows give."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from ticketzoo.ticket.verdict import Verdict

ROOT = Path(__file__).parents[1]
ORDER = {"winning": 0, "matching": 0, "undecided": 1, "below": 2}


def test_building_the_documents_again_changes_nothing(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("masks.safetensors", "rewind.safetensors", "values.safetensors")
    for folder in ("docs", "registry"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    subprocess.run([sys.executable, "build.py"], cwd=tmp_path / "docs", check=True)
    for document in ("docs/reproductions.md", "docs/transfer.md", "docs/verdicts.md", "docs/reliability.md"):
        assert (tmp_path / document).read_text() == (ROOT / document).read_text(), f"{document}: run docs/build.py"
    assert (tmp_path / "registry/README.md").read_text() == (ROOT / "registry/README.md").read_text()
    for image in sorted((ROOT / "docs/images").glob("*.png")):
        assert rows_of(image) == rows_of(tmp_path / "docs/images" / image.name), f"{image}: run docs/build.py"


def rows_of(image: Path) -> str | None:
    """The digest of the rows that a plot was drawn of, as it says; those of stability say none."""
    with Image.open(image) as picture:
        return picture.info.get("Rows")


def test_cards_and_verdicts_of_the_registry_are_those_of_their_rows(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "registry", tmp_path / "registry")
    copies = sorted((tmp_path / "registry").glob("*/"))
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
