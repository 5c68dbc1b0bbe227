"""`ticketzoo find` and `transfer` on texts: each target is compared by its own metric, and says so."""

from pathlib import Path

import pytest
from command_line import ticketzoo
from tiny_texts import write_texts

from ticketzoo.evaluation.metrics import with_unit

NAME = "tiny-bert.letters-imp"
TICKET = f"runs/{NAME}/{NAME}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def found(folder: Path) -> list[str]:
    done = ticketzoo(folder, "find", "find.yaml")
    assert done.status == 0, done.err
    assert "\n[1/4] seed 0 level 0/1: test F1 " in done.err
    assert "ticketzoo: ./vowels: train: 40 texts; 0: 8, 1: 32" in done.err
    return done.out.splitlines()


@pytest.mark.slow
def test_find_compares_arms_by_f1(folder: Path, found: list[str]) -> None:
    assert found[-1] == TICKET
    assert "Test F1 (%) at the end of training on vowels" in "".join(found)
    assert f"plot: {TICKET}/f1.png" in found and (folder / TICKET / "f1.png").is_file()
    info = ticketzoo(folder, "info", f"./{TICKET}", "--json").json
    assert info["verdict"]["metric"] == "test_f1"
    card = (folder / TICKET / "README.md").read_text()
    assert "Test F1 (%)" in card and "type: f1" in card and "(f1.png)" in card


@pytest.mark.slow
def test_transfer_compares_each_target_by_its_metric(folder: Path, found: list[str]) -> None:
    done = ticketzoo(folder, "transfer", "transfer.yaml")
    assert done.status == 0, done.err
    said = [line for line in done.err.splitlines() if "seed 0 dense" in line]
    for line, (target, metric) in zip(
        said, [("quiz", "F1"), ("cola", "Matthews correlation"), ("lines", "accuracy")], strict=True
    ):
        assert f"on {target} seed 0 dense: test {metric} " in line
    assert "verdict on tiny-bert.letters-imp: " in done.out and "cola" in done.out
    out = folder / "runs" / "to-other-texts"
    report = (out / "report.md").read_text()
    assert "cola (Matthews correlation)" in report and "lines (accuracy)" in report and "quiz (F1)" in report
    for picture in ("quiz.f1", "cola.matthews", "lines.accuracy"):
        assert (out / f"{NAME}.on-{picture}.png").is_file()


def test_a_number_that_stands_alone_has_its_unit() -> None:
    shown = [with_unit(f"test_{metric}", 0.5) for metric in ("accuracy", "exact_match", "matthews", "perplexity")]
    assert shown == ["50.00%", "50.00%", "50.00 (x 100)", "0.5000"]
