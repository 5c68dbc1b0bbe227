import json
from pathlib import Path
from typing import Any

import pytest
from toy_ticket import forge
from toy_zoo import ROWS, make_ticket, save_ticket

from ticketzoo.zoo.summary import COLUMNS, read_summary


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (ROWS, "90.00%"),
        ([], ""),
        ([{"arm": 3}], "unreadable"),
        ([ROWS[0] | {"value": "much"}], "unreadable"),
        ([ROWS[0] | {"decides": True, "higher_is_better": "no"}], "unreadable"),
        ([ROWS[0] | {"decides": True, "metric": "test_bits", "higher_is_better": False}], "bits 0.9000"),
    ],
)
def test_a_ticket_is_listed_whatever_a_stranger_wrote_into_its_results(
    tmp_path: Path, rows: list[dict[str, Any]], shown: str
) -> None:
    folder = save_ticket(tmp_path / "ticket")
    forge(folder, "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    summary = read_summary(folder)
    assert dict(zip(COLUMNS, summary.cells(), strict=True))["dense"] == shown


def test_one_packaged_level_is_no_range(tmp_path: Path) -> None:
    last = make_ticket().config.levels[-1].level
    alone = make_ticket(package_from=last).save_pretrained(tmp_path / "ticket")
    cells = dict(zip(COLUMNS, read_summary(alone).cells(), strict=True))
    assert (cells["levels"], " to " in cells["sparsity"]) == (str(last), False)


def test_a_scope_that_a_made_ticket_only_names_is_shown_in_words(tmp_path: Path) -> None:
    folder = save_ticket(tmp_path / "ticket")
    config = json.loads((folder / "ticket.json").read_text())
    config["pruning"] |= {"scope": "global", "words": {}}
    (folder / "ticket.json").write_text(json.dumps(config))
    assert f"{'scope':<13} all layers ranked together" in read_summary(folder).lines()


def test_rows_without_a_number_of_test_examples_are_said_to_be_of_an_earlier_version() -> None:
    registry = Path(__file__).resolve().parents[2] / "registry"
    (line,) = (line for line in read_summary(registry / "lenet-300-100.digits-imp").lines() if "verdict   " in line)
    assert line.count("recorded") == 1 and line.endswith("not recorded (earlier versions did not write it down)")
