"""Tickets like one in hand: those of its network, by what their masks share."""

from pathlib import Path

import pytest
from toy_zoo import found, save_ticket

import ticketzoo
from ticketzoo.ticket import Found
from ticketzoo.zoo.search import Query, search


def turned(seed: int) -> Found:
    """The masks upside down, of the same weights."""
    one = found(seed)
    levels = {level: {name: mask.flip(1) for name, mask in masks.items()} for level, masks in one.levels.items()}
    return Found(seed, levels, one.rewind_state)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TICKETZOO_REGISTRY", str(tmp_path))
    save_ticket(tmp_path / "lenet.digits-imp")
    save_ticket(tmp_path / "turned", name="turned", replicates=[turned(0)])
    save_ticket(tmp_path / "exchanged", name="exchanged", replicates=[found(1), found(0)])
    return tmp_path


def test_those_that_share_most_come_first(zoo: Path) -> None:
    like = ticketzoo.load_ticket("lenet.digits-imp", level=2)
    hits = search(zoo, Query()).like(like)
    assert [summary.title for summary in hits.summaries] == ["exchanged", "turned"]
    first, second = hits.likeness.values()
    assert (first.iou, first.seed, first.level) == (1.0, 0, 2)  # exchanged has the very masks, as its second replicate
    assert second.ratio < 2 < first.ratio
    assert hits.cells(hits.summaries[0])[-1] == f"{first.ratio:.2f} at 0.755, seed 0"
    assert hits.as_json()[0]["likeness"]["iou"] == 1.0


def test_the_table_has_a_column_of_it(zoo: Path) -> None:
    table = ticketzoo.search(zoo, like="lenet.digits-imp")
    assert table.columns[-1] == "times chance"
    assert [row[0] for row in table.rows] == ["exchanged", "turned"]
    assert ticketzoo.search(zoo).columns[-1] == "verdict"


def test_tickets_of_another_network_are_none_like_it(zoo: Path) -> None:
    other = ticketzoo.load_ticket("lenet.digits-imp")
    of_levels = Found(0, {1: {"fc1.weight": other.masks["fc1.weight"]}}, other.rewind_state)
    save_ticket(zoo / "lone", name="lone", replicates=[of_levels])
    assert ticketzoo.search(zoo, like="lone").rows == ()
