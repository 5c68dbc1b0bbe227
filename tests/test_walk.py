"""The way of a ticket from find to retraining stays readable: a real run is traced, and the files it enters counted.

The walk is `find_and_package` (IMP on scikit-learn's digits: one level, one seed, six iterations), which writes plots
and card as well, then `load_ticket`, `build`, `apply` and a training loop of the user's own. A file is entered where
the walk *calls* one of its functions. Files that are only imported are not counted, nor is what runs while a module is
imported: decorators, the building of classes.

Four numbers are held: the lines of the spine, seven files that tell the story; the files that these and the walk call
themselves, the seven included; the files entered in the rooms where things are done to a ticket (`STORY`); and all
files entered, with recipes, data, models, tasks, stored runs, processes,
statistics, plots, cards and helpers. The bounds are what was measured: a file more has to be worth it.
"""

import ast
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ticketzoo"
MODULES = sorted(PACKAGE.rglob("*.py"))

SPINE = (
    *("finding/imp.py", "finding/run.py", "pruning/pruner.py", "training/loop.py"),
    *("ticket/ticket.py", "ticket/folder.py", "masks/attach.py"),
)
STORY = ("finding", "pruning", "training", "masks", "ticket", "zoo")

SPINE_LINES, CALLED_FILES, STORY_FILES, ALL_FILES = 900, 55, 78, 150
FUNCTION_LINES, MODULE_LINES = 60, 250

RECIPE = {
    "name": "lenet.digits-imp",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "examples": 64}},
    "training": {"steps": "6it", "batch_size": 16},
    "finder": {"levels": 1},
    "arms": ["ticket", "dense"],
    "seeds": [0],
}


def walk(folder: Path) -> None:
    """Find a ticket, save it, load it, and retrain it in a loop of one's own."""
    import torch

    from ticketzoo import load_ticket
    from ticketzoo.finding import FindRecipe, find_and_package
    from ticketzoo.recipe import parse_recipe

    _, saved = find_and_package(parse_recipe(RECIPE, FindRecipe, "walk"), folder)
    ticket = load_ticket(str(saved))
    model = ticket.build()
    ticket.apply(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        images, labels = torch.rand(8, 1, 8, 8), torch.arange(8)
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, mask in ticket.masks.items():
        assert not model.get_parameter(name)[~mask].any()


def entered(folder: Path) -> dict[str, list[str]]:
    """The files of the package that the walk enters, in the order of their first call, and those the spine calls.

    The latter are called by a function in one of the seven files, or by the walk itself.
    """
    found: dict[str, None] = {}
    direct: dict[str, None] = {}
    within = f"{PACKAGE}/"
    spine = {within + file for file in SPINE}

    def by_the_spine(caller: FrameType | None) -> bool:
        return caller is not None and (caller.f_code is walk.__code__ or caller.f_code.co_filename in spine)

    def called(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(within) and file not in found and not importing(frame):
            found[file] = None
        if event == "call" and file in found and file not in direct and by_the_spine(frame.f_back):
            direct[file] = None

    threading.setprofile(called)
    sys.setprofile(called)
    try:
        walk(folder)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {
        "entered": [file.removeprefix(within) for file in found],
        "called by the spine": [file.removeprefix(within) for file in direct],
    }


def importing(frame: FrameType | None) -> bool:
    """Tell whether the call is part of a module's execution, between the walk and the call."""
    while frame is not None and frame.f_code is not walk.__code__:
        if frame.f_code.co_name == "<module>":
            return True
        frame = frame.f_back
    return False


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The walk in a process of its own, in which nothing has been called, cached or imported before."""
    command = [sys.executable, __file__, str(tmp_path_factory.mktemp("walk"))]
    source = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}  # not the package that is installed, if it is another
    done = subprocess.run(command, capture_output=True, text=True, env=source)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def files(traced: dict[str, list[str]]) -> list[str]:
    return traced["entered"]


def lines(file: str) -> int:
    return len((PACKAGE / file).read_text().splitlines())


def listed(found: list[str]) -> str:
    return "\n".join([f"{len(found)} files, {sum(map(lines, found)):,} lines:", *sorted(found)])


def test_the_spine_is_read_in_one_sitting() -> None:
    sizes = {file: lines(file) for file in SPINE}
    assert sum(sizes.values()) <= SPINE_LINES, sizes


@pytest.mark.slow
def test_the_walk_goes_through_all_of_the_spine(files: list[str]) -> None:
    assert set(SPINE) - set(files) == set()


@pytest.mark.slow
def test_the_story_enters_few_files(files: list[str]) -> None:
    story = [file for file in files if file.split("/")[0] in STORY]
    assert len(story) <= STORY_FILES, listed(story)


@pytest.mark.slow
def test_the_whole_walk_enters_a_bounded_number_of_files(files: list[str]) -> None:
    assert len(files) <= ALL_FILES, listed(files)


@pytest.mark.slow
def test_the_spine_calls_few_files(traced: dict[str, list[str]]) -> None:
    """To follow every call of the seven files and of the walk, these have to be opened, the seven included."""
    called = sorted({*SPINE, *traced["called by the spine"]})
    assert len(called) <= CALLED_FILES, listed(called)


@pytest.mark.slow
def test_modules_and_functions_are_short() -> None:
    long = {path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines()) for path in MODULES}
    assert {module: count for module, count in long.items() if count > MODULE_LINES} == {}
    nodes = [(path.relative_to(PACKAGE), node) for path in MODULES for node in ast.walk(ast.parse(path.read_text()))]
    spans = [(f"{module}: {name}", span) for module, node in nodes for name, span in whole_lines(node)]
    assert [(place, span) for place, span in spans if span > FUNCTION_LINES] == []


def whole_lines(node: ast.AST) -> Iterator[tuple[str, int]]:
    """A function's name and its lines, with signature and docstring."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name, (node.end_lineno or 0) - node.lineno + 1


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


NAMES = {module_name(path) for path in MODULES}


def imported(path: Path) -> set[str]:
    """The modules of the package that `path` imports when it is imported itself, not those for type checkers."""
    names: set[str] = set()
    statements: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while statements:
        one = statements.pop()
        if isinstance(one, ast.ImportFrom):
            modules = {f"{one.module}.{alias.name}" for alias in one.names} & NAMES
            names |= modules or {str(one.module)}
        elif isinstance(one, ast.Import):
            names |= {alias.name for alias in one.names}
        elif isinstance(one, ast.If) and "TYPE_CHECKING" in ast.unparse(one.test):
            statements += one.orelse
        elif not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            statements += [*getattr(one, "body", []), *getattr(one, "orelse", []), *getattr(one, "finalbody", [])]
    return (names & NAMES) - {module_name(path)}


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """A cycle of the graph; [] if it has none."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        done.add(module)
        return next(filter(None, (visit(other, [*path, module]) for other in sorted(graph[module]))), [])

    return next(filter(None, (visit(module, []) for module in graph)), [])


def test_no_modules_import_each_other() -> None:
    assert cycle({module_name(path): imported(path) for path in MODULES}) == []


def test_a_cycle_is_seen() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


if __name__ == "__main__":
    print(json.dumps(entered(Path(sys.argv[1]))))
