"""`--until decided` and `--max-seeds` of find and transfer."""

from pathlib import Path

import pytest
from command_line import RECIPE, TRANSFER, ticketzoo


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--until", "sometime"], 2, "give decided, not 'sometime'"),
        (["--until", "decided", "--max-seeds", "2"], 2, "greater than or equal to 3"),
        (
            ["--max-seeds", "5"],
            1,
            "ticketzoo: --max-seeds 5: verdict: max_seeds goes with until: decided (--until decided)\n",
        ),
        (
            ["--until", "decided", "--max-seeds", "3", "--set", "seeds=[0,1,2,3]"],
            1,
            "verdict.max_seeds: 3 is below the recipe's 4 seeds",
        ),
    ],
)
def test_wrong_use_is_said_in_a_line(tmp_path: Path, options: list[str], status: int, said: str) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    done = ticketzoo(tmp_path, "find", "recipe.yaml", *options)
    assert done.status == status
    assert said in done.err


@pytest.mark.slow
def test_find_then_transfer_until_decided(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "transfer.yaml").write_text(TRANSFER.replace("10it", "60it"))
    margin = ["--set", "verdict.margin=0.99"]
    found = ticketzoo(tmp_path, "find", "recipe.yaml", "--until", "decided", "--max-seeds", "7", *margin, "--json")
    assert found.status == 0
    assert "ticketzoo: look 1 of 3: 3 seeds, decided\n" in found.err
    verdict = found.json["verdict"]
    assert verdict["until"] == {"seeds": [0, 1], "max_seeds": 7}
    assert [look["seeds"] for look in verdict["looks"]] == [3]
    planned = ticketzoo(tmp_path, "transfer", "transfer.yaml", "--until", "decided", "--plan", *margin)
    assert "until decided: the next look needs what follows; all looks need at most 20 trainings" in planned.out
    assert "trainings    6 to do" in planned.out
    moved = ticketzoo(tmp_path, "transfer", "transfer.yaml", "--until", "decided", *margin)
    assert moved.status == 0
    assert "ticketzoo: look 1 of 4: 3 seeds, decided\n" in moved.err
    assert "| 1 | 3 | 41.6% | matching |  |" in (tmp_path / "runs/to-other-digits/report.md").read_text()
