"""What the documents and docstrings speak of exists: names, files, the version."""

import contextlib
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import ticketzoo

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")] if "TEMPLATE" not in path.name]
NAME = re.compile(r"\bticketzoo(?:\.[A-Za-z_]\w*)+(?![\w/-])")
FILE = re.compile(r"(?<![\w./-])(?:ticketzoo|tests|docs|benchmarks|recipes)/[\w./-]+\.(?:py|md|yaml)\b")
LINK = re.compile(r"\]\(\s*(?!\s|https?:|#)([^)#]+)(?:#[^)]*)?\)")


def exists(name: str) -> bool:
    """Tell whether `name` is a module, or something in one."""
    parts = name.split(".")
    found: object = import_module(parts[0])
    for number, part in enumerate(parts[1:], 2):
        if not hasattr(found, part) and isinstance(found, ModuleType):
            with contextlib.suppress(ModuleNotFoundError):
                import_module(".".join(parts[:number]))
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def test_names_exist() -> None:
    texts = {path: path.read_text() for path in [*DOCUMENTS, *(ROOT / "ticketzoo").rglob("*.py")]}
    named = {(path.relative_to(ROOT).as_posix(), name) for path, text in texts.items() for name in NAME.findall(text)}
    assert sorted((where, name) for where, name in named if not exists(name)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_exist(document: Path) -> None:
    text = document.read_text()
    assert {name for name in FILE.findall(text) if not (ROOT / name).exists()} == set()
    assert {link for link in LINK.findall(text) if not (document.parent / link).exists()} == set()


def test_what_is_not_there_is_seen() -> None:
    assert exists("ticketzoo.ticket.Ticket.apply")
    assert exists("ticketzoo.masks.bits")
    assert not exists("ticketzoo.masks.byts")
    assert not exists("ticketzoo.ticket.Ticket.aply")
    assert FILE.findall("see `tests/nowhere.py` and https://x.org/docs/a.md") == ["tests/nowhere.py"]


def test_citation_and_changelog_know_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == ticketzoo.__version__
    assert f"## {ticketzoo.__version__} - {citation['date-released']}\n" in (ROOT / "CHANGELOG.md").read_text()
