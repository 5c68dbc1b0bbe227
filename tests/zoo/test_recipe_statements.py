"""What ticket.json says of how a ticket was found is what its recipe.yaml says, and its rows."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import edit_config, forge
from toy_zoo import make_ticket

import ticketzoo
from ticketzoo.errors import TicketError

DIGITS = Path("registry/lenet-300-100.digits-imp")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The ticket without card and plots, which would contradict whatever is changed."""
    return Path(shutil.copytree(DIGITS, tmp_path / DIGITS.name, ignore=shutil.ignore_patterns("*.md", "*.png")))


def said(folder: Path) -> list[str]:
    lines = [str(check) for check in ticketzoo.verify(folder, results=False)]
    return [line for line in lines if line != "README.md: NOTE: there is none"]


FORGED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "task": (
        lambda t: t.update(task="question-answering"),
        "task is 'question-answering', and recipe.yaml says 'image-classification'",
    ),
    "data set": (
        lambda t: t["source"].update(dataset="ylecun/mnist"),
        "source.dataset is 'ylecun/mnist', and recipe.yaml says 'digits'",
    ),
    "revision": (
        lambda t: t["source"].update(revision="v1"),
        "source.revision is 'v1', and recipe.yaml says None",
    ),
    "method": (
        lambda t: t["pruning"].update(method="at-init"),
        "pruning.method is 'at-init', and recipe.yaml says 'imp'",
    ),
    "criterion": (
        lambda t: [t.update(format=2), t["pruning"].update(criterion="snip")],
        "pruning.criterion is 'snip', and recipe.yaml says 'magnitude'",
    ),
    "scope": (
        lambda t: t["pruning"].update(scope="layerwise"),
        "pruning.scope is 'layerwise', and recipe.yaml says 'global'",
    ),
    "rate": (lambda t: t["pruning"].update(rate=0.1), r"pruning.rate is 0\.1, and recipe.yaml says 0\.36"),
    "rates": (
        lambda t: t["pruning"].update(rate={"fc1": 0.1, "*": 0.36}),
        r"pruning.rate is \{'fc1': 0\.1, '\*': 0\.36\}, and recipe.yaml says 0\.36",
    ),
    "step": (lambda t: t["rewind"].update(step=500), "rewind.step is 500, and recipe.yaml says 0"),
    "rewinding": (
        lambda t: t["rewind"].update(rewinding="late-reset"),
        "rewind.rewinding is 'late-reset', and recipe.yaml says 'weights'",
    ),
    "licence": (lambda t: t.update(license="mit"), "license is 'mit', and recipe.yaml says 'apache-2.0'"),
    "width": (
        lambda t: t["architecture"]["kwargs"].update(width=0.5),
        r"architecture.kwargs.width is 0\.5, and recipe.yaml says 0\.4",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_the_recipe_does_not_say_is_refused(bare: Path, what: str) -> None:
    edit, message = FORGED[what]
    edit_config(bare, edit)
    with pytest.raises(TicketError, match=rf"digits-imp/ticket.json: {message}$"):
        said(bare)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path: digits", "path: ylecun/mnist", "source.dataset is 'digits', and recipe.yaml says 'ylecun/mnist'"),
        ("rate: 0.36", "rate: 0.2", r"pruning.rate is 0\.36, and recipe.yaml says 0\.2"),
        ("rewind: 0it", "rewind: 2ep", "rewind.step is 0, and recipe.yaml says 82"),  # of 1,230 steps in 30 epochs
        ("- 2\n", "- 5\n", r"seeds of the replicates is \[0, 1, 2\], and recipe.yaml says \[0, 1, 5\]"),
        ("levels: 5", "levels: 6", r"levels is \[0, 1, 2, 3, 4, 5\], and recipe.yaml says \[0, 1, 2, 3, 4, 5, 6\]"),
        ("license: apache-2.0", "license: mit", "license is 'apache-2.0', and recipe.yaml says 'mit'"),
        ("license: apache-2.0\n", "", "license is 'apache-2.0', and recipe.yaml says None"),
        ("name: lenet-300-100\n", "name: lenet-5\n", "architecture is 'lenet-300-100', and recipe.yaml says 'lenet-5'"),
    ],
)
def test_an_edited_recipe_is_refused(bare: Path, old: str, new: str, message: str) -> None:
    text = (bare / "recipe.yaml").read_text()
    assert old in text
    forge(bare, "recipe.yaml", text.replace(old, new, 1).encode())
    with pytest.raises(TicketError, match=rf"digits-imp/ticket.json: {message}$"):
        said(bare)


