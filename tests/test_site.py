"""The site: all of Python's public names, and pages that ask no other host for anything."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import ticketzoo

ROOT = Path(__file__).resolve().parents[1]
FROM_HOST = re.compile(r'<(?:script|img|iframe|link(?=[^>]*stylesheet))[^>]*(?:src|href)="(?:https?:)?//[^"]*"')


def test_the_page_of_python_has_every_public_name() -> None:
    places = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), flags=re.MULTILINE)
    assert sorted(place.rpartition(".")[2] for place in places) == ticketzoo.__all__
    for place in places:
        module, _, name = place.rpartition(".")
        assert getattr(import_module(module), name) is getattr(ticketzoo, name)


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    written = {page.name for page in (ROOT / "docs").glob("*.md")}
    made = {"index.md", "tickets.md", "gpu.md", "commands.md", "contributing.md", "security.md", "changelog.md"}
    notebooks = {f"notebooks/{book.stem}.md" for book in (ROOT / "docs" / "notebooks").glob("*.ipynb")}
    assert sorted(listed) == sorted(written | made | notebooks)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_no_host_for_anything(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 25
    assert {page: found for page in pages if (found := FROM_HOST.findall(page.read_text()))} == {}
    assert "ticketzoo find quickstart" in (tmp_path / "commands" / "index.html").read_text()
    assert "load_ticket" in (tmp_path / "api" / "index.html").read_text()
    gallery = tmp_path / "gallery"
    assert 'href="gallery/"' in (tmp_path / "index.html").read_text()
    assert (gallery / "tickets" / "lenet-300-100.mnist-imp" / "masks.png").is_file()
    assert "gallery.css" in (gallery / "index.html").read_text()
    assert "../gpu/" in (tmp_path / "scale" / "index.html").read_text()
    assert (tmp_path / "images" / "first.png").is_file()
    tickets = (tmp_path / "tickets" / "index.html").read_text()
    assert 'href="../gallery/tickets/lenet-300-100.mnist-imp/"' in tickets
    assert 'href="../index.html">Documents' in (gallery / "index.html").read_text()
    assert ">docs/" not in re.sub(
        r"<(pre|code).*?</\1>", "", (tmp_path / "use" / "index.html").read_text(), flags=re.DOTALL
    )
    notebook = tmp_path / "notebooks" / "use_a_ticket"
    shown = re.findall(r'<img alt="png" src="([^"]+)"', (notebook / "index.html").read_text())
    assert [(notebook / picture).is_file() for picture in shown] == [True]
