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
    "registry/lenet-300-100.mnist-imp/accuracy.png": "images/mnist-imp.png",
}
"""Files of the repository, and the pages and pictures that they become."""

_log = get_plugin_logger("site_pages")

_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
_TO_NOTHING = re.compile(r"(?<!!)\[([^\]]*)\]\(nowhere\)")


def on_files(files: Files, *, config: MkDocsConfig, **_: Any) -> Files:
    """Add the pages that stand outside docs/, that of the command line, and the gallery of the shipped tickets."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "commands.md", content=commands()))
    for name, content in files_of(collect([ROOT / "registry"]).exhibits, TITLE):
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


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: Any) -> str:
    """Return the page with links to where its targets are in the site; what is not there keeps its words alone."""
    here = page.file.src_uri
    source = next((name for name, uri in OUTSIDE.items() if uri == here), f"docs/{here}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        uri = OUTSIDE.get(target) or target.removeprefix("docs/")
        built = target in OUTSIDE or (target.startswith("docs/") and files.get_file_from_path(uri) is not None)
        if not built and not (ROOT / target).exists():
            _log.warning(f"{source} links to {target}, which is not there")
        if not built:
            return "](nowhere)"
        return f"]({posixpath.relpath(uri, posixpath.dirname(here) or '.')}{link[2] or ''})"

    return _TO_NOTHING.sub(r"\1", _LINK.sub(moved, markdown))