def test_data_that_no_row_measures_are_refused(bare: Path) -> None:
    text = (bare / "recipe.yaml").read_text()
    forge(bare, "recipe.yaml", text.replace("path: digits", "path: ylecun/mnist").encode())
    edit_config(bare, lambda t: t["source"].update(dataset="ylecun/mnist"))
    with pytest.raises(TicketError, match=r"source.dataset is 'ylecun/mnist', and the rows measure 'digits'$"):
        said(bare)


def edit_rows(folder: Path, edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    rows = edit([json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()])
    forge(folder, "results.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "digits-adam"}, "the rows measure 'digits-adam'$"),
        ({"data": "b" * 64}, "the rows measure 'digits', on data whose fingerprint is not dff035417256$"),
    ],
)
def test_the_source_is_told_as_the_verdict_tells_it(bare: Path, change: dict[str, str], message: str) -> None:
    edit_rows(bare, lambda rows: [row | change for row in rows])
    with pytest.raises(TicketError, match=message):
        said(bare)


def test_rows_of_a_part_of_the_source_are_told_by_the_recipe(bare: Path) -> None:
    edit_rows(bare, lambda rows: [row | {"target": "digits-0-2"} for row in rows])
    text = (bare / "recipe.yaml").read_text()
    forge(bare, "recipe.yaml", text.replace("path: digits\n", "path: digits\n    classes: [0, 1, 2]\n").encode())
    assert [line for line in said(bare) if "NOTE" in line] == []


def test_an_epoch_is_the_source_s(bare: Path) -> None:
    """Of the recipe's 30 epochs dense trained 1,230 steps on the source, and 12,300 elsewhere."""
    text = (bare / "recipe.yaml").read_text()
    forge(bare, "recipe.yaml", text.replace("rewind: 0it", "rewind: 1ep").encode())
    edit_rows(bare, lambda rows: [*rows, *(row | {"target": "letters", "step": 12300} for row in rows)])
    with pytest.raises(TicketError, match=r"rewind\.step is 0, and recipe.yaml says 41$"):
        said(bare)


def test_a_ticket_as_it_was_found_has_no_notes(bare: Path) -> None:
    assert [line for line in said(bare) if "NOTE" in line] == []


def test_without_a_recipe_everything_is_only_claimed(bare: Path) -> None:
    (bare / "recipe.yaml").unlink()
    edit_config(bare, lambda t: [t["files"].pop("recipe.yaml"), t["source"].update(dataset="ylecun/mnist")])
    assert [line for line in said(bare) if "NOTE" in line] == [
        "ticket.json: NOTE: how it was found is only claimed: there is no recipe.yaml",
        "ticket.json: NOTE: source.dataset is 'ylecun/mnist', and the rows measure 'digits'",
        "ticket.json: NOTE: how rows on digits were measured is only claimed: no recipe of a transfer is kept",
    ]


def test_pruning_that_this_version_does_not_know_is_noted(bare: Path) -> None:
    text = (bare / "recipe.yaml").read_text()
    forge(bare, "recipe.yaml", text.replace("scope: global", "scope: of-tomorrow").encode())
    (note,) = [line for line in said(bare) if "NOTE" in line]
    assert note.startswith(
        "ticket.json: NOTE: only claimed, as recipe.yaml does not say it: pruning.scope, pruning.rate"
    )


def test_a_recipe_that_says_little_is_noted(tmp_path: Path) -> None:
    folder = make_ticket(recipe_text="name: lenet.digits-imp\nseeds: [0, 1]\n").save_pretrained(tmp_path / "t")
    (note,) = [line for line in said(folder) if "does not say" in line]
    assert "task" in note and "license" in note and "seeds" not in note
    assert json.loads((folder / "ticket.json").read_text())["license"] == "apache-2.0"
