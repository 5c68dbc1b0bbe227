"""Rooms import only from rooms below them, and what `ticketzoo` offers is cheap to import."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import ticketzoo

PACKAGE = Path(__file__).resolve().parents[1] / "ticketzoo"

ROOMS = [
    *(
        "cli",
        "api",
        "watching",
        "connecting",
        "targets",
        "instability",
        "studies",
        "finding",
        "gallery",
        "zoo",
        "comparing",
        "deriving",
        "evaluation",
        "aligning",
        "pruning",
        "runs",
        "ticket",
        "training",
        "tasks",
    ),
    *("data", "bridges", "models", "hub", "distributed", "masks", "recipe", "util"),
]
"""From the top down. What lies beside the rooms (errors, seeds, ...) is for all of them and uses none."""

HEAVY = {
    *("transformers", "datasets", "matplotlib", "torchvision", "sklearn", "scipy", "huggingface_hub", "accelerate"),
    *("torch._dynamo", "triton", "sympy"),
}


def imported(module: Path) -> set[str]:
    """The parts of ticketzoo that a module imports anywhere in it, by the first name after `ticketzoo`."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("ticketzoo.")}


def test_every_folder_is_a_known_room() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


def test_the_documents_list_the_rooms_in_the_same_order() -> None:
    listed = (PACKAGE.parent / "docs" / "architecture.md").read_text().split("<!-- rooms -->\n```\n")[1].split("```")[0]
    assert [line.split()[0] for line in listed.splitlines()] == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_no_room_above_it(room: str) -> None:
    above = set(ROOMS[: ROOMS.index(room)])
    upwards = {module.name: imported(module) & above for module in (PACKAGE / room).rglob("*.py")}
    assert {name: rooms for name, rooms in upwards.items() if rooms} == {}


def test_what_lies_beside_the_rooms_uses_none() -> None:
    beside = [path for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert {path.name: imported(path) & set(ROOMS) for path in beside if imported(path) & set(ROOMS)} == {}


def test_an_import_upwards_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def late() -> None:\n    from ticketzoo.cli import main\n\nimport ticketzoo.finding.run\n")
    assert imported(module) == {"cli", "finding"}


def test_public_names_import_nothing_heavy() -> None:
    names = [name for name in ticketzoo.__all__ if name not in ("TicketCallback", "plot", "table")]
    code = f"import json, sys; from ticketzoo import {', '.join(names)}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "ticketzoo.zoo.load" in loaded
    assert HEAVY & loaded == set()
