"""The notebooks of docs/notebooks run, and what they hold is what they print."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

BOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def outputs(book: nbformat.NotebookNode) -> list[list[str]]:
    """Return what each cell of code gave, by kind; bars that are gone by then are left out."""
    return [
        [next(iter(sorted(one.get("data", {"text": ""})))) for one in cell.outputs if one.output_type != "display_data"]
        for cell in book.cells
        if cell.cell_type == "code"
    ]


def test_there_are_three() -> None:
    assert [book.stem for book in BOOKS] == ["compare_masks", "find_for_your_model", "use_a_ticket"]


@pytest.mark.slow
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    stored = outputs(book)
    NotebookClient(book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert outputs(book) == stored
    assert any("image/png" in one for one in stored)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_tells_nothing_of_the_machine_it_ran_on(path: Path) -> None:
    text = path.read_text()
    assert len(text) < 100_000
    assert str(Path.home()) not in text
    assert all(not cell.metadata for cell in nbformat.read(path, as_version=4).cells)
