"""An arm of a user's own package, from a recipe to rows, tables, plots, verdict and card."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_zoo import save_ticket

from ticketzoo.errors import RecipeError
from ticketzoo.evaluation.arms import ARMS, Draw, Style, arm_style
from ticketzoo.evaluation.evidence import ticket_card
from ticketzoo.evaluation.plots import plot_metric
from ticketzoo.evaluation.tables import arms_table
from ticketzoo.recipe import parse_recipe
from ticketzoo.targets import TransferRecipe, run_transfer
from ticketzoo.ticket import Ticket
from ticketzoo.training.job import Job


def moved_values(job: Job, draw: Draw) -> Job:
    """Return the training of the ticket's masks with its kept rewind weights permuted within each layer."""
    generator = torch.Generator().manual_seed(draw.seed(job))
    state = dict(job.state)
    for name, mask in job.masks.items():
        values = state[name][mask]
        state[name] = state[name].masked_scatter(mask, values[torch.randperm(len(values), generator=generator)])
    return replace(job, state=state)


def longer(job: Job, draw: Draw) -> Job:
    """Return the dense training with the budget of all levels up to the ticket's."""
    dense = ARMS["dense"].make(job, draw)
    steps = replace(dense.training.steps, count=dense.training.steps.count * (draw.level + 1))
    return replace(dense, training=dense.training.model_copy(update={"steps": steps}))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ARMS, "_entries", dict(ARMS._entries))
    ARMS.add("moved_values", drawn=True, label="moved values", style=Style("#123456", "*"))(moved_values)
    ARMS.add("dense_longer", drawn=False)(longer)
    yield


def recipe(ticket: Path, arms: list[str]) -> TransferRecipe:
    dataset = {"path": "digits", "classes": [5, 6], "image_size": 4}
    content = {
        "name": "transfer",
        "tickets": [str(ticket)],
        "levels": [1, 2],
        "targets": [{"task": {"type": "image-classification", "dataset": dataset}}],
        "training": {"steps": "2it", "batch_size": 16, "optimizer": {"lr": 0.1}},
        "arms": arms,
        "draws": 2,
        "seeds": [0, 1],
    }
    return parse_recipe(content, TransferRecipe, "test")


def test_a_user_s_arm_is_trained_and_shown_everywhere(registered: None, tmp_path: Path) -> None:
    folder = save_ticket(tmp_path / "ticket")
    report = run_transfer(recipe(folder, ["moved_values", "dense_longer"]), tmp_path / "out")
    final = [row for row in report.rows if (row["at"], row["metric"]) == ("final", "test_accuracy")]
    assert sorted((row["arm"], row["level"], row["draw"], row["step"]) for row in final if row["seed"] == 0) == [
        ("chance", 0, 0, 0),
        ("dense", 0, 0, 2),
        ("dense_longer", 1, 0, 4),
        ("dense_longer", 2, 0, 6),
        ("moved_values", 1, 0, 2),
        ("moved_values", 1, 1, 2),
        ("moved_values", 2, 0, 2),
        ("moved_values", 2, 1, 2),
        ("ticket", 1, 0, 2),
        ("ticket", 2, 0, 2),
    ]
    table = "| level | sparsity | ticket | dense | moved values | dense longer | verdict |"
    assert table in (tmp_path / "out" / "report.md").read_text()
    figure = plot_metric(report.rows, target=final[0]["target"])
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["ticket", "dense", "moved values", "dense longer", "chance"]
    card = ticket_card(Ticket.from_pretrained(folder).config, report.rows, source=final[0]["target"])
    assert table in card
    assert "- random mask: not at all" in card and "moved values: not" not in card


def test_rows_of_an_arm_that_is_not_registered_here_are_shown_all_the_same(registered: None, tmp_path: Path) -> None:
    folder = save_ticket(tmp_path / "ticket")
    run_transfer(recipe(folder, ["moved_values"]), tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    del ARMS._entries["moved_values"]
    assert arms_table(rows, target=rows[0]["target"]).columns[2:5] == ("ticket", "dense", "moved_values")


def test_a_recipe_with_an_unknown_arm_is_refused_with_the_near_ones(registered: None, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"arms\.0: unknown arm .moved_value.; did you mean moved_values or"):
        recipe(tmp_path, ["moved_value"])


def test_an_arm_without_style_or_words_gets_defaults_that_stay(registered: None) -> None:
    assert arm_style("moved_values").colour == "#123456"
    style = arm_style("dense_longer")
    assert style == arm_style("dense_longer")
    assert style.colour not in {entry.style.colour for entry in ARMS.values() if entry.style}
