"""Effective sparsity on the way: find's card, `info`, `verify`; cards of earlier versions say nothing of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ticketzoo.errors import TicketError
from ticketzoo.finding import FindRecipe, find_and_package
from ticketzoo.recipe import parse_recipe
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.effective import NOT_FOLLOWED, Effective, effective_sparsity
from ticketzoo.zoo.summary import read_summary
from ticketzoo.zoo.verify import verify_ticket

CONTENT: dict[str, Any] = {
    "name": "lenet.digits-magnitude",
    "model": {"name": "lenet-300-100", "kwargs": {"width": 0.1}},
    "task": {"type": "image-classification", "dataset": {"path": "digits", "classes": [0, 1, 2], "examples": 60}},
    "training": {"steps": "2it", "batch_size": 20},
    "finder": {"method": "at-init", "levels": 2, "prune": {"criterion": "random", "schedule": {"levels": [0.1, 0.9]}}},
    "arms": ["ticket", "dense"],
    "seeds": [0],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = parse_recipe(CONTENT, FindRecipe, "test")
    return find_and_package(recipe, tmp_path_factory.mktemp("run"))[1]


def test_weights_on_no_path_are_counted_by_layer(folder: Path) -> None:
    found = effective_sparsity(Ticket.from_pretrained(folder))
    dense, first, sparse = found.levels
    assert (dense.effective, dense.effective_sparsity) == (dense.kept, 0.0)
    assert first.effective == first.kept
    assert sparse.effective == sum(on for _, on in sparse.layers.values()) < sparse.kept
    assert all(on <= there for there, on in sparse.layers.values())
    assert sparse.effective_sparsity == 1 - sparse.effective / dense.kept


def notes(folder: Path) -> list[str]:
    return [check.holds for check in verify_ticket(folder) if check.holds.startswith("NOTE")]


def test_the_card_says_it_and_verify_computes_it_again(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    lines = effective_sparsity(Ticket.from_pretrained(folder)).lines()
    assert lines[0] == (
        "Effective sparsity at level 1 (seed 0) is the sparsity: every kept weight is on a path from input to output"
    )
    assert all(f"\n- {line}.\n" in card for line in lines)
    assert notes(folder) == []


def test_another_number_is_not_the_ticket_s(folder: Path) -> None:
    card = folder / "README.md"
    text = card.read_text()
    try:
        stated = f"{effective_sparsity(Ticket.from_pretrained(folder)).levels[2].effective_sparsity:.4f} in place"
        card.write_text(text.replace(stated, "0.1234 in place"))
        with pytest.raises(TicketError, match="Effective sparsity at level 2"):
            verify_ticket(folder)
        card.write_text("\n".join(line for line in text.split("\n") if not line.startswith("- Effective sparsity")))
        assert notes(folder) == []
    finally:
        card.write_text(text)


def test_info_has_it_by_layer(folder: Path) -> None:
    document, lines = read_summary(folder).as_json(), read_summary(folder).lines()
    assert set(document["effective"]["levels"][2]["layers"]) == {"fc1.weight", "fc2.weight", "fc3.weight"}
    assert any(line.startswith("paths         Effective sparsity at level 1") for line in lines)


def test_a_large_ticket_is_left_alone(folder: Path) -> None:
    found = effective_sparsity(Ticket.from_pretrained(folder), most=100)
    assert found.levels == ()
    assert found.lines() == [f"Effective sparsity is not known: {found.why_not}"]
    assert Effective(0).lines() == []


def test_no_words_of_pytorch_are_on_a_card(folder: Path, tmp_path: Path) -> None:
    """Masks of 8 x 8 inputs on a network of 9 x 9: what PyTorch says of that is another text in each version."""
    other = shutil.copytree(folder, tmp_path / "other")
    content = json.loads((other / "ticket.json").read_text())
    assert content["architecture"]["kwargs"]["in_shape"] == [1, 8, 8]
    content["architecture"]["kwargs"]["in_shape"] = [1, 9, 9]
    (other / "ticket.json").write_text(json.dumps(content))
    assert effective_sparsity(Ticket.from_pretrained(other)) == Effective(0, why_not=NOT_FOLLOWED)
