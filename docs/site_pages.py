"""Hooks of `mkdocs build`: pages that stand outside docs/, and links between all of them."""

import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

from ticketzoo.api.site import TITLE
from ticketzoo.gallery.collect import collect
from ticketzoo.gallery.pages import files_of

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/GPU.md": "gpu.md",
    "registry/README.md": "tickets.md",
    "registry/lenet-5.fashion-mnist-imp/accuracy.png": "images/first.png",
}
"""Files of the repository, and the pages and pictures that they become."""

_log = get_plugin_logger("site_pages")

_LINK = re.compile(r"(?:(?<=\[)([\w./-]+\.md))?\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
_CARD = re.compile(r"registry/([^/]+)/README\.md")
_TO_NOTHING = re.compile(r"(?<!!)\[([^\]]*)\]\(nowhere\)")


def on_files(files: Files, *, config: MkDocsConfig, **_: Any) -> Files:
    """Add the pages that stand outside docs/, that of the command line, and the gallery of the shipped tickets."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "commands.md", content=commands()))
    for name, content in files_of(collect([ROOT / "registry"]).exhibits, TITLE, above="../"):
        files.append(File.generated(config, f"gallery/{name}", content=content))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(notebook)
        for uri, content in converted(Path(str(notebook.abs_src_path)), notebook.src_uri).items():
            files.append(File.generated(config, uri, content=content))
    return files


def converted(notebook: Path, uri: str) -> dict[str, str | bytes]:
    """Return the page of the notebook at `uri`, and its pictures, by where they belong in the site."""
    stem = posixpath.splitext(uri)[0]
    page, resources = MarkdownExporter().from_filename(
        str(notebook), resources={"unique_key": posixpath.basename(stem), "output_files_dir": "pictures"}
    )
    pictures = {posixpath.join(posixpath.dirname(uri), name): data for name, data in resources["outputs"].items()}
    return {f"{stem}.md": page, **pictures}


def commands() -> str:
    """Return the page of all commands, as typer writes it."""
    app = ROOT / "ticketzoo" / "cli" / "main.py"
    command = [sys.executable, "-m", "typer", str(app), "utils", "docs", "--name", "ticketzoo", "--title", "Commands"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def names(nav: list[Any]) -> dict[str, str]:
    """Return the names of pages in the navigation, by their files."""
    found: dict[str, str] = {}
    for name, inside in (item for entry in nav for item in entry.items()):
        found |= {inside: name} if isinstance(inside, str) else names(inside)
    return found


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files, **_: Any) -> str:
    """Return the page with links to where its targets are in the site; what is not there keeps its words alone.

    A page that is called by its file is called by its name, and the card of a ticket is its page in the gallery.
    """
    here = page.file.src_uri
    source = next((name for name, uri in OUTSIDE.items() if uri == here), f"docs/{here}")
    called = names(config.nav or [])
    if here == "tickets.md":
        page.meta["hide"] = ["toc"]  # beside a wide table

    def moved(link: re.Match[str]) -> str:
        text, path, anchor = link.groups(default="")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        uri = OUTSIDE.get(target) or _CARD.sub(r"gallery/tickets/\1/index.html", target).removeprefix("docs/")
        built = files.get_file_from_path(uri) is not None
        if not built and not (ROOT / target).exists():
            _log.warning(f"{source} links to {target}, which is not there")
        words = called.get(uri, text) if text else ""
        return (
            f"{words}]({posixpath.relpath(uri, posixpath.dirname(here) or '.')}{anchor})"
            if built
            else f"{words}](nowhere)"
        )

    return _TO_NOTHING.sub(r"\1", _LINK.sub(moved, markdown))
