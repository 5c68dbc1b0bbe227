"""Each benchmark, once, at its smallest: it runs and prints what it measured. How fast it is, no test says."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SMALLEST = {
    "bert_ticket": "",
    "images": "--models lenet-300-100 --device cpu --seconds 0.01",
    "imp_epoch": "--images 500 --level-epochs 1",
    "masked_step": "--models lenet-300-100 --seconds 0.01",
    "packing": "--layers 1 --levels 1,2",
    "peak_memory": "--models lenet-300-100 --images 200 --steps 1",
    "pruning_round": "--layers 1",
    "scores_round": "--layers 1",
    "stacked": "--members 2 --seconds 0.01",
    "startup": "",
    "streaming": "--images 64 --workers 1",
    "supermask_step": "--densities 0.5 --steps 2",
    "tokens": "--steps 1 --layers 1 --hidden-size 64 --batch-size 2",
}
LEFT_OUT = {
    "all": "runs the others",
    "causal": "gathers rows of finished runs",
    "finders": "trains for its table in docs/finders.md",
    "fuzz_readers": "has a test in tests/ticket",
    "huge_masks": "has no less than 200 million weights, in two processes",
    "imp_record": "trains whole experiments on data of the Hub",
    "overlaps": "compares tickets of the zoo",
    "score_memory": "takes half a minute for its six processes, which import as much as those of peak_memory",
    "site": "drives a browser through a gallery",
    "stress": "kills commands for minutes",
    "supermasks": "trains for its table in docs/finders.md",
    "verdict_errors": "simulates for its table in docs/verdicts.md",
    "zoo": "trains whole recipes",
}


def test_none_is_forgotten() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert scripts == SMALLEST.keys() | LEFT_OUT.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark(
    name: str, caches: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--json", "--rounds", "1", *SMALLEST[name].split()])
    importlib.import_module(name).main()
    found = json.loads(capsys.readouterr().out)
    assert found["rows"]
    for row in found["rows"]:
        assert all(row[figure]["median"] > 0 for figure in ("ours", "theirs", "ratio")), row
